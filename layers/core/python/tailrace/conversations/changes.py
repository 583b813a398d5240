"""What a person arranges about a conversation: its title, its place in the list, how it is held.

Called by the api application. A deleted conversation is hidden everywhere at once and can be
restored until maintenance purges it.
"""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from tailrace.conversations import store
from tailrace.db import queries, statements
from tailrace.db.pool import Pool, transaction
from tailrace.problems import not_found

_sql = queries.load("conversations")

_FIELDS = ("title", "model", "tags", "pinned", "archived", "system_prompt")


async def change(
    pool: Pool, owner_id: UUID, conversation_id: UUID, changes: dict[str, Any]
) -> store.Row:
    """Change what is named and return the conversation with its messages.

    Parameters
    ----------
    changes
        Any of ``title``, ``model``, ``tags``, ``pinned``, ``archived``, ``system_prompt`` (``None``
        takes it away) and ``parameters``. A title set here is a person's: no model replaces it.

    Raises
    ------
    Problem
        404 when there is none of this owner, 503 when the database is down.
    """
    terms = {name: changes.get(name) for name in _FIELDS}
    parameters = Jsonb(changes["parameters"]) if "parameters" in changes else None
    async with transaction(pool) as connection:
        await connection.execute(
            _sql["change_conversation"],
            {
                **terms,
                "id": conversation_id,
                "owner_id": owner_id,
                "sets_system_prompt": "system_prompt" in changes,
                "parameters": parameters,
            },
        )
        return await store.read(connection, owner_id, conversation_id)


async def delete(pool: Pool, owner_id: UUID, conversation_id: UUID) -> None:
    """Hide a conversation until it is restored or purged.

    Raises
    ------
    Problem
        404 when there is none of this owner, 503 when the database is down.
    """
    terms = {"id": conversation_id, "owner_id": owner_id}
    if await statements.fetch_one(pool, _sql["delete_conversation"], terms) is None:
        raise not_found("conversation")


async def restore(
    pool: Pool, owner_id: UUID, conversation_id: UUID, *, kept_for: float
) -> store.Row:
    """Take a deletion back and return the conversation; nothing happens to one that is not deleted.

    Parameters
    ----------
    kept_for
        Seconds after its deletion for which a conversation can be restored.

    Raises
    ------
    Problem
        404 when there is none of this owner, or it was deleted too long ago, 503 when the database
        is down.
    """
    async with transaction(pool) as connection:
        await connection.execute(
            _sql["restore_conversation"],
            {"id": conversation_id, "owner_id": owner_id, "kept_for": kept_for},
        )
        return await store.read(connection, owner_id, conversation_id)
