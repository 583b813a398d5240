"""Conversations on their way out: JSON that `tailrace.transfer.load` takes back, and Markdown.

Called by `tailrace.http.exports`. Rows come through a cursor of the server and leave as they come,
so that memory does not grow with what is exported.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec
from psycopg import AsyncServerCursor
from psycopg.rows import DictRow, dict_row

from tailrace.attachments import library
from tailrace.attachments.base import Missing, StoreError
from tailrace.attachments.library import Library
from tailrace.db import queries, statements
from tailrace.db.pool import Connection, Pool, transaction
from tailrace.problems import not_found, unavailable
from tailrace.runs.attachments import data_url

_sql = queries.load("transfer")

Row = dict[str, Any]

# Rows fetched at once; a row with files takes a few megabytes.
_FETCH = 16
# An archive keeps a line for each of its files in memory until its end.
_MAX_CONVERSATIONS = 10_000


class Volume(NamedTuple):
    """What one archive of an account holds: the conversations after one and up to another.

    Attributes
    ----------
    last_id
        ``None`` when there is nothing to export.
    more
        Another volume begins after `last_id`.
    """

    after_id: UUID | None
    last_id: UUID | None
    more: bool


async def plan(pool: Pool, owner_id: UUID, after_id: UUID | None, size: int) -> Volume:
    """Say how far the archive goes that begins after `after_id` and takes about `size` bytes."""
    terms = {
        "owner_id": owner_id,
        "after_id": after_id,
        "bytes": size,
        "conversations": _MAX_CONVERSATIONS,
    }
    row = await statements.fetch_one(pool, _sql["plan_volume"], terms)
    assert row is not None
    return Volume(after_id, row["last_id"], bool(row["more"]))


async def conversation(
    pool: Pool, files: Library, owner_id: UUID, id: UUID, format: Literal["markdown", "json"]
) -> AsyncIterator[bytes]:
    """Yield one conversation: as Markdown its active branch, as JSON its whole tree with its files.

    Raises
    ------
    Problem
        404, before anything is yielded, when there is none of this owner.
    """
    scope = {"owner_id": owner_id, "id": id, "after_id": None, "last_id": None}
    async with reading(pool) as connection:
        found = False
        if format == "json":
            async for piece in as_json(
                _with_files(files, rows(connection, "export_messages", scope))
            ):
                found = True
                yield piece
        else:
            async for row in rows(connection, "export_branches", scope):
                yield as_markdown(row, first=not found)
                found = True
        if not found:
            raise not_found("conversation")


@asynccontextmanager
async def reading(pool: Pool) -> AsyncIterator[Connection]:
    """Yield a connection that sees everything as it is now, for as long as somebody reads."""
    async with transaction(pool) as connection:
        await connection.execute(_sql["begin_export"])
        await connection.execute(_sql["limit_export_wait"])
        yield connection


async def rows(connection: Connection, statement: str, scope: Row) -> AsyncIterator[DictRow]:
    """Yield the rows of a statement, a few of them in memory at a time."""
    cursor = AsyncServerCursor(connection, "export", row_factory=dict_row)
    async with cursor:
        await cursor.execute(_sql[statement], scope)
        while rows := await cursor.fetchmany(_FETCH):
            for row in rows:
                yield row


async def file(files: Library, id: UUID) -> bytes | None:
    """Return the bytes of a file that an exported message names, ``None`` when they are gone.

    Raises
    ------
    Problem
        503 when the store cannot be reached.
    """
    try:
        return await files.read(id, library.LARGEST)
    except Missing:
        return None
    except StoreError as error:
        raise unavailable("The store of files cannot be reached.") from error


async def _with_files(files: Library, messages: AsyncIterator[DictRow]) -> AsyncIterator[DictRow]:
    """Yield rows with the files of their messages inside, as ``data:`` URLs."""
    async for row in messages:
        message = row["message"]
        # Most name none, and are not even read.
        if message is not None and library.PREFIX in message:
            told = msgspec.json.decode(message)
            for part in told["parts"]:
                id = library.id_of(part.get("url") or "")
                data = await file(files, id) if id is not None else None
                if data is not None:
                    part["url"] = await asyncio.to_thread(data_url, part["mediaType"], data)
            row["message"] = msgspec.json.encode(told).decode()
        yield row


async def as_json(rows: AsyncIterator[DictRow]) -> AsyncIterator[bytes]:
    """Yield conversations as JSON objects with a comma between them."""
    begun = False
    between = b""
    async for row in rows:
        if row["conversation"] is not None:
            head = row["conversation"].encode()[:-1]
            yield (b"]},\n" if begun else b"") + head + b', "messages": ['
            begun, between = True, b""
        if row["message"] is not None:
            yield between + b"\n" + row["message"].encode()
            between = b","
    if begun:
        yield b"]}"


def as_markdown(row: Row, *, first: bool) -> bytes:
    """Return a message as Markdown, under its conversation's title when it is the first."""
    lines = []
    if first:
        title = " ".join(row["title"].split())
        lines = [f"# {title}", "", f"{row['created_at']:%Y-%m-%d %H:%M} UTC · {row['model']}", ""]
    if row["role"] is not None:
        by = f" ({row['answered_by']})" if row["answered_by"] else ""
        lines += ["## User" if row["role"] == "user" else f"## Assistant{by}", ""]
        for part in row["parts"] or ():
            lines += [_markdown_part(part), ""]
    return "\n".join([*lines, ""]).encode()


def _markdown_part(part: Row) -> str:
    if part["type"] == "file":
        return f"[File: {part.get('filename') or part.get('mediaType')}]"
    text = part.get("text") or ""
    if part["type"] == "reasoning":
        return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
    return text
