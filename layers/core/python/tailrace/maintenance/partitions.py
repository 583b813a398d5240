"""The day partitions of the inference log, made before the first event of their day.

Called by `tailrace.maintenance`. A day that came without one filled the default partition; its
rows move when the partition is made. Nothing is ever dropped here.
"""

import logging
from datetime import UTC, date, datetime, time, timedelta

from psycopg import sql
from psycopg.errors import LockNotAvailable

from tailrace.db import queries
from tailrace.db.pool import Pool, connect, transaction

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
        Names of the partitions created, such as ``inference_log_20261121``. A day is left for
        the next time when somebody reads the default partition for too long.

    Raises
    ------
    Problem
        503 when the database cannot be reached.
    """
    first = today or datetime.now(UTC).date()
    async with connect(pool) as connection:
        cursor = await connection.execute(_sql["find_partitions"])
        existing = {row["name"] for row in await cursor.fetchall()}
    created: list[str] = []
    for number in range(days_ahead + 1):
        day = first + timedelta(days=number)
        name = f"inference_log_{day:%Y%m%d}"
        if name not in existing and await _create(pool, name, day):
            created.append(name)
    return created


async def _create(pool: Pool, name: str, day: date) -> bool:
    start = datetime.combine(day, time(), UTC)
    terms = {
        "name": sql.Identifier(name),
        "start": sql.Literal(start),
        "end": sql.Literal(start + timedelta(days=1)),
    }
    async with transaction(pool) as connection:
        await connection.execute(_sql["lock_partitions"], {"key": _LOCK})
        cursor = await connection.execute(_sql["find_partitions"])
        if any(row["name"] == name for row in await cursor.fetchall()):
            return False
        await connection.execute(_sql["limit_lock_wait"])
        try:
            # A savepoint, since this failure is no reason to call the database unreachable.
            async with connection.transaction():
                await connection.execute(sql.SQL(_sql["create_partition"]).format(**terms))
                await connection.execute(_sql["lock_default_partition"])
                for step in ("move_from_default_partition", "attach_partition"):
                    await connection.execute(sql.SQL(_sql[step]).format(**terms))
        except LockNotAvailable:
            _log.warning("%s waits: inference_log_default is in use", name)
            return False
    return True
