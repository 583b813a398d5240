"""Stops writers of the inference log where they are, so that a test can act at that very point."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from tailrace.services import Services


class HeldLock:
    """A lock that keeps writers out."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection

    async def wait_for_waiters(self, count: int = 1) -> None:
        """Return when so many writers wait for the lock."""
        query = "SELECT count(*) FROM pg_locks WHERE relation = 'inference_log'::regclass"
        async with asyncio.timeout(30):
            while True:
                cursor = await self._connection.execute(f"{query} AND NOT granted")
                row = await cursor.fetchone()
                if row and row[0] >= count:
                    return
                await asyncio.sleep(0.01)

    async def release(self) -> None:
        """Let the writers go on."""
        await self._connection.rollback()


@asynccontextmanager
async def hold_writers(services: Services) -> AsyncIterator[HeldLock]:
    """Keep writers out of the inference log; readers read on."""
    url = services.settings.database_url.get_secret_value()
    connection = await psycopg.AsyncConnection.connect(url)
    try:
        await connection.execute("LOCK TABLE inference_log IN SHARE ROW EXCLUSIVE MODE")
        yield HeldLock(connection)
    finally:
        await connection.close()
