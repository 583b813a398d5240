"""The day partitions of the inference log, made before the first event of their day.

Called by `tailrace.maintenance`. A day that came without one filled the default partition; its
rows move when the partition is made. Nothing is ever dropped here.
"""

import logging
from datetime import UTC, date, datetime, time, timedelta

from psycopg import sql
from psycopg.errors import LockNotAvailable

from tailrace.db import queries
from tailrace.db.pool import Connection, Pool, connect, transaction

_log = logging.getLogger(__name__)
_sql = queries.load("maintenance")

# Any constant does, as long as nothing else in the database takes the same lock.
_LOCK = 0x7461_696C_7061_7274


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
    first = today or datetime.now(UTC).date()
    days = [first + timedelta(days=number) for number in range(days_ahead + 1)]
    async with connect(pool) as connection:
        if not await _find_missing(connection, days):
            return []
    try:
        return await _create(pool, days)
    except _InUse:
        _log.warning("partitions must wait: somebody is using the default partition")
        return []


class _InUse(Exception):
    """The default partition could not be locked in time."""


async def _find_missing(connection: Connection, days: list[date]) -> list[date]:
    cursor = await connection.execute(_sql["find_partitions"])
    existing = {row["name"] for row in await cursor.fetchall()}
    return [day for day in days if _name(day) not in existing]


async def _create(pool: Pool, days: list[date]) -> list[str]:
    # One transaction for all: each that changes the partitions makes ingestion try again.
    async with transaction(pool) as connection:
        try:
            await connection.execute(_sql["limit_lock_wait"])
            await connection.execute(_sql["lock_partitions"], {"key": _LOCK})
            missing = await _find_missing(connection, days)
            for day in missing:
                start = datetime.combine(day, time(), UTC)
                terms = {
                    "name": sql.Identifier(_name(day)),
                    "start": sql.Literal(start),
                    "end": sql.Literal(start + timedelta(days=1)),
                }
                await connection.execute(sql.SQL(_sql["create_partition"]).format(**terms))
                await connection.execute(_sql["lock_default_partition"])
                for step in ("move_from_default_partition", "attach_partition"):
                    await connection.execute(sql.SQL(_sql[step]).format(**terms))
        except LockNotAvailable as error:
            raise _InUse from error
    return [_name(day) for day in missing]


def _name(day: date) -> str:
    return f"inference_log_{day:%Y%m%d}"
