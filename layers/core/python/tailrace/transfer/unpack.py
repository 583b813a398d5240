"""From what was sent to single conversations: a JSON file, or a zip that holds some.

Nothing is believed: what is packed is unpacked up to a limit, and what would take far more memory
than it has bytes (millions of empty objects, say) is refused before it is read.
"""

import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import PurePosixPath
from uuid import UUID

import msgspec

from tailrace.ids import parse_uuid
from tailrace.problems import Problem, invalid

MAX_CONVERSATIONS = 10_000
#: Folder of a zip in which files lie, each under a name that begins with its id.
FOLDER = "attachments"

# An entry of a zip's directory begins with this.
_DIRECTORY_ENTRY = b"PK\x01\x02"
_MAX_FILES = 100_000
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_CHUNK = 1 << 20
# What zipfile and the decompressors raise over a file that lies about itself.
_LIES = (
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
    NotImplementedError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
)

# So many bytes there must be for every object or list, and for every quotation mark, those in texts
# included. An export has dozens; what is made to fill memory has two, and takes a hundred for each.
_BYTES_FOR_EACH = 6
_BYTES_FOR_EACH_QUOTE = 3
_SMALL = 1 << 20


class _Object(msgspec.Struct):
    """Any object; an element that is none is no conversation."""


_objects = msgspec.json.Decoder(list[_Object])
_elements = msgspec.json.Decoder(list[msgspec.Raw])


def conversations(body: bytes, limit: int) -> list[msgspec.Raw]:
    """Return each conversation of a body as JSON that is well formed.

    Parameters
    ----------
    limit
        Bytes that the JSON may take, unpacked.

    Raises
    ------
    Problem
        400 for what is neither JSON nor a zip, 413 for what is too large, 422 for what holds no
        conversations.
    """
    found: list[msgspec.Raw] = []
    for text in _unpacked(body, limit) if body.startswith(_ZIP) else (body,):
        found += _split(text)
        if len(found) > MAX_CONVERSATIONS:
            raise Problem(
                413,
                "Too many conversations",
                f"At most {MAX_CONVERSATIONS:,} conversations are imported at once.",
            )
    return found


class Files:
    """The files that came in a zip beside its conversations, each read when it is asked for.

    Parameters
    ----------
    body
        What `conversations` has accepted.
    limit
        Bytes that all of them may take, unpacked.
    """

    def __init__(self, body: bytes, limit: int) -> None:
        self._left = limit
        self._packed = zipfile.ZipFile(BytesIO(body)) if body.startswith(_ZIP) else None
        self._found: dict[UUID, zipfile.ZipInfo] = {}
        for info in self._packed.infolist() if self._packed else ():
            path = PurePosixPath(info.filename)
            id = parse_uuid(path.name[:36]) if path.parent.name == FOLDER else None
            if id is not None:
                self._found[id] = info

    def read(self, id: UUID, limit: int) -> bytes | None:
        """Return a file; ``None`` when there is none, it cannot be read, or it is too large."""
        info = self._found.get(id)
        if info is None or self._packed is None:
            return None
        try:
            data = _read(self._packed, info, min(limit, self._left))
        except (*_LIES, Problem):
            return None
        self._left -= len(data)
        return data


def _split(text: bytes) -> list[msgspec.Raw]:
    text = text.removeprefix(b"\xef\xbb\xbf").strip()
    _require_reasonable(text)
    try:
        if text.startswith(b"{"):
            text = b"[%b]" % text
        _objects.decode(text)
        return _elements.decode(text)
    except msgspec.ValidationError:
        raise invalid("body", "Expected a conversation, or a list of conversations.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "Malformed JSON", "The file is not valid JSON.") from None


def _require_reasonable(text: bytes) -> None:
    containers = text.count(b"{") + text.count(b"[")
    if len(text) > _SMALL and (
        containers * _BYTES_FOR_EACH > len(text)
        or text.count(b'"') * _BYTES_FOR_EACH_QUOTE > len(text)
    ):
        raise invalid("body", "The file is not an export: it consists of nearly nothing but signs.")


def _unpacked(body: bytes, limit: int) -> Iterator[bytes]:
    """Yield the files of a zip that hold conversations."""
    if body.count(_DIRECTORY_ENTRY) > _MAX_FILES:
        raise Problem(413, "Too many files", f"A zip may hold {_MAX_FILES:,} files.")
    left = limit
    found = False
    try:
        with zipfile.ZipFile(BytesIO(body)) as packed:
            for info in packed.infolist():
                if not _holds_conversations(info):
                    continue
                found = True
                text = _read(packed, info, left)
                left -= len(text)
                yield text
    except _LIES:
        raise Problem(400, "Malformed zip", "The file is not a zip that can be read.") from None
    if not found:
        raise invalid("body", "The zip holds no conversations.json.")


def _holds_conversations(info: zipfile.ZipInfo) -> bool:
    # ChatGPT splits a large export into conversations-000.json and so on.
    name = PurePosixPath(info.filename).name
    return name.startswith("conversations") and name.endswith(".json") and not info.is_dir()


def _read(packed: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NotImplementedError
    text = bytearray()
    with packed.open(info) as file:
        while chunk := file.read(_CHUNK):
            text += chunk
            if len(text) > limit:
                raise too_large(limit)
    return bytes(text)


def too_large(limit: int) -> Problem:
    """Return the problem of an import that is larger than `limit` bytes."""
    return Problem(413, "Import too large", f"An import has at most {limit:,} bytes of JSON.")
