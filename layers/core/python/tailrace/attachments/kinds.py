"""What files there are, by what their bytes say, and how each is handed to a browser.

What a client calls a file is not believed.
"""

import re
import unicodedata
from urllib.parse import quote

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
PDF = "application/pdf"
#: What is taken, for a sentence.
TAKEN = f"{', '.join(IMAGES)}, {PDF} and UTF-8 text"

_TEXT = re.compile(r"text/[a-z0-9][a-z0-9.+_-]{0,63}")
# Text under other names.
_TEXTS = ("application/json", "application/xml", "application/yaml", "application/x-yaml")

_MAX_FILENAME = 200
# Characters that hide, turn or break the text around them, by their Unicode category.
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def sniff(declared: str, data: bytes) -> str | None:
    """Return what a file is; `declared` only tells one kind of text from another.

    Returns
    -------
    str or None
        A media type, ``None`` for a file of a kind that is not taken.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith(b"%PDF-"):
        return PDF
    if is_text(declared) and _is_utf8(data):
        return text_type(declared)
    return None


def is_text(media_type: str) -> bool:
    """Tell whether a media type is one of text."""
    return media_type.startswith("text/") or media_type in _TEXTS


def text_type(media_type: str) -> str:
    """Return the type under which text is kept."""
    return media_type if _TEXT.fullmatch(media_type) else "text/plain"


def is_taken(media_type: str) -> bool:
    """Tell whether files that say they are this can be taken at all."""
    return media_type in IMAGES or media_type == PDF or is_text(media_type)


def agree(declared: str, is_really: str) -> bool:
    """Tell whether a file is what it was said to be; text goes by many names."""
    return declared == is_really or (is_text(declared) and is_text(is_really))


def clean_name(filename: str) -> str:
    """Return a name without a path and without what a person cannot see; it may be empty."""
    last = re.split(r"[/\\]", filename)[-1]
    seen = "".join(c for c in last if unicodedata.category(c) not in _UNSEEN)
    return seen.strip()[:_MAX_FILENAME].strip()


def served_type(media_type: str) -> str:
    """Return the type under which a browser gets a file: one that never runs."""
    return media_type if media_type in IMAGES or media_type == PDF else "text/plain; charset=utf-8"


def disposition(media_type: str, filename: str | None) -> str:
    """Return ``Content-Disposition``: pictures are shown, anything else is saved.

    https://www.rfc-editor.org/rfc/rfc6266
    """
    how = "inline" if media_type in IMAGES else "attachment"
    name = clean_name(filename or "") or "file"
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _is_utf8(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False
