"""Reading numbers: one moment of the database, for so long at most."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg.errors import QueryCanceled

from tailrace.db import queries
from tailrace.db.pool import Connection, Pool, transaction
from tailrace.problems import Problem

_sql = queries.load("metrics")


@asynccontextmanager
async def reading(pool: Pool) -> AsyncIterator[Connection]:
    """Yield a connection whose statements all see the same moment, and may only read.

    Raises
    ------
    Problem
        422 when a statement takes too long for whoever waits, 503 when the database cannot be
        reached.
    """
    async with transaction(pool) as connection:
        await connection.execute(_sql["begin_reading"])
        try:
            yield connection
        except QueryCanceled:
            raise Problem(
                422, "Too much to read", "This takes too long: choose a shorter span of time."
            ) from None
