"""Stops writers of the inference log where they are, so that a test can act at that very point."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from tailrace.services import Services


class HeldLock:
    """A lock that keeps writers out, held by a transaction of `connection`."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self.connection = connection

    async def wait_for_waiters(self, count: int = 1) -> None:
        """Return when so many writers wait for the lock."""
        query = (
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        async with asyncio.timeout(120):
            while True:
                cursor = await self.connection.execute(query)
                row = await cursor.fetchone()
                if row and row[0] >= count:
                    return
                await asyncio.sleep(0.01)

    async def release(self) -> None:
        """Let the writers go on; what `connection` did meanwhile is kept."""
        await self.connection.commit()


@asynccontextmanager
async def hold_writers(
    services: Services, table: str = "inference_log", mode: str = "SHARE ROW EXCLUSIVE"
) -> AsyncIterator[HeldLock]:
    """Keep writers out of the inference log or one of its partitions."""
    url = services.settings.database_url.get_secret_value()
    connection = await psycopg.AsyncConnection.connect(url)
    try:
        await connection.execute(f"LOCK TABLE {table} IN {mode} MODE".encode())
        yield HeldLock(connection)
    finally:
        await connection.close()
