"""Purges conversations that were deleted long enough ago.

Called by `tailrace.maintenance`. Messages, files and feedback go; the calls they took stay counted,
but tell neither which conversation they were made for nor a word of it.
"""

from typing import TYPE_CHECKING

from tailrace.db import queries
from tailrace.db.pool import transaction

if TYPE_CHECKING:
    from tailrace.services import Services

_sql = queries.load("maintenance")

# Conversations of one transaction, and transactions of one maintenance.
_BATCH = 100
_BATCHES = 50


async def purge_deleted(services: "Services") -> int:
    """Purge conversations that can no longer be restored; return how many they were.

    One whose calls have not all reached the inference log waits for the next time, since nothing
    would take its id from them later.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached; what is not purged yet stays as it is.
    """
    kept_for = services.settings.deleted_kept_for
    purged = 0
    for _ in range(_BATCHES):
        async with transaction(services.pool) as connection:
            cursor = await connection.execute(
                _sql["take_purgeable"], {"kept_for": kept_for, "limit": _BATCH}
            )
            terms = {"ids": [row["id"] for row in await cursor.fetchall()]}
            if terms["ids"]:
                await connection.execute(_sql["forget_conversations"], terms)
                await connection.execute(_sql["purge_conversations"], terms)
        purged += len(terms["ids"])
        if len(terms["ids"]) < _BATCH:
            break
    return purged
