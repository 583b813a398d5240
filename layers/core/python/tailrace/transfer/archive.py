"""All conversations of an account as a zip, made while it is sent.

Called by `tailrace.http.exports`. Memory holds a few rows, and a line for
each file.
"""

import re
import zipfile
from asyncio import to_thread
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import UTC, datetime
from io import RawIOBase
from typing import TYPE_CHECKING
from uuid import UUID

from tailrace.attachments.library import Library
from tailrace.db import queries
from tailrace.db.pool import Pool
from tailrace.problems import Problem
from tailrace.transfer.export import Row, Volume, as_json, as_markdown, file, reading, rows
from tailrace.transfer.unpack import FOLDER

if TYPE_CHECKING:
    from typing_extensions import Buffer

_sql = queries.load("transfer")

# Bytes that are sent, or packed in a thread, together.
_PIECE = 64 << 10

_UNSAFE = re.compile(r"[^\w.-]+")
_SLUG_CHARS = 60


async def archive(
    pool: Pool, files: Library, owner_id: UUID, volume: Volume
) -> AsyncIterator[bytes]:
    """Yield a zip of the volume: ``conversations.json`` to import, with ``attachments/`` that its
    messages name, and ``markdown/`` to read.

    Raises
    ------
    Problem
        409, before anything is yielded, while another export of this account is under way.
    """
    scope = {"owner_id": owner_id, "id": None, **volume._asdict()}
    async with reading(pool) as connection:
        cursor = await connection.execute(_sql["lock_export"], {"owner_id": owner_id})
        row = await cursor.fetchone()
        if row is None or not row["taken"]:
            raise Problem(
                409,
                "Conflict",
                "Another export of this account is under way.",
                headers={"Retry-After": "10"},
            )
        sink = _Sink()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as packed:
            with packed.open(_entry("conversations.json"), "w", force_zip64=True) as entry:
                entry.write(b"[")
                async for piece in as_json(rows(connection, "export_messages", scope)):
                    if len(piece) < _PIECE:
                        entry.write(piece)
                    else:
                        # Compressing files of some megabytes would hold everybody else up.
                        await to_thread(entry.write, piece)
                    if sink.size >= _PIECE:
                        yield sink.take()
                entry.write(b"]\n")
            with ExitStack() as opened:
                current = None
                async for row in rows(connection, "export_branches", scope):
                    first = row["id"] != current
                    if first:
                        opened.close()
                        current = row["id"]
                        entry = opened.enter_context(packed.open(_entry(_file_name(row)), "w"))
                    entry.write(as_markdown(row, first=first))
                    if sink.size >= _PIECE:
                        yield sink.take()
            async for row in rows(connection, "export_attachments", scope):
                data = await file(files, row["id"])
                if data is not None:
                    await to_thread(packed.writestr, _entry(_attachment_name(row)), data)
                    yield sink.take()
        yield sink.take()


def _attachment_name(row: Row) -> str:
    slug = _UNSAFE.sub("-", row["filename"] or "")[-_SLUG_CHARS:].strip("-.")
    return f"{FOLDER}/{row['id']}{'-' if slug else ''}{slug}"


def _file_name(row: Row) -> str:
    slug = _UNSAFE.sub("-", row["title"])[:_SLUG_CHARS].strip("-.")
    # The end of a UUIDv7 is random, so no two files share a name.
    return f"markdown/{row['created_at']:%Y-%m-%d} {slug} {str(row['id'])[-12:]}.md"


def _entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, datetime.now(UTC).timetuple()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


class _Sink(RawIOBase):
    """Where `zipfile` writes to, and what was written is taken from; it cannot be sought."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: "Buffer", /) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self.size += len(piece)
        return len(piece)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self.size = 0
        return data
