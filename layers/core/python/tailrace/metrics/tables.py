"""Views as tables: CSV of what is JSON elsewhere."""

import csv
import io
from collections.abc import Iterable
from typing import Any

# A spreadsheet would take text that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def flatten(item: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return an item with the names of what lies deeper joined by underscores.

    Examples
    --------
    >>> flatten({"requests": 2, "duration": {"p50": 0.5}})
    {'requests': 2, 'duration_p50': 0.5}
    """
    flat: dict[str, Any] = {}
    for name, value in item.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}_")
        elif isinstance(value, list):
            flat[prefix + name] = " ".join(str(each) for each in value)
        else:
            flat[prefix + name] = value
    return flat


def to_csv(items: Iterable[dict[str, Any]], columns: list[str] | None = None) -> bytes:
    """Return items as CSV with a line of names.

    Parameters
    ----------
    columns
        Names of the columns, without which every name that an item has is one; given, no line of
        names is written.
    """
    rows = [flatten(item) for item in items]
    names = columns or list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    if columns is None and names:
        writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in names])
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
