"""The list of calls, page by page."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tailrace import cursor as cursors
from tailrace.db import queries
from tailrace.db.pool import Pool, connect
from tailrace.metrics.money import usd

_sql = queries.load("metrics")


async def calls(
    pool: Pool,
    owner_id: UUID | None,
    start: datetime,
    end: datetime,
    limit: int,
    before: tuple[datetime, UUID] | None = None,
) -> dict[str, Any]:
    """Return a page of the calls that started in ``[start, end)``, the newest first.

    Parameters
    ----------
    owner_id
        Whose calls; everybody's when ``None``.
    before
        Start and id of the last call of the page before.

    Returns
    -------
    dict
        ``items``, and the ``next_cursor`` or ``None``; times are aware, durations in seconds,
        ``cost_usd`` decimal text.

    Raises
    ------
    Problem
        503 when the database cannot be reached.
    """
    before_time, before_id = before or (None, None)
    if before_time is not None and before_time < end:
        # Of two bounds the index starts at the first it meets: leave it no choice.
        end = before_time + timedelta(microseconds=1)
    async with connect(pool) as connection:
        # A plan made for these bounds reads their partitions alone: none is kept.
        cursor = await connection.execute(
            _sql["calls"],
            {
                "owner_id": owner_id,
                "start": start,
                "end": end,
                "before_time": before_time,
                "before_id": before_id,
                "limit": limit + 1,
            },
            prepare=False,
        )
        rows = await cursor.fetchall()
    items = [{**row, "cost_usd": usd(row["cost_usd"])} for row in rows[:limit]]
    last = items[-1] if len(rows) > limit else None
    return {
        "items": items,
        "next_cursor": cursors.encode(last["started_at"], last["id"]) if last else None,
    }
