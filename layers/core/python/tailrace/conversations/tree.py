"""The branches of a conversation: which one is shown, and taking one away.

Called by the api application. Whoever changes a tree holds its conversation's lock, as a turn does,
so that the active leaf is always a message without any below it.
"""

from uuid import UUID

from tailrace.conversations import store
from tailrace.db import queries
from tailrace.db.pool import Connection, Pool, transaction
from tailrace.ids import parse_uuid
from tailrace.problems import Problem, not_found

_sql = queries.load("conversations")


async def select_branch(
    pool: Pool, owner_id: UUID, conversation_id: UUID, message: str
) -> store.Row:
    """Make the newest leaf below a message the active one and return the conversation.

    Raises
    ------
    Problem
        404 when there is no such message of this owner, 503 when the database is down.
    """
    async with transaction(pool) as connection:
        await _lock(connection, owner_id, conversation_id)
        found = await _find(connection, owner_id, conversation_id, message)
        leaf_id = await _newest(connection, conversation_id, found["id"])
        await _set_active_leaf(connection, owner_id, conversation_id, leaf_id)
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
    async with transaction(pool) as connection:
        conversation = await _lock(connection, owner_id, conversation_id)
        found = await _find(connection, owner_id, conversation_id, message)
        terms = {
            "id": found["id"],
            "conversation_id": conversation_id,
            "leaf_id": conversation["active_leaf_id"],
        }
        cursor = await connection.execute(_sql["look_below"], terms)
        below = await cursor.fetchone()
        assert below is not None
        if below["is_busy"]:
            raise Problem(
                409,
                "Being answered",
                "An answer on this branch is under way. Stop it first.",
                headers={"Retry-After": "2"},
            )
        await connection.execute(_sql["delete_branch"], terms)
        if below["has_leaf"]:
            leaf_id = await _newest(connection, conversation_id, found["parent_id"])
            await _set_active_leaf(connection, owner_id, conversation_id, leaf_id)
        return await store.read(connection, owner_id, conversation_id)


async def _lock(connection: Connection, owner_id: UUID, conversation_id: UUID) -> store.Row:
    cursor = await connection.execute(
        _sql["lock_conversation"], {"id": conversation_id, "owner_id": owner_id}
    )
    row = await cursor.fetchone()
    if row is None:
        raise not_found("conversation")
    return row


async def _find(
    connection: Connection, owner_id: UUID, conversation_id: UUID, message: str
) -> store.Row:
    cursor = await connection.execute(
        _sql["find_message"],
        {
            "conversation_id": conversation_id,
            "owner_id": owner_id,
            "message": message,
            "message_uuid": parse_uuid(message),
        },
    )
    row = await cursor.fetchone()
    if row is None:
        raise not_found("message")
    return row


async def _newest(
    connection: Connection, conversation_id: UUID, message_id: UUID | None
) -> UUID | None:
    """Return the newest leaf below a message, or of the whole conversation."""
    name = "find_newest_message" if message_id is None else "find_newest_leaf"
    cursor = await connection.execute(
        _sql[name], {"id": message_id, "conversation_id": conversation_id}
    )
    row = await cursor.fetchone()
    return row["id"] if row else None


async def _set_active_leaf(
    connection: Connection, owner_id: UUID, conversation_id: UUID, leaf_id: UUID | None
) -> None:
    await connection.execute(
        _sql["set_active_leaf"], {"id": conversation_id, "owner_id": owner_id, "leaf_id": leaf_id}
    )
