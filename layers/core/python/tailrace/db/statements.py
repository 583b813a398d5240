"""One statement by itself: run on a connection of the pool, and committed when it is done.

Called by whatever reads or changes a row or a page in one go; several statements that belong
together go through `tailrace.db.pool.transaction`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import DictRow

from tailrace.db.pool import Pool, connect

#: Where a page begins of a list that is sorted by time: time and id of the row before it.
TimeKey = tuple[datetime, UUID]


async def fetch_one(
    pool: Pool, statement: LiteralString, terms: Mapping[str, Any]
) -> DictRow | None:
    """Return the first row of a statement, ``None`` when it has none.

    Raises
    ------
    Problem
        As `connect` does.
    """
    async with connect(pool) as connection:
        return await (await connection.execute(statement, terms)).fetchone()


async def fetch_all(
    pool: Pool, statement: LiteralString, terms: Mapping[str, Any]
) -> list[DictRow]:
    """Return the rows of a statement.

    Raises
    ------
    Problem
        As `connect` does.
    """
    async with connect(pool) as connection:
        return await (await connection.execute(statement, terms)).fetchall()


async def execute(pool: Pool, statement: LiteralString, terms: Mapping[str, Any]) -> int:
    """Run a statement, and return how many rows it changed.

    Raises
    ------
    Problem
        As `connect` does.
    """
    async with connect(pool) as connection:
        return (await connection.execute(statement, terms)).rowcount


def before(key: TimeKey | None) -> dict[str, datetime | UUID | None]:
    """Return the terms ``before_time`` and ``before_id``, by which a page begins; none is first."""
    time, id = key or (None, None)
    return {"before_time": time, "before_id": id}
