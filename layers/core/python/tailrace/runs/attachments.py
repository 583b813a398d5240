"""Files that come with a message: inline ``data:`` URLs, checked before anything else happens.

A file is what its first bytes say it is; what a client calls it is not believed. The limits are
settings. Called by the chat application and by `tailrace.runs.prompt`.
"""

import base64
import binascii
import re
from typing import Any
from urllib.parse import unquote_to_bytes

from tailrace.problems import invalid
from tailrace.providers.base import FilePart, ModelInfo
from tailrace.settings import Capability, Settings

_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_PDF = "application/pdf"
_TEXT = re.compile(r"text/[a-z0-9][a-z0-9.+_-]{0,63}")
# Text under other names.
_TEXTS = ("application/json", "application/xml", "application/yaml", "application/x-yaml")

#: What is asked of a model for files of a type; text can be read by every one.
_NEEDS: dict[str, Capability] = {**dict.fromkeys(_IMAGES, "vision"), _PDF: "documents"}
_SAYING = {"vision": "reads no images", "documents": "reads no PDF documents"}

_MAX_FILENAME = 200


def accept(part: dict[str, Any], field: str, settings: Settings) -> dict[str, Any]:
    """Check a ``file`` part of a UI message and return it as it is kept.

    Parameters
    ----------
    part
        ``{"type": "file", "mediaType", "filename", "url"}``, the URL a ``data:`` one.
    field
        Path of the part, for the problem.

    Raises
    ------
    Problem
        422 naming the limit, for a file that is too large, of a type that is not taken, or not
        what it says.
    """
    url = part.get("url") or ""
    if not url.startswith("data:"):
        raise invalid(f"{field}.url", "Send the file itself, as a data: URL.")
    # Four characters of base64 hold three bytes; what is far too large is not even decoded.
    limit = settings.max_attachment_bytes
    if len(url) // 4 * 3 > limit + 1024:
        raise _too_large(field, limit)
    media_type, data = _decode(url, field)
    if len(data) > limit:
        raise _too_large(field, limit)
    if not data:
        raise invalid(f"{field}.url", "The file is empty.")
    media_type = _sniff(media_type, data, field)
    kept = {"type": "file", "mediaType": media_type, "url": _data_url(media_type, data)}
    filename = (part.get("filename") or "").replace("\0", "")[:_MAX_FILENAME]
    return {**kept, "filename": filename} if filename else kept


def require_readable(part: dict[str, Any], field: str, model_id: str, info: ModelInfo) -> None:
    """Raise the 422 problem when the model cannot read a kept file part."""
    needed = _NEEDS.get(part["mediaType"])
    if needed is not None and needed not in info.capabilities:
        raise invalid(
            field, f"{model_id} {_SAYING[needed]}. Choose another model, or leave the file out."
        )


def is_readable(part: FilePart, info: ModelInfo) -> bool:
    """Tell whether a model can read a file."""
    needed = _NEEDS.get(part.media_type)
    return needed is None or needed in info.capabilities


def load(part: dict[str, Any]) -> FilePart:
    """Return a kept file part as a prompt carries it."""
    _, _, encoded = part["url"].partition(",")
    return FilePart(part["mediaType"], base64.b64decode(encoded), part.get("filename"))


def _decode(url: str, field: str) -> tuple[str, bytes]:
    """Read a ``data:`` URL. https://www.rfc-editor.org/rfc/rfc2397"""
    head, comma, body = url[5:].partition(",")
    if not comma:
        raise invalid(f"{field}.url", "Not a data: URL.")
    media_type, *parameters = head.split(";")
    try:
        if parameters and parameters[-1].strip() == "base64":
            data = base64.b64decode(body, validate=True)
        else:
            data = unquote_to_bytes(body)
    except (binascii.Error, ValueError):
        raise invalid(f"{field}.url", "The data: URL is not valid base64.") from None
    return media_type.strip().lower() or "text/plain", data


def _sniff(declared: str, data: bytes, field: str) -> str:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith(b"%PDF-"):
        return _PDF
    if (declared.startswith("text/") or declared in _TEXTS) and _is_text(data):
        return declared if _TEXT.fullmatch(declared) else "text/plain"
    raise invalid(
        f"{field}.mediaType",
        f"This is no file of a type that is taken: {', '.join(_IMAGES)}, {_PDF} and UTF-8 text.",
    )


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _too_large(field: str, limit: int) -> Exception:
    return invalid(field, f"The file is too large; {limit:,} bytes are allowed.")
