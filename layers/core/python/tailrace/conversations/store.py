"""Reading and writing conversations; every statement is scoped by the owner.

Called by the chat and api applications and by runs. Functions that take a connection are steps of
the caller's transaction.
"""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from tailrace.db import queries
from tailrace.db.pool import Connection, Pool, connect
from tailrace.ids import uuid7
from tailrace.problems import not_found

_sql = queries.load("conversations")

Row = dict[str, Any]

_TITLE_CHARS = 80


class Turn(NamedTuple):
    """A user message and the answer it gets.

    Attributes
    ----------
    answer_id
        Id of the assistant message, and so of the run.
    user_message_id
        Id of the user message.
    answer
        Status, parts and metadata of an answer that stands already, whole or under way; ``None``
        for a new one.
    branch
        Role and parts of the messages from the root to the user message; empty when `answer`
        stands already.
    is_first
        The turn is its conversation's first.
    """

    answer_id: UUID
    user_message_id: UUID
    answer: Row | None
    branch: list[Row]
    is_first: bool


async def begin_turn(
    pool: Pool,
    run: Row,
    *,
    client_message_id: str,
    title_from: str,
    parts: list[Row],
    model: str,
    again: bool,
) -> Turn:
    """Write a user message, its empty answer and the answer's run, all or nothing.

    A client message id that was seen before is the same message: its newest answer is returned,
    or, with `again`, a new one begins beside it unless one is still under way.

    Parameters
    ----------
    run
        The columns of ``runs``; its id becomes the answer's.
    title_from
        What a new conversation is titled after at first.
    parts
        The message as it is kept.
    model
        Catalogue id of the model, remembered with the conversation.

    Raises
    ------
    Problem
        404 when the conversation is somebody else's, 503 when the database is down.
    """
    async with connect(pool) as connection:
        cursor = await connection.execute(
            _sql["begin_turn"],
            {
                **run,
                "answer_id": run["id"],
                "title": _title_of(title_from),
                "model": model,
                "client_message_id": client_message_id,
                "parts": Jsonb(parts),
                "again": again,
                "user_message_id": uuid7(),
            },
        )
        row = await cursor.fetchone()
    if row is None:
        raise not_found("conversation")
    answer = {name: row[name] for name in ("status", "parts", "metadata")}
    return Turn(
        row["answer_id"],
        row["user_message_id"],
        answer if row["seen"] else None,
        row["branch"] or [],
        row["is_first"],
    )


async def finish_message(
    connection: Connection, message_id: UUID, status: str, parts: list[Row], metadata: Row
) -> None:
    """Write the final state of an answer, unless it has one."""
    await connection.execute(
        _sql["finish_message"],
        {
            "id": message_id,
            "status": status,
            "parts": Jsonb(parts),
            "metadata": Jsonb(metadata),
        },
    )


async def set_model_title(connection: Connection, conversation_id: UUID, title: str) -> None:
    """Replace the title taken from the first prompt; a person's title stays."""
    await connection.execute(_sql["set_model_title"], {"id": conversation_id, "title": title})


async def list_page(
    pool: Pool, owner_id: UUID, limit: int, before: tuple[datetime, UUID] | None
) -> list[Row]:
    """Return up to `limit` conversations last used before `before`, the newest first."""
    before_time, before_id = before or (None, None)
    async with connect(pool) as connection:
        cursor = await connection.execute(
            _sql["list_conversations"],
            {
                "owner_id": owner_id,
                "before_time": before_time,
                "before_id": before_id,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def find(pool: Pool, owner_id: UUID, conversation_id: UUID) -> Row:
    """Return a conversation with the messages of its active branch, oldest first.

    Raises
    ------
    Problem
        404 when there is none of this owner.
    """
    async with connect(pool) as connection:
        cursor = await connection.execute(
            _sql["find_conversation"], {"id": conversation_id, "owner_id": owner_id}
        )
        conversation = await cursor.fetchone()
        if conversation is None:
            raise not_found("conversation")
        leaf_id = conversation.pop("active_leaf_id")
        conversation["messages"] = await _branch(connection, conversation_id, leaf_id)
        return conversation


async def require(pool: Pool, owner_id: UUID, conversation_id: UUID) -> None:
    """Raise the 404 problem unless the conversation exists and is the owner's."""
    async with connect(pool) as connection:
        cursor = await connection.execute(
            _sql["find_conversation"], {"id": conversation_id, "owner_id": owner_id}
        )
        if await cursor.fetchone() is None:
            raise not_found("conversation")


async def _branch(connection: Connection, conversation_id: UUID, leaf_id: UUID | None) -> list[Row]:
    if leaf_id is None:
        return []
    cursor = await connection.execute(
        _sql["branch"], {"leaf_id": leaf_id, "conversation_id": conversation_id}
    )
    return await cursor.fetchall()


def _title_of(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TITLE_CHARS else line[: _TITLE_CHARS - 1].rstrip() + "…"
