"""The branches of a conversation: which one is shown, and taking one away.

Called by the api application. Whoever changes a tree holds its conversation's lock, as a turn does,
so that the active leaf is always a message without any below it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from tailrace.conversations import store
from tailrace.db import queries, statements
from tailrace.db.pool import Connection, Pool, connect, transaction
from tailrace.ids import parse_uuid
from tailrace.problems import Problem, must_find

_sql = queries.load("conversations")


class Extent(NamedTuple):
    """A message with everything below it.

    Attributes
    ----------
    messages
        How many they are, the message itself among them.
    branches
        How many branches end in them.
    """

    messages: int
    branches: int


async def find_head(pool: Pool, owner_id: UUID, conversation_id: UUID) -> store.Row:
    """Return where the branch that is shown ends: cheap, for one who looks again and again.

    Returns
    -------
    dict
        ``active_leaf_id`` and its ``status``, ``None`` without messages, and ``active_run_id``.

    Raises
    ------
    Problem
        404 when there is none of this owner, 503 when the database is down.
    """
    terms = {"id": conversation_id, "owner_id": owner_id}
    return must_find("conversation", await statements.fetch_one(pool, _sql["find_head"], terms))


async def measure_branch(pool: Pool, owner_id: UUID, conversation_id: UUID, message: str) -> Extent:
    """Return how much `delete_branch` would delete.

    Raises
    ------
    Problem
        404 when there is no such message of this owner, 503 when the database is down.
    """
    await store.require(pool, owner_id, conversation_id)
    async with connect(pool) as connection:
        rows = await _tree(connection, {"id": conversation_id, "owner_id": owner_id})
    ids = _below(rows, _find(rows, message)["id"])
    parents = {row["parent_id"] for row in rows}
    return Extent(len(ids), sum(id not in parents for id in ids))


async def select_branch(
    pool: Pool, owner_id: UUID, conversation_id: UUID, message: str
) -> store.Row:
    """Make the newest leaf below a message the active one and return the conversation.

    Raises
    ------
    Problem
        404 when there is no such message of this owner, 503 when the database is down.
    """
    scope: dict[str, Any] = {"id": conversation_id, "owner_id": owner_id}
    async with transaction(pool) as connection:
        await _lock(connection, scope)
        rows = await _tree(connection, scope)
        leaf_id = _below(rows, _find(rows, message)["id"])[-1]
        await connection.execute(_sql["set_active_leaf"], {**scope, "leaf_id": leaf_id})
        return await store.read(connection, owner_id, conversation_id)


async def delete_branch(
    pool: Pool, owner_id: UUID, conversation_id: UUID, message: str
) -> store.Row:
    """Delete a message with everything below it and return the conversation.

    When the active leaf goes with them, the newest leaf of what stood beside them takes its place,
    or else the message above.

    Raises
    ------
    Problem
        404 when there is no such message of this owner, 409 while an answer among them is under
        way, 503 when the database is down.
    """
    scope: dict[str, Any] = {"id": conversation_id, "owner_id": owner_id}
    async with transaction(pool) as connection:
        leaf_id = await _lock(connection, scope)
        rows = await _tree(connection, scope)
        found = _find(rows, message)
        ids = _below(rows, found["id"])
        cursor = await connection.execute(_sql["is_under_way"], {"ids": ids})
        row = await cursor.fetchone()
        if row and row["found"]:
            raise Problem(
                409,
                "Being answered",
                "An answer on this branch is under way. Stop it first.",
                headers={"Retry-After": "2"},
            )
        await connection.execute(_sql["delete_messages"], {**scope, "ids": ids})
        if leaf_id in ids:
            gone = set(ids)
            left = [id for id in _below(rows, found["parent_id"]) if id not in gone]
            leaf_id = left[-1] if left else None
            await connection.execute(_sql["set_active_leaf"], {**scope, "leaf_id": leaf_id})
        return await store.read(connection, owner_id, conversation_id)


async def _lock(connection: Connection, scope: dict[str, Any]) -> UUID | None:
    """Keep others from changing the tree and return its active leaf."""
    cursor = await connection.execute(_sql["lock_conversation"], scope)
    return must_find("conversation", await cursor.fetchone())["active_leaf_id"]


async def _tree(connection: Connection, scope: dict[str, Any]) -> list[store.Row]:
    return await (await connection.execute(_sql["list_tree"], scope)).fetchall()


def _find(rows: Iterable[store.Row], message: str) -> store.Row:
    """Return a message by the id its client gave it, or by its own."""
    id = parse_uuid(message)
    own = None
    for row in rows:
        if row["client_message_id"] == message:
            return row
        if row["id"] == id:
            own = row
    return must_find("message", own)


def _below(rows: Iterable[store.Row], id: UUID | None) -> list[UUID]:
    """Return a message and all below it, or every message; the last one, the newest, is a leaf."""
    found = {id}
    below = []
    for row in rows:
        if row["id"] == id or row["parent_id"] in found:
            found.add(row["id"])
            below.append(row["id"])
    return below
