"""The files of an owner: uploaded, looked at, found, read, deleted.

Called by both applications, by imports, exports and runs. A row is written before the bytes are,
and goes before they do, so that whatever dies in between leaves nothing that maintenance cannot
find.
"""

import asyncio
import hashlib
import re
from base64 import b64decode
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import DatabaseError

from tailrace.attachments import kinds, pdf
from tailrace.attachments.base import Missing, Store, StoreError, Upload
from tailrace.db import queries, statements
from tailrace.db.pool import Pool, connect, transaction
from tailrace.ids import uuid7
from tailrace.problems import Problem, invalid, must_find, not_found, unavailable
from tailrace.settings import Settings

_sql = queries.load("attachments")

Row = dict[str, Any]

_REFERENCE = re.compile(
    r"/api/attachments/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/content", re.ASCII
)
#: What every URL that names a file begins with.
PREFIX = "/api/attachments/"
#: Bytes that a file can have, whatever the settings are or were.
LARGEST = 50 << 20

# What the database says when a message names a file that is not there.
_NOT_THERE = "TR404"

# Seconds for which whoever began to write a file may be at it; signed requests last shorter.
_WRITABLE_FOR = 3600
# Files that one request moves at once; each is whole in memory.
_AT_ONCE = 4
_EXTRACTIONS_AT_ONCE = 2


class Begun(NamedTuple):
    """A file that is here already, or how to send it.

    Attributes
    ----------
    upload
        The store's own request; ``None`` for a file that is here, and where we take it ourselves.
    """

    row: Row
    upload: Upload | None


def reference(id: UUID) -> str:
    """Return the URL by which a message names a file."""
    return f"/api/attachments/{id}/content"


def id_of(url: str) -> UUID | None:
    """Return the id of the file that a URL names, if it does."""
    match = _REFERENCE.fullmatch(url)
    return UUID(match[1]) if match else None


def named(parts: Iterable[Row]) -> set[UUID]:
    """Return the ids of the files that parts of messages name."""
    urls = (part.get("url") for part in parts if part["type"] == "file")
    return {id for url in urls if url and (id := id_of(url)) is not None}


@contextmanager
def refusals() -> Iterator[None]:
    """Turn the refusal of a message that names a file which is gone into a problem.

    Raises
    ------
    Problem
        422; the message was not written.
    """
    try:
        yield
    except DatabaseError as error:
        if error.sqlstate != _NOT_THERE:
            raise
        raise invalid("message.parts", "A file of the message is gone. Attach it again.") from None


class Library:
    """The files; every method is about those of one owner."""

    def __init__(self, pool: Pool, settings: Settings, store: Store | None) -> None:
        self._pool = pool
        self._settings = settings
        self._store = store
        self._extracting = asyncio.Semaphore(_EXTRACTIONS_AT_ONCE)

    @property
    def has_store(self) -> bool:
        """Whether files are kept outside of messages."""
        return self._store is not None

    @property
    def store(self) -> Store:
        """The store.

        Raises
        ------
        Problem
            501 when the settings name none.
        """
        if self._store is None:
            raise Problem(
                501,
                "No store",
                "This installation keeps files inside of messages: send a data: URL.",
            )
        return self._store

    async def begin(
        self, owner_id: UUID, *, filename: str, media_type: str, size: int, sha256: bytes
    ) -> Begun:
        """Make ready for a file, or find it among the owner's.

        Raises
        ------
        Problem
            422 for a file that is not taken, 413 when it is too large or there is no room for it.
        """
        store = self.store
        if not kinds.is_taken(media_type):
            raise invalid("media_type", f"What is taken: {kinds.TAKEN}.")
        if size > self._settings.max_upload_bytes:
            raise _too_large(self._settings.max_upload_bytes)
        row = await self._begin(owner_id, filename, media_type, size, sha256)
        if row["state"] == "ready":
            if not kinds.agree(media_type, row["media_type"]):
                raise _lies(media_type, row["media_type"])
            return Begun(row, None)
        with _telling():
            upload = await store.presign_upload(row["id"], media_type, size, sha256)
        return Begun(row, upload)

    async def receive(self, owner_id: UUID, id: UUID, body: bytes) -> None:
        """Keep the bytes of a file that was begun.

        Raises
        ------
        Problem
            404 when none of this owner was begun, 409 when it is here already or is to be sent to
            the store itself, 422 when these are not the bytes.
        """
        row = await self.find(owner_id, id)
        if row["state"] == "ready":
            raise Problem(409, "Conflict", "The file is here already.")
        store = self.store
        with _telling():
            upload = await store.presign_upload(id, row["media_type"], row["size"], row["sha256"])
        if upload is not None:
            raise Problem(409, "Conflict", "This file is to be sent to the address that was given.")
        if await asyncio.to_thread(_sha256, body) != row["sha256"]:
            raise invalid("body", "These are not the bytes that were announced.")
        with _telling():
            await store.put(id, body, row["media_type"])

    async def complete(self, owner_id: UUID, id: UUID) -> Row:
        """Look at the bytes that were sent and take the file, or refuse it for good.

        Raises
        ------
        Problem
            404 when none of this owner was begun, 409 when its bytes have not arrived, 422 when
            they are not what they were said to be.
        """
        row = await self.find(owner_id, id)
        if row["state"] == "ready":
            return row
        try:
            with _telling():
                data = await self.store.get(id, row["size"])
        except Missing:
            raise Problem(409, "Not uploaded", "The file has not arrived.") from None
        try:
            media_type = await asyncio.to_thread(_examine, row, data)
        except Problem:
            async with connect(self._pool) as connection:
                await connection.execute(_sql["discard"], {"id": id, "owner_id": owner_id})
            raise
        found = await self._extract(data) if media_type == kinds.PDF else pdf.Extracted()
        await self._finish(owner_id, id, media_type, found)
        return await self.find(owner_id, id)

    async def find(self, owner_id: UUID, id: UUID) -> Row:
        """Return a file of the owner's.

        Raises
        ------
        Problem
            404 when there is none.
        """
        terms = {"id": id, "owner_id": owner_id}
        return must_find("attachment", await statements.fetch_one(self._pool, _sql["find"], terms))

    async def delete(self, owner_id: UUID, id: UUID) -> None:
        """Delete a file that no message uses.

        Raises
        ------
        Problem
            404 when there is none of this owner, 409 when it is used.
        """
        terms = {"id": id, "owner_id": owner_id}
        async with transaction(self._pool) as connection:
            cursor = await connection.execute(_sql["lock"], terms)
            if await cursor.fetchone() is None:
                raise not_found("attachment")
            deleted = await connection.execute(_sql["delete_unused"], terms)
            if not deleted.rowcount:
                raise Problem(409, "Conflict", "A message uses it; it goes with its last message.")

    async def describe(self, owner_id: UUID, ids: Collection[UUID]) -> dict[UUID, Row]:
        """Return ``id``, ``media_type`` and ``size`` of those of these files that the owner has."""
        if not ids:
            return {}
        terms = {"ids": list(ids), "owner_id": owner_id}
        rows = await statements.fetch_all(self._pool, _sql["describe"], terms)
        return {row["id"]: row for row in rows}

    async def texts(self, owner_id: UUID, ids: Collection[UUID]) -> dict[UUID, pdf.Extracted]:
        """Return the text of PDFs; what was not read before is read now, and kept.

        Raises
        ------
        Problem
            503 when the store or the database cannot be reached.
        """
        if not ids:
            return {}
        terms = {"ids": list(ids), "owner_id": owner_id}
        rows = await statements.fetch_all(self._pool, _sql["texts"], terms)
        found = await asyncio.gather(*(self._text(owner_id, row) for row in rows))
        return {row["id"]: each for row, each in zip(rows, found, strict=True)}

    async def keep(self, owner_id: UUID, parts: list[Row]) -> list[Row]:
        """Return parts of a message with the files that they hold put into the store.

        Without a store they stay as they are.

        Parameters
        ----------
        parts
            Their files were accepted (`tailrace.runs.attachments.accept`).

        Raises
        ------
        Problem
            413 when there is no room for them, 503 when they cannot be stored.
        """
        if self._store is None or not any(_is_inline(part) for part in parts):
            return parts
        turns = asyncio.Semaphore(_AT_ONCE)

        async def keep(part: Row) -> Row:
            if not _is_inline(part):
                return part
            async with turns:
                return await self._keep(owner_id, part)

        return list(await asyncio.gather(*map(keep, parts)))

    async def read(self, id: UUID, size: int) -> bytes:
        """Return the bytes of a file that was found to be its reader's.

        Raises
        ------
        Missing, StoreError
            When the store has none, or does not answer.
        """
        if self._store is None:
            raise StoreError("the settings name no store")
        return await self._store.get(id, size)

    async def _begin(
        self, owner_id: UUID, filename: str, media_type: str, size: int, sha256: bytes
    ) -> Row:
        async with connect(self._pool) as connection:
            cursor = await connection.execute(
                _sql["begin"],
                {
                    "id": uuid7(),
                    "owner_id": owner_id,
                    "sha256": sha256,
                    "media_type": media_type,
                    "filename": kinds.clean_name(filename) or None,
                    "size": size,
                    "writable_for": _WRITABLE_FOR,
                    "kept_for": self._settings.uploads_kept_for,
                    "room": self._settings.max_stored_bytes,
                },
            )
            row = await cursor.fetchone()
        if row is None:
            raise Problem(
                413,
                "No room",
                f"Your files may take {self._settings.max_stored_bytes:,} bytes together. Delete "
                "conversations that hold some.",
                field="size",
            )
        return row

    async def _keep(self, owner_id: UUID, part: Row) -> Row:
        _, _, encoded = part["url"].partition(",")
        data = await asyncio.to_thread(b64decode, encoded)
        sha256 = await asyncio.to_thread(_sha256, data)
        media_type, filename = part["mediaType"], part.get("filename") or ""
        row = await self._begin(owner_id, filename, media_type, len(data), sha256)
        if row["state"] == "pending":
            with _telling():
                await self.store.put(row["id"], data, media_type)
            await self._finish(owner_id, row["id"], media_type, pdf.Extracted())
        else:
            media_type = row["media_type"]
        return {**part, "mediaType": media_type, "url": reference(row["id"])}

    async def _finish(
        self, owner_id: UUID, id: UUID, media_type: str, found: pdf.Extracted
    ) -> None:
        terms = {"id": id, "owner_id": owner_id, "media_type": media_type}
        async with connect(self._pool) as connection:
            await connection.execute(
                _sql["finish"], {**terms, "text": found.text, "problem": found.problem}
            )

    async def _text(self, owner_id: UUID, row: Row) -> pdf.Extracted:
        if row["extracted_text"] is not None or row["text_problem"] is not None:
            return pdf.Extracted(row["extracted_text"], row["text_problem"])
        try:
            with _telling():
                data = await self.read(row["id"], row["size"])
        except Missing:
            return pdf.Extracted(problem="broken")
        found = await self._extract(data)
        async with connect(self._pool) as connection:
            await connection.execute(
                _sql["keep_text"],
                {
                    "id": row["id"],
                    "owner_id": owner_id,
                    "text": found.text,
                    "problem": found.problem,
                },
            )
        return found

    async def _extract(self, data: bytes) -> pdf.Extracted:
        async with self._extracting:
            return await pdf.extract(data)


@contextmanager
def _telling() -> Iterator[None]:
    """Turn a store that cannot be reached into a problem; `Missing` is for the caller."""
    try:
        yield
    except Missing:
        raise
    except StoreError as error:
        raise unavailable("The store of files cannot be reached.") from error


def _is_inline(part: Row) -> bool:
    return part["type"] == "file" and part["url"].startswith("data:")


def _examine(row: Row, data: bytes) -> str:
    """Return what a file that was sent is.

    Raises
    ------
    Problem
        422 when it is not what was announced.
    """
    if len(data) != row["size"]:
        raise invalid("size", "The file does not have the size that was announced.")
    if _sha256(data) != row["sha256"]:
        raise invalid("sha256", "These are not the bytes that were announced.")
    media_type = kinds.sniff(row["media_type"], data)
    if media_type is None:
        raise invalid("media_type", f"It is no file of a kind that is taken: {kinds.TAKEN}.")
    if not kinds.agree(row["media_type"], media_type):
        raise _lies(row["media_type"], media_type)
    return media_type


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _lies(declared: str, is_really: str) -> Problem:
    return invalid("media_type", f"The file says it is {declared}, and it is {is_really}.")


def _too_large(limit: int) -> Problem:
    return Problem(413, "File too large", f"A file may have {limit:,} bytes.", field="size")
