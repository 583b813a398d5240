"""Text and JSON as PostgreSQL can hold them."""

from typing import Any


def storable(text: str) -> str:
    """Return the text with what PostgreSQL or UTF-8 cannot hold (NUL, half a pair) as U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        # Two halves that belong together become one character on the way.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def storable_json(value: Any) -> Any:
    """Return JSON with every text in it as PostgreSQL can hold it."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [storable_json(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): storable_json(item) for key, item in value.items()}
    return value
