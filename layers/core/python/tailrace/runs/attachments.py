"""Files that come with a message: taken from a request, and brought to a model.

A file is inside the message, as a ``data:`` URL, or in the store, and the message names it. What is
inside is checked here before anything else happens; what is in the store was checked when it came
(`tailrace.attachments`). Called by the chat application, by imports and by `tailrace.runs.prompt`.
"""

import asyncio
import base64
import binascii
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes
from uuid import UUID

from msgspec import structs

from tailrace.attachments import kinds, pdf
from tailrace.attachments.base import Missing, StoreError
from tailrace.attachments.library import Library, id_of, named
from tailrace.problems import Problem, invalid
from tailrace.providers.base import (
    FilePart,
    ModelInfo,
    PromptMessage,
    PromptPart,
    ProviderError,
    TextPart,
)
from tailrace.settings import Capability, Settings

#: What is asked of a model for files of a type; text can be read by every one.
_NEEDS: dict[str, Capability] = {**dict.fromkeys(kinds.IMAGES, "vision"), kinds.PDF: "documents"}
_SAYING = {"vision": "reads no images", "documents": "reads no PDF documents"}

# Files that one run reads from the store at once.
_AT_ONCE = 4


class StoredFile(FilePart, frozen=True, kw_only=True):
    """A file of a prompt whose bytes are in the store; `data` is empty until they are read.

    Attributes
    ----------
    size
        Bytes; 0 as long as nobody asked.
    """

    id: UUID
    size: int = 0


def accept(
    part: dict[str, Any],
    field: str,
    settings: Settings,
    *,
    stored: bool = False,
    limit: int | None = None,
) -> dict[str, Any]:
    """Check a ``file`` part of a UI message and return it as it is kept.

    Parameters
    ----------
    part
        ``{"type": "file", "mediaType", "filename", "url"}``, the URL a ``data:`` one.
    field
        Path of the part, for the problem.
    stored
        Whether the URL may also name a file in the store, which is to be looked for then.
    limit
        Bytes, if not those of the settings.

    Raises
    ------
    Problem
        422 naming the limit, for a file that is too large, of a type that is not taken, or not
        what it says.
    """
    url = part.get("url") or ""
    filename = kinds.clean_name(part.get("filename") or "")
    told = {"filename": filename} if filename else {}
    if stored and id_of(url) is not None:
        return {"type": "file", "mediaType": part.get("mediaType") or "", "url": url, **told}
    if not url.startswith("data:"):
        raise invalid(f"{field}.url", "Send the file itself, as a data: URL.")
    # Four characters of base64 hold three bytes; what is far too large is not even decoded.
    limit = limit or settings.max_attachment_bytes
    if len(url) // 4 * 3 > limit + 1024:
        raise _too_large(field, limit)
    media_type, data = _decode(url, field)
    if len(data) > limit:
        raise _too_large(field, limit)
    if not data:
        raise invalid(f"{field}.url", "The file is empty.")
    sniffed = kinds.sniff(media_type, data)
    if sniffed is None:
        raise invalid(
            f"{field}.mediaType", f"This is no file of a type that is taken: {kinds.TAKEN}."
        )
    return {"type": "file", "mediaType": sniffed, "url": data_url(sniffed, data), **told}


def require_readable(
    part: dict[str, Any],
    field: str,
    model_id: str,
    info: ModelInfo,
    text: pdf.Extracted | None = None,
) -> None:
    """Raise the 422 problem when the model cannot read a kept file part.

    Parameters
    ----------
    text
        What is known of the text of a PDF, which is read in its place.
    """
    needed = _NEEDS.get(part["mediaType"])
    if needed is None or needed in info.capabilities or (text and text.text is not None):
        return
    name = part.get("filename") or "The file"
    why = f" {name} {pdf.SENTENCES[text.problem]}." if text and text.problem else ""
    raise invalid(
        field, f"{model_id} {_SAYING[needed]}.{why} Choose another model, or leave the file out."
    )


def require_all_readable(
    parts: Sequence[dict[str, Any]],
    field: str,
    model_id: str,
    info: ModelInfo,
    besides: Collection[str] = (),
) -> None:
    """Raise the 422 problem when the model cannot read a file of a message.

    Parameters
    ----------
    field
        Path of the message, for the problem.
    besides
        Media types that are read in some other way.
    """
    for part, where in _files_of(parts, field):
        if part["mediaType"] not in besides:
            require_readable(part, where, model_id, info)


async def keep(
    files: Library,
    owner_id: UUID,
    parts: list[dict[str, Any]],
    field: str,
    model_id: str,
    info: ModelInfo,
) -> list[dict[str, Any]]:
    """Return the parts of a user's new message with its files in the store, if there is one.

    Raises
    ------
    Problem
        422 when the model cannot read one of them: nothing is stored then. 413 when there is no
        room for them, 503 when the store cannot be reached.
    """
    # A PDF may be read as text, once it is there.
    besides = (kinds.PDF,) if files.has_store else ()
    require_all_readable(parts, field, model_id, info, besides)
    return await files.keep(owner_id, parts)


async def find(
    files: Library,
    owner_id: UUID,
    parts: list[dict[str, Any]],
    field: str,
    model_id: str,
    info: ModelInfo,
) -> dict[UUID, dict[str, Any]]:
    """Return what is known of the files that a user's message names, for `load`.

    The media types of the parts become what the files are.

    Raises
    ------
    Problem
        422 when one is not the user's, or the model can read neither it nor its text; 503 when the
        store or the database cannot be reached.
    """
    known = await files.describe(owner_id, named(parts))
    as_text: set[UUID] = set()
    for part, where in _files_of(parts, field):
        id = id_of(part["url"])
        if id is None:
            continue
        if id not in known:
            raise invalid(f"{where}.url", "There is no such file. Attach it again.")
        part["mediaType"] = known[id]["media_type"]
        if part["mediaType"] == kinds.PDF and "documents" not in info.capabilities:
            as_text.add(id)
    texts = await files.texts(owner_id, as_text)
    for part, where in _files_of(parts, field):
        text = texts.get(id) if (id := id_of(part["url"])) else None
        require_readable(part, where, model_id, info, text)
        if id is not None and text is not None:
            known[id]["text"] = text.text
    return known


def is_readable(part: FilePart, info: ModelInfo) -> bool:
    """Tell whether a model can read a file."""
    needed = _NEEDS.get(part.media_type)
    return needed is None or needed in info.capabilities


def load(part: dict[str, Any], known: Mapping[UUID, dict[str, Any]]) -> PromptPart:
    """Return a kept file part as a prompt carries it.

    Parameters
    ----------
    known
        What is known already of files in the store, by their id: ``size``, and the ``text`` of a
        PDF that is to be read in its place.
    """
    filename = part.get("filename")
    id = id_of(part["url"])
    if id is not None:
        row = known.get(id, {})
        if row.get("text") is not None:
            return _as_text(filename, row["text"])
        return StoredFile(part["mediaType"], b"", filename, id=id, size=row.get("size", 0))
    _, _, encoded = part["url"].partition(",")
    return FilePart(part["mediaType"], base64.b64decode(encoded), filename)


def size_of(part: FilePart) -> int:
    """Return how many bytes a file has, read or not."""
    return part.size if isinstance(part, StoredFile) and not part.data else len(part.data)


def data_url(media_type: str, data: bytes) -> str:
    """Return a file as a ``data:`` URL. https://www.rfc-editor.org/rfc/rfc2397"""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


class Reader:
    """Brings to one run what is in the store; what it read once it has at hand for a fallback."""

    def __init__(self, files: Library, owner_id: UUID) -> None:
        self._files = files
        self._owner_id = owner_id
        self._sizes: dict[UUID, int] = {}
        self._data: dict[UUID, bytes | None] = {}
        self._texts: dict[UUID, pdf.Extracted] = {}

    async def open(self, messages: Sequence[PromptMessage], info: ModelInfo) -> list[PromptMessage]:
        """Say how large the files of messages are, and put text where this model reads no PDF.

        Raises
        ------
        ProviderError
            ``storage`` when the store or the database cannot be reached.
        """
        stored = {part.id: part for part in _stored(messages)}
        try:
            if unknown := stored.keys() - self._sizes.keys():
                rows = await self._files.describe(self._owner_id, unknown)
                self._sizes |= {id: row["size"] for id, row in rows.items()}
            unread = {
                id
                for id, part in stored.items()
                if part.media_type == kinds.PDF and not is_readable(part, info)
            }
            if unread := unread - self._texts.keys():
                self._texts |= await self._files.texts(self._owner_id, unread)
        except Problem as problem:
            raise ProviderError("storage", problem.detail) from problem

        def opened(part: StoredFile) -> PromptPart:
            if part.id not in self._sizes:
                return _gone(part)
            text = self._texts.get(part.id)
            if not is_readable(part, info) and text is not None and text.text is not None:
                return _as_text(part.filename, text.text)
            return structs.replace(part, size=self._sizes[part.id])

        return _replaced(messages, opened)

    async def read(self, messages: Sequence[PromptMessage]) -> list[PromptMessage]:
        """Return messages with the bytes of their files.

        Raises
        ------
        ProviderError
            ``storage`` when the store cannot be reached.
        """
        turns = asyncio.Semaphore(_AT_ONCE)

        async def read(part: StoredFile) -> None:
            async with turns:
                try:
                    self._data[part.id] = await self._files.read(part.id, part.size)
                except Missing:
                    self._data[part.id] = None

        unread = {part.id: part for part in _stored(messages) if part.id not in self._data}
        try:
            await asyncio.gather(*map(read, unread.values()))
        except StoreError as error:
            raise ProviderError("storage", str(error)) from error

        def filled(part: StoredFile) -> PromptPart:
            data = self._data[part.id]
            return _gone(part) if data is None else structs.replace(part, data=data)

        return _replaced(messages, filled)


def _files_of(parts: Sequence[dict[str, Any]], field: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the files of a message, each with its path for a problem."""
    for number, part in enumerate(parts):
        if part["type"] == "file":
            yield part, f"{field}.parts.{number}"


def _stored(messages: Sequence[PromptMessage]) -> list[StoredFile]:
    return [p for message in messages for p in message.parts if isinstance(p, StoredFile)]


def _replaced(
    messages: Sequence[PromptMessage], replace: Callable[[StoredFile], PromptPart]
) -> list[PromptMessage]:
    return [
        PromptMessage(
            message.role,
            tuple(replace(p) if isinstance(p, StoredFile) else p for p in message.parts),
        )
        for message in messages
    ]


def _as_text(filename: str | None, text: str) -> TextPart:
    return TextPart(f"{filename or 'document.pdf'}:\n{text}")


def _gone(part: FilePart) -> TextPart:
    return TextPart(f"[{part.filename or part.media_type}: no longer there]")


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


def _too_large(field: str, limit: int) -> Exception:
    return invalid(field, f"The file is too large; {limit:,} bytes are allowed.")
