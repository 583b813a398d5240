"""``tailrace rollups rebuild``: makes rollups anew from the log, by the code that keeps them.

For whoever suspects them, or changed the log by hand. Safe while calls come in: a day at a time,
each in a transaction that ingestion waits for.
"""

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from tailrace.db import queries
from tailrace.db.pool import connect, transaction

if TYPE_CHECKING:
    from tailrace.services import Services

_sql = queries.load("rollups")


class RebuildReport(msgspec.Struct):
    """What a rebuild did.

    Attributes
    ----------
    days
        Days (UTC) whose rollups were made anew.
    requests
        Calls that these count.
    kept
        Days left as they are, since the log no longer holds all of their calls.
    """

    days: int = 0
    requests: int = 0
    kept: list[str] = []


async def rebuild(
    services: "Services",
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    force: bool = False,
) -> RebuildReport:
    """Make the rollups of the days in ``[start, end)`` anew; of all days without bounds.

    Parameters
    ----------
    force
        Count what the log holds, even where it no longer holds everything.

    Raises
    ------
    Problem
        503 when the database cannot be reached; days done before stay done.
    """
    report = RebuildReport()
    async with connect(services.pool) as connection:
        cursor = await connection.execute(_sql["find_days"], {"start": start, "end": end})
        days = [row["day"] for row in await cursor.fetchall()]
    for day in days:
        async with transaction(services.pool) as connection:
            cursor = await connection.execute(_sql["rebuild"], {"day": day, "force": force})
            row = await cursor.fetchone()
        counted = row["counted"] if row else None
        if counted is None:
            report.kept.append(f"{day:%Y-%m-%d}")
        else:
            report.days += 1
            report.requests += counted
    return report
