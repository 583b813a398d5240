"""The connection pool, and what happens when PostgreSQL cannot be reached.

One pool per process. A connection that the server closed while it lay idle (a restart, a Lambda
thawed after hours) is replaced before anyone is handed it.
"""

import select
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection, InterfaceError, OperationalError
from psycopg.errors import AdminShutdown, ForeignKeyViolation
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from tailrace.problems import Problem, unavailable
from tailrace.settings import Settings

Connection = AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]

#: What psycopg raises when the server, rather than the statement, is at fault.
UNREACHABLE = (OperationalError, InterfaceError, AdminShutdown, PoolTimeout, PoolClosed)

# After this idle time, in seconds, a dead peer may not have told our kernel: ask it. By the wall
# clock, since the monotonic one may stand still while a function is frozen.
_TRUST_IDLE = 30.0

# Milliseconds after which a database that sleeps ends an idle session, of a frozen function too;
# schedules that have work keep theirs from minute to minute.
_SESSION_IDLE_MS = 90_000

# What the columns that refer to a user are called.
_OF_USERS = ("_owner_id_fkey", "_user_id_fkey")


def create_pool(settings: Settings) -> Pool:
    """Return a pool that is not open yet; opening it does not wait for the server."""
    options = "-c timezone=UTC"
    if settings.database_sleeps:
        options += f" -c idle_session_timeout={_SESSION_IDLE_MS}"
    return AsyncConnectionPool(
        settings.database_url.get_secret_value(),
        connection_class=AsyncConnection[DictRow],
        kwargs={
            "row_factory": dict_row,
            "autocommit": True,
            "connect_timeout": max(2, round(settings.database_timeout)),
            # A peer that is gone without a word is given up while there is time for another try.
            "tcp_user_timeout": round(settings.database_timeout * 500),
            "options": options,
        },
        min_size=1,
        max_size=settings.database_pool_size,
        timeout=settings.database_timeout,
        check=_check,
        reset=_stamp,
        open=False,
    )


@asynccontextmanager
async def connect(pool: Pool) -> AsyncIterator[Connection]:
    """Yield a connection that commits every statement by itself.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached, 401 when the user whom a row is for was deleted while
        the request was under way.
    """
    try:
        async with pool.connection() as connection:
            yield connection
    except UNREACHABLE as error:
        raise unavailable("The database cannot be reached.") from error
    except ForeignKeyViolation as error:
        if not (error.diag.constraint_name or "").endswith(_OF_USERS):
            raise
        raise Problem(401, "Not signed in", "This account is gone.") from None


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Yield a connection inside one transaction, committed at the end of the block.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached; nothing was written.
    """
    async with connect(pool) as connection, connection.transaction():
        yield connection


@asynccontextmanager
async def pipeline(pool: Pool) -> AsyncIterator[Connection]:
    """Yield a connection inside one transaction whose statements wait only for what is fetched.

    Several statements then travel in one round trip; what fails shows at the next fetch, or at
    the end of the block.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached; nothing was written.
    """
    async with connect(pool) as connection, connection.pipeline(), connection.transaction():
        yield connection


async def _stamp(connection: Connection) -> None:
    connection.__dict__["_idle_since"] = time.time()


async def _check(connection: Connection) -> None:
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    if readable:
        # An idle connection has nothing to say but that it was closed; the pool would take it
        # back if we did not close it as well.
        await connection.close()
        raise OperationalError("the server closed the connection")
    if time.time() - connection.__dict__.get("_idle_since", 0.0) > _TRUST_IDLE:
        await connection.execute("SELECT 1")
