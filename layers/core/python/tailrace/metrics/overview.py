"""The overview: sums and percentiles of a span of time, as a whole, by model and over time."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tailrace.db import queries
from tailrace.db.pool import Pool, connect
from tailrace.metrics.money import usd
from tailrace.problems import invalid

_sql = queries.load("metrics")

# Widths that people read off a time axis, in seconds; beyond, whole days.
_DAY = 86_400
_WIDTHS = (
    *(1, 2, 5, 10, 15, 20, 30),
    *(minutes * 60 for minutes in (1, 2, 5, 10, 15, 20, 30)),
    *(hours * 3600 for hours in (1, 2, 3, 4, 6, 8, 12)),
    *(days * _DAY for days in (1, 2, 3, 5, 7)),
)
_POINTS = 60

# A Monday, at midnight.
_ORIGIN = datetime(2001, 1, 1, tzinfo=UTC)

_PERCENTILES = ("p50", "p95", "p99")


async def overview(
    pool: Pool, owner_id: UUID | None, start: datetime, end: datetime
) -> dict[str, Any]:
    """Sum up the calls that started in ``[start, end)``.

    Parameters
    ----------
    owner_id
        Whose calls; everybody's when ``None``.
    start, end
        Aware times, `start` before `end`.

    Returns
    -------
    dict
        Counts; sums; percentiles in seconds, ``None`` where nothing was measured; ``cost_usd``
        as decimal text, the sum of what is known; ``by_model``, the busiest first; ``series``,
        about 60 buckets of ``bucket_seconds`` without gaps, of which the first and the last may
        reach beyond the span.

    Raises
    ------
    Problem
        422 for a span that no event can lie in, 503 when the database cannot be reached.
    """
    for field, time in (("from", start), ("to", end)):
        # The years that `tailrace.telemetry.event` takes; beyond, dates cannot be reckoned with.
        if not 1970 <= time.year < 9999:
            raise invalid(field, "Must lie within the years 1970 to 9998.")
    width = bucket_seconds(start, end)
    async with connect(pool) as connection:
        # A plan made for these bounds reads their partitions alone: none is kept.
        cursor = await connection.execute(
            _sql["overview"],
            {
                "owner_id": owner_id,
                "start": start,
                "end": end,
                "bucket_seconds": width,
                "origin": _ORIGIN,
            },
            prepare=False,
        )
        rows = await cursor.fetchall()
    total = next(row for row in rows if not row["is_model"] and not row["is_bucket"])
    by_bucket = {row["bucket"]: row for row in rows if row["is_bucket"]}
    return {
        "from": start,
        "to": end,
        **_sums(total),
        "cancelled": total["cancelled"],
        "unpriced_requests": total["unpriced_requests"],
        "duration": _named(total["duration"]),
        "time_to_first_chunk": _named(total["time_to_first_chunk"]),
        "by_model": [_model(row) for row in rows if row["is_model"]],
        "series": [_point(at, by_bucket.get(at)) for at in _buckets(start, end, width)],
        "bucket_seconds": width,
    }


def bucket_seconds(start: datetime, end: datetime) -> int:
    """Return the width that cuts a span into about 60 buckets."""
    ideal = (end - start).total_seconds() / _POINTS
    if ideal > _WIDTHS[-1]:
        return math.ceil(ideal / _DAY) * _DAY
    # Nearest by ratio: half as many buckets are as far off as twice as many.
    return min(_WIDTHS, key=lambda width: abs(math.log(width / ideal)))


def _buckets(start: datetime, end: datetime, width: int) -> list[datetime]:
    step = timedelta(seconds=width)
    first = _ORIGIN + (start - _ORIGIN) // step * step
    return [first + number * step for number in range(-((first - end) // step))]


def _sums(row: dict[str, Any]) -> dict[str, Any]:
    requests, errors = row["requests"], row["errors"]
    return {
        "requests": requests,
        "errors": errors,
        "error_rate": errors / requests if requests else 0.0,
        "input_tokens": int(row["input_tokens"]),
        "output_tokens": int(row["output_tokens"]),
        "cost_usd": usd(row["cost_usd"]),
    }


def _model(row: dict[str, Any]) -> dict[str, Any]:
    duration = row["duration"] or (None, None, None)
    first_chunk = row["time_to_first_chunk"] or (None, None, None)
    return {
        "provider_name": row["provider_name"],
        "request_model": row["request_model"],
        **_sums(row),
        "duration_p50": duration[0],
        "duration_p95": duration[1],
        "time_to_first_chunk_p50": first_chunk[0],
    }


def _point(start: datetime, row: dict[str, Any] | None) -> dict[str, Any]:
    duration, first_chunk = (
        (row[name] or (None, None, None)) if row else (None, None, None)
        for name in ("duration", "time_to_first_chunk")
    )
    return {
        "start": start,
        "requests": row["requests"] if row else 0,
        "errors": row["errors"] if row else 0,
        "duration_p95": duration[1],
        "time_to_first_chunk_p95": first_chunk[1],
        "output_tokens": int(row["output_tokens"]) if row else 0,
    }


def _named(percentiles: list[float] | None) -> dict[str, float] | None:
    return dict(zip(_PERCENTILES, percentiles, strict=True)) if percentiles else None
