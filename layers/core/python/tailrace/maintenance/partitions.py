"""The day partitions of the inference log, made before the first event of their day.

Called by `tailrace.maintenance`. Events of a day that had none went to the default partition;
`sweep` moves them into the partition of their day, in pieces: each piece is a transaction of half a
second or so that holds up ingestion, and whoever reads the default partition. A row is found before
and after, in one place or the other; triggers do not see it move. Nothing is dropped here.

A day of very many such events ends up as several partitions of parts of it, since a partition
cannot grow: the newest part has the day's name, earlier ones the time they begin at behind it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable

from tailrace.db import queries
from tailrace.db.pool import Connection, Pool, connect, transaction

_log = logging.getLogger(__name__)
_sql = queries.load("storage")

# Any constant does, as long as nothing else in the database takes the same lock.
_LOCK = 0x7461_696C_7061_7274

_DAY = timedelta(days=1)
# Rows that one transaction moves.
_PIECE = 10_000
# Clocks that are wrong must not fill the catalogue with days; beyond, events stay where they are.
_MOST = 5_000
# Days that are looked for at a time.
_DAYS = 50


class InUse(Exception):
    """Somebody uses a table for longer than we may let others wait behind us."""


class Partition(NamedTuple):
    """A partition of the log: the events from `starts_at` until before `ends_at`."""

    name: str
    starts_at: datetime
    ends_at: datetime


async def create_partitions(pool: Pool, days_ahead: int, today: date | None = None) -> list[str]:
    """Create the partitions of today and of the days ahead that are missing.

    Parameters
    ----------
    today
        First day, in UTC; the current one if none is given.

    Returns
    -------
    list of str
        Names of the partitions created, such as ``inference_log_20261121``; none when somebody
        reads the default partition for so long that they must wait for the next time.

    Raises
    ------
    Problem
        503 when the database cannot be reached.
    """
    first = _midnight(today or datetime.now(UTC).date())
    days = [first + number * _DAY for number in range(days_ahead + 1)]
    if not await _without_home(pool, days):
        return []
    try:
        # One transaction for all: each that changes the partitions makes ingestion try again.
        async with change_partitions(pool) as connection:
            existing = await _find(connection)
            missing = [day for day in days if not _parts(existing, day)]
            created = [(await _add_part(connection, day, existing))[0].name for day in missing]
    except InUse:
        _log.warning("partitions must wait: somebody is using the default partition")
        return []
    return created


async def sweep(
    pool: Pool,
    days_ahead: int,
    today: date | None = None,
    *,
    is_time_up: Callable[[], bool] = lambda: False,
    piece: int = _PIECE,
) -> int:
    """Move events of the default partition into partitions of their days; return how many.

    Those dated later than `days_ahead` wait until their day is near.

    Parameters
    ----------
    is_time_up
        Asked before each piece; what is left then waits for the next time.
    piece
        Rows of one transaction.

    Raises
    ------
    Problem
        503 when the database cannot be reached; what was moved stays moved.
    """
    before = _midnight(today or datetime.now(UTC).date()) + (days_ahead + 1) * _DAY
    clock = asyncio.get_running_loop().time
    moved = 0
    try:
        while not is_time_up():
            async with connect(pool) as connection:
                terms = {"before": before, "limit": _DAYS}
                found = await connection.execute(_sql["find_days_in_default_partition"], terms)
                days = [row["day"] for row in await found.fetchall()]
            if not days:
                break
            # Where events come in at this moment, first.
            for day in reversed(days):
                is_done = False
                while not is_done and not is_time_up():
                    begun = clock()
                    rows, is_done = await _move(pool, day, piece)
                    moved += rows
                    # Ingestion gets as much time as we take.
                    await asyncio.sleep(clock() - begun)
    except InUse:
        _log.warning("the default partition is in use; the rest of it is swept later")
    except _TooMany:
        _log.warning("%d partitions are enough: the default one keeps what it has", _MOST)
    return moved


@asynccontextmanager
async def change_partitions(pool: Pool) -> AsyncIterator[Connection]:
    """Yield a connection inside a transaction that alone changes partitions.

    Raises
    ------
    InUse
        When it would have to wait for a table too long; nothing is changed then.
    Problem
        503 when the database cannot be reached.
    """
    async with transaction(pool) as connection:
        try:
            await connection.execute(_sql["limit_lock_wait"])
            await connection.execute(_sql["lock_partitions"], {"key": _LOCK})
            yield connection
        except (LockNotAvailable, DeadlockDetected) as error:
            raise InUse from error


async def partitions(pool: Pool) -> list[Partition]:
    """Return the partitions that are of a time, the oldest first.

    Raises
    ------
    Problem
        503 when the database cannot be reached.
    """
    async with connect(pool) as connection:
        return await _find(connection)


class _TooMany(Exception):
    """There are as many partitions as there may be."""


async def _without_home(pool: Pool, days: list[datetime]) -> list[datetime]:
    existing = await partitions(pool)
    return [day for day in days if not _parts(existing, day)]


async def _move(pool: Pool, day: datetime, piece: int) -> tuple[int, bool]:
    """Move one piece of a day; return how many rows it was and whether the day has none left."""
    async with change_partitions(pool) as connection:
        existing = await _find(connection)
        if len(existing) >= _MOST:
            raise _TooMany
        parts = _parts(existing, day)
        if parts and parts[0].starts_at == day:
            # Somebody else was faster.
            return 0, True
        part, rows = await _add_part(connection, day, existing, piece)
    return rows, part.starts_at == day


async def _find(connection: Connection) -> list[Partition]:
    cursor = await connection.execute(_sql["find_partitions"])
    return [Partition(**row) for row in await cursor.fetchall()]


async def _add_part(
    connection: Connection, day: datetime, existing: list[Partition], piece: int = _PIECE
) -> tuple[Partition, int]:
    """Give the newest events of a day that have none a partition; return it and their number."""
    parts = _parts(existing, day)
    end = parts[0].starts_at if parts else day + _DAY
    await connection.execute(_sql["hold_writers"])
    await connection.execute(_sql["lock_default_partition"])
    terms = {"start": day, "end": end, "rows": piece}
    found = await (await connection.execute(_sql["find_piece"], terms)).fetchone()
    start: datetime = found["started_at"] if found else day
    name = f"inference_log_{day:%Y%m%d}" + (f"_{start:%H%M%S%f}" if parts else "")
    names = {
        "name": sql.Identifier(name),
        "start": sql.Literal(start),
        "end": sql.Literal(end),
    }
    rows = 0
    for step in ("create_partition", "move_from_default_partition", "attach_partition"):
        cursor = await connection.execute(sql.SQL(_sql[step]).format(**names))
        if step == "move_from_default_partition":
            rows = cursor.rowcount
    return Partition(name, start, end), rows


def _parts(existing: list[Partition], day: datetime) -> list[Partition]:
    """Return the partitions that a day has, the earliest first."""
    return [each for each in existing if day <= each.starts_at < day + _DAY]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
