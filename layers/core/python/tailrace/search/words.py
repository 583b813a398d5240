"""The words of each owner's texts, kept up to date by maintenance.

Triggers note which words came with a text or went with it; here they become the vocabulary that
misspelt queries are compared with. A word goes when the last text goes that held it.
"""

import time

from tailrace.db import queries
from tailrace.db.pool import Pool, transaction

_sql = queries.load("search")

_BATCH = 500
# Seconds; what is left waits for the next maintenance.
_PATIENCE = 20.0


async def refresh_words(pool: Pool) -> int:
    """Learn and forget the words that changed; return the number of texts they changed with.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached.
    """
    until = time.monotonic() + _PATIENCE
    total = 0
    while time.monotonic() < until:
        taken = await _refresh_batch(pool)
        total += taken
        if taken < _BATCH:
            break
    return total


async def _refresh_batch(pool: Pool) -> int:
    async with transaction(pool) as connection:
        cursor = await connection.execute(_sql["lock_words"])
        row = await cursor.fetchone()
        if row is None or not row["locked"]:
            return 0
        cursor = await connection.execute(_sql["take_changes"], {"limit": _BATCH})
        rows = await cursor.fetchall()
        for row in rows:
            if row["owner_id"] is not None:
                await connection.execute(
                    _sql["forget_words"], {"owner_id": row["owner_id"], "words": row["words"]}
                )
        return rows[0]["taken"]
