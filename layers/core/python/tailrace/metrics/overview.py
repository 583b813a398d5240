"""The overview: sums and percentiles of a span of time, as a whole, by model and over time."""

from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tailrace.db.pool import Connection, Pool
from tailrace.metrics.measures import DISTRIBUTIONS, Measures
from tailrace.metrics.reading import reading
from tailrace.metrics.spans import Span, bucket_seconds, edges, start_of_bucket, width_of
from tailrace.metrics.summary import Selection, summarise

_LATENCIES = ("duration", "time_to_first_chunk")


async def overview(pool: Pool, selection: Selection, span: Span, zone: ZoneInfo) -> dict[str, Any]:
    """Sum up the calls of a span, beside the span of the same length before it.

    Returns
    -------
    dict
        Counts; sums; distributions in seconds and USD, ``None`` where nothing was measured;
        ``cost_usd`` as decimal text, the sum of what is known; ``previous``, the same of the span
        before; ``by_model``, the busiest first; ``series``, about 60 buckets of ``bucket_seconds``
        without gaps.

    Raises
    ------
    Problem
        503 when the database cannot be reached.
    """
    before = span.previous
    width = bucket_seconds(span)
    async with reading(pool) as connection:
        totals = await summarise(
            connection,
            selection,
            [before.start, before.end, span.end],
            histograms=DISTRIBUTIONS,
        )
        models = await summarise(
            connection,
            selection,
            [span.start, span.end],
            by=("provider_name", "request_model"),
            histograms=_LATENCIES,
        )
        points = await _points(connection, selection, span, width, zone, _LATENCIES)
    current = totals.get((1,)) or Measures()
    previous = totals.get((0,)) or Measures()
    return {
        "from": span.start,
        "to": span.end,
        **_whole(current),
        "previous": {"from": before.start, "to": before.end, **_whole(previous)},
        "by_model": [
            _model(provider_name, request_model, measures)
            for (_, provider_name, request_model), measures in sorted(
                models.items(), key=lambda item: (-item[1].sums["requests"], item[0])
            )
        ],
        "series": [
            {
                "start": start,
                "requests": measures.sums["requests"],
                "errors": measures.sums["errors"],
                "duration_p95": measures.percentiles("duration", (0.95,))[0],
                "time_to_first_chunk_p95": measures.percentiles("time_to_first_chunk", (0.95,))[0],
                "output_tokens": int(measures.sums["output_tokens"]),
            }
            for start, measures in points
        ],
        "bucket_seconds": width,
    }


async def series(
    pool: Pool, selection: Selection, span: Span, bucket: str, zone: ZoneInfo
) -> dict[str, Any]:
    """Sum up the calls of a span by time, without gaps.

    Parameters
    ----------
    bucket
        As `width_of` takes it.

    Returns
    -------
    dict
        ``items``, each with when its bucket starts (by the clocks of the zone; the first and the
        last reach beyond the span, but count what lies within), sums and distributions; and
        ``bucket_seconds``, ``None`` for months.

    Raises
    ------
    Problem
        422 for a width that cannot be, 503 when the database cannot be reached.
    """
    width = width_of(bucket, span)
    async with reading(pool) as connection:
        points = await _points(connection, selection, span, width, zone, DISTRIBUTIONS)
    return {
        "from": span.start,
        "to": span.end,
        "tz": zone.key,
        "bucket_seconds": width,
        "items": [{"start": start, **_whole(measures)} for start, measures in points],
    }


async def histogram(pool: Pool, selection: Selection, span: Span, of: str) -> dict[str, Any]:
    """Return how what was measured of calls is distributed.

    Parameters
    ----------
    of
        One of `DISTRIBUTIONS`.

    Returns
    -------
    dict
        ``items``, the buckets that hold anything: ``lower`` (excluded), ``upper`` (included; 2 %
        more) and ``count``, both 0 for values of zero; ``distribution`` with percentiles.

    Raises
    ------
    Problem
        503 when the database cannot be reached.
    """
    async with reading(pool) as connection:
        found = await summarise(connection, selection, [span.start, span.end], histograms=(of,))
    measures = found.get((0,)) or Measures()
    return {
        "from": span.start,
        "to": span.end,
        "of": of,
        "distribution": measures.distribution(of),
        "items": [asdict(bucket) for bucket in measures.histograms.get(of, ())],
    }


async def _points(
    connection: Connection,
    selection: Selection,
    span: Span,
    width: int | None,
    zone: ZoneInfo,
    histograms: tuple[str, ...],
) -> list[tuple[datetime, Measures]]:
    """Return when each bucket of a span starts, and what it holds."""
    between = edges(span, width, zone)
    found = await summarise(connection, selection, between, histograms=histograms)
    starts = [start_of_bucket(span.start, width, zone), *between[1:-1]]
    return [(start, found.get((number,)) or Measures()) for number, start in enumerate(starts)]


def _whole(measures: Measures) -> dict[str, Any]:
    return measures.counts() | {
        name if name != "cost_usd" else "cost": measures.distribution(name)
        for name in DISTRIBUTIONS
    }


def _model(provider_name: str, request_model: str, measures: Measures) -> dict[str, Any]:
    p50, p95 = measures.percentiles("duration", (0.5, 0.95))
    (first_chunk,) = measures.percentiles("time_to_first_chunk", (0.5,))
    return {
        "provider_name": provider_name,
        "request_model": request_model,
        **measures.counts(),
        "duration_p50": p50,
        "duration_p95": p95,
        "time_to_first_chunk_p50": first_chunk,
    }
