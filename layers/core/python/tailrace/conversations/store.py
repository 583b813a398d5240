"""Turns of conversations, and reading them back; every statement is scoped by the owner.

Called by the chat and api applications and by runs. Functions that take a connection are steps of
the caller's transaction. A message is named by the id its client gave it, or by its own.
"""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from tailrace.db import queries, statements
from tailrace.db.pool import Connection, Pool, connect
from tailrace.ids import parse_uuid, uuid7
from tailrace.limits import quotas
from tailrace.problems import invalid, must_find, not_found

_sql = queries.load("conversations")

Row = dict[str, Any]

_TITLE_CHARS = 80


#: Where a page of a list begins: pinned or not, the time and the id of the row before it.
PageKey = tuple[bool, datetime, UUID]


class Below(NamedTuple):
    """Where a new message goes, other than below the active leaf: below this message, or, with
    ``None``, at the root."""

    parent: str | None


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
    system_prompt, parameters
        The conversation's own.
    """

    answer_id: UUID
    user_message_id: UUID
    answer: Row | None
    branch: list[Row]
    is_first: bool
    system_prompt: str | None
    parameters: Row


async def begin_turn(
    pool: Pool,
    run: Row,
    *,
    client_message_id: str,
    title_from: str,
    parts: list[Row],
    model: str,
    again: bool,
    known: bool = False,
    below: Below | None = None,
) -> Turn:
    """Write a user message, its empty answer and the answer's run, all or nothing.

    A message id that was seen before is the same message: its newest answer is returned, or, with
    `again`, a new one begins beside it unless one is still under way.

    Parameters
    ----------
    run
        The columns of ``runs``; its id becomes the answer's. With what
        `tailrace.limits.quotas.terms` returned, the turn begins only if a quota lets it.
    title_from
        What a new conversation is titled after at first.
    parts
        The message as it is kept.
    model
        Catalogue id of the model, remembered with the conversation.
    known
        The message must have been seen before.
    below
        Where a new message goes; below the active leaf if nothing is said.

    Raises
    ------
    Problem
        404 when the conversation is somebody else's or deleted, or has no such message, 422 for
        the id of an answer, 503 when the database is down.
    """
    async with connect(pool) as connection:
        cursor = await connection.execute(
            _sql["begin_turn"],
            {
                **quotas.NO_TERMS,
                **run,
                "answer_id": run["id"],
                "title": _title_of(title_from),
                "model": model,
                "client_message_id": client_message_id,
                "parts": Jsonb(parts),
                "again": again,
                "user_message_id": uuid7(),
                "message_uuid": parse_uuid(client_message_id),
                "known": known,
                "branches": below is not None,
                "parent": below.parent if below else None,
                "parent_uuid": parse_uuid(below.parent) if below and below.parent else None,
            },
        )
        row = await cursor.fetchone()
    if row is None:
        raise not_found("conversation")
    if row["refused"] == "parent" or (row["refused"] and known):
        raise not_found("message")
    if row["refused"]:
        raise invalid("message.id", "This is the id of an answer.")
    answer = {name: row[name] for name in ("status", "parts", "metadata")}
    return Turn(
        row["answer_id"],
        row["user_message_id"],
        answer if row["seen"] else None,
        row["branch"] or [],
        row["is_first"],
        row["system_prompt"],
        row["parameters"],
    )


async def find_question(pool: Pool, owner_id: UUID, conversation_id: UUID, message: str) -> Row:
    """Return id and parts of the user message that a message is, or answers.

    Raises
    ------
    Problem
        404 when there is none of this owner, 503 when the database is down.
    """
    terms = {
        "conversation_id": conversation_id,
        "owner_id": owner_id,
        "message": message,
        "message_uuid": parse_uuid(message),
    }
    return must_find("message", await statements.fetch_one(pool, _sql["find_question"], terms))


async def find_model(pool: Pool, owner_id: UUID, conversation_id: UUID) -> str | None:
    """Return the model of a conversation, ``None`` when there is no such conversation yet."""
    terms = {"id": conversation_id, "owner_id": owner_id}
    row = await statements.fetch_one(pool, _sql["find_model"], terms)
    return row["model"] if row else None


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


async def set_model_title(connection: Connection, conversation_id: UUID, title: str) -> bool:
    """Replace the title taken from the first prompt; false when a person's stands there."""
    cursor = await connection.execute(
        _sql["set_model_title"], {"id": conversation_id, "title": title}
    )
    return await cursor.fetchone() is not None


async def list_page(
    pool: Pool,
    owner_id: UUID,
    limit: int,
    before: PageKey | None,
    *,
    archived: bool = False,
    tag: str | None = None,
) -> list[Row]:
    """Return up to `limit` conversations that come after `before`: pinned, then last used first."""
    return await _page(
        pool,
        "list_conversations",
        before,
        {"owner_id": owner_id, "limit": limit, "archived": archived, "tag": tag},
    )


async def list_deleted(
    pool: Pool,
    owner_id: UUID,
    limit: int,
    before: PageKey | None,
    *,
    kept_for: float,
    tag: str | None = None,
) -> list[Row]:
    """Return up to `limit` conversations deleted in the last `kept_for` seconds, newest first."""
    return await _page(
        pool,
        "list_deleted_conversations",
        before,
        {"owner_id": owner_id, "limit": limit, "kept_for": kept_for, "tag": tag},
    )


async def list_tags(pool: Pool, owner_id: UUID, limit: int, after: str | None) -> list[Row]:
    """Return up to `limit` tags of the owner's conversations, by name: ``tag``, ``conversations``.

    Parameters
    ----------
    after
        Last tag of the page before.
    """
    terms = {"owner_id": owner_id, "limit": limit, "after": after}
    return await statements.fetch_all(pool, _sql["list_tags"], terms)


async def find(pool: Pool, owner_id: UUID, conversation_id: UUID) -> Row:
    """Return a conversation with the messages of its active branch, oldest first.

    Raises
    ------
    Problem
        404 when there is none of this owner.
    """
    async with connect(pool) as connection:
        return await read(connection, owner_id, conversation_id)


async def read(connection: Connection, owner_id: UUID, conversation_id: UUID) -> Row:
    """Do as `find` does, in the caller's transaction."""
    conversation = await _find(connection, owner_id, conversation_id)
    leaf_id = conversation.pop("active_leaf_id")
    cursor = await connection.execute(
        _sql["branch"], {"leaf_id": leaf_id, "conversation_id": conversation_id}
    )
    return {**conversation, "messages": await cursor.fetchall()}


async def require(pool: Pool, owner_id: UUID, conversation_id: UUID) -> None:
    """Raise the 404 problem unless the conversation exists and is the owner's."""
    async with connect(pool) as connection:
        await _find(connection, owner_id, conversation_id)


async def _find(connection: Connection, owner_id: UUID, conversation_id: UUID) -> Row:
    cursor = await connection.execute(
        _sql["find_conversation"], {"id": conversation_id, "owner_id": owner_id}
    )
    return must_find("conversation", await cursor.fetchone())


async def _page(pool: Pool, statement: str, before: PageKey | None, terms: Row) -> list[Row]:
    pinned, time, id = before or (None, None, None)
    key = {"before_pinned": pinned, "before_time": time, "before_id": id}
    return await statements.fetch_all(pool, _sql[statement], {**terms, **key})


def _title_of(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TITLE_CHARS else line[: _TITLE_CHARS - 1].rstrip() + "…"
