"""Single calls: the list of them, the slowest and the costliest, and one in full."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta, structs

from tailrace.db import queries
from tailrace.db.pool import Pool, connect
from tailrace.metrics.money import usd
from tailrace.metrics.reading import reading
from tailrace.metrics.spans import MINUTE, Span, floor
from tailrace.metrics.summary import Selection
from tailrace.problems import not_found
from tailrace.telemetry.event import Kind, Status

_sql = queries.load("metrics")

# NUL is the one character that PostgreSQL cannot be asked for.
_Name = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00]+$")]
_PAGE = 1000


class CallFilter(msgspec.Struct, kw_only=True, frozen=True):
    """Which calls of a list; what is ``None`` narrows nothing.

    Attributes
    ----------
    min_duration, min_cost_usd
        Seconds; US dollars.
    """

    provider_name: _Name | None = None
    request_model: _Name | None = None
    kind: Kind | None = None
    status: Status | None = None
    error_type: _Name | None = None
    finish_reason: _Name | None = None
    conversation_id: UUID | None = None
    min_duration: Annotated[float, Meta(ge=0, le=10**9)] | None = None
    min_cost_usd: Annotated[float, Meta(ge=0, le=10**9)] | None = None


class Calls(NamedTuple):
    """A page of calls.

    Attributes
    ----------
    following
        Start and id of the last call, where there are more after it.
    """

    items: list[dict[str, Any]]
    following: tuple[datetime, UUID] | None


async def calls(
    pool: Pool,
    owner_id: UUID | None,
    start: datetime,
    end: datetime,
    limit: int,
    before: tuple[datetime, UUID] | None = None,
    only: CallFilter = CallFilter(),  # noqa: B008
) -> Calls:
    """Return a page of the calls that started in ``[start, end)``, the newest first.

    Parameters
    ----------
    owner_id
        Whose calls; everybody's when ``None``.
    before
        Start and id of the last call of the page before.

    Returns
    -------
    Calls
        Times are aware, durations in seconds, ``cost_usd`` decimal text.

    Raises
    ------
    Problem
        422 when it takes too long, 503 when the database cannot be reached.
    """
    before_time, before_id = before or (None, None)
    if before_time is not None and before_time < end:
        # Of two bounds the index starts at the first it meets: leave it no choice.
        end = before_time + timedelta(microseconds=1)
    async with reading(pool) as connection:
        # A plan made for these bounds reads their partitions alone: none is kept.
        cursor = await connection.execute(
            _sql["calls"],
            structs.asdict(only)
            | {
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
    items = [told(row) for row in rows[:limit]]
    last = items[-1] if len(rows) > limit else None
    return Calls(items, (last["started_at"], last["id"]) if last else None)


async def all_calls(
    pool: Pool, owner_id: UUID | None, start: datetime, end: datetime, only: CallFilter
) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield every call that `calls` would list, some at a time, holding no connection between.

    Raises
    ------
    Problem
        As `calls`.
    """
    before = None
    while True:
        page = await calls(pool, owner_id, start, end, _PAGE, before, only)
        yield page.items
        before = page.following
        if before is None:
            return


async def top(
    pool: Pool, selection: Selection, span: Span, by: Literal["duration", "cost_usd"], limit: int
) -> dict[str, Any]:
    """Return the slowest or costliest calls of a span, the first of all first.

    Returns
    -------
    dict
        ``items``, as in the list of calls. Everybody's are found by the rollups of minutes, and so
        only as far back as these are kept.

    Raises
    ------
    Problem
        422 when it takes too long, 503 when the database cannot be reached.
    """
    terms = selection.terms | {"by": by, "start": span.start, "end": span.end}
    async with reading(pool) as connection:
        ranges = [span]
        if selection.owner_id is None:
            # The first so many calls began in no more hours than that, and in no more minutes: in
            # those of the greatest maxima, which the rollups know. The hours at both ends may owe
            # theirs to calls outside of the span.
            for tier, width, more in (("hour", timedelta(hours=1), 2), ("minute", MINUTE, 0)):
                cursor = await connection.execute(
                    _sql["greatest"],
                    terms
                    | _bounds(ranges, width)
                    | {
                        "tier": tier if selection.narrows else f"{tier}_total",
                        "limit": limit + more,
                    },
                    prepare=False,
                )
                starts = [row["starts_at"] for row in await cursor.fetchall()]
                ranges = [
                    Span(max(start, span.start), min(start + width, span.end)) for start in starts
                ]
        terms |= _bounds(ranges, MINUTE) | {"limit": limit}
        cursor = await connection.execute(_sql["top"], terms, prepare=False)
        items = [told(row) for row in await cursor.fetchall()]
    return {"from": span.start, "to": span.end, "by": by, "items": items}


async def call(pool: Pool, id: UUID, owner_id: UUID | None, reader_id: UUID) -> dict[str, Any]:
    """Return one call in full.

    Parameters
    ----------
    owner_id
        Whose call it must be; anybody's when ``None``.
    reader_id
        Who asks: the conversation and the message are told to their owner alone.

    Returns
    -------
    dict
        All that is in the log, with the ``conversation`` and the ``message`` that the call is of,
        each ``None`` when there is none or it is not the reader's.

    Raises
    ------
    Problem
        404 when there is no such call, 503 when the database cannot be reached.
    """
    async with reading(pool) as connection:
        cursor = await connection.execute(_sql["call"], {"id": id, "owner_id": owner_id})
        row = await cursor.fetchone()
        if row is None:
            raise not_found("call")
        terms = {"id": id, "conversation_id": row["conversation_id"], "owner_id": reader_id}
        cursor = await connection.execute(_sql["conversation_of_call"], terms)
        conversation = await cursor.fetchone()
        cursor = await connection.execute(_sql["message_of_call"], terms)
        message = await cursor.fetchone()
    return told(row) | {"conversation": conversation, "message": message}


async def recent_calls(
    pool: Pool, owner_id: UUID | None, seconds: float, limit: int
) -> list[dict[str, Any]]:
    """Return the calls that came into the log within so many seconds, the oldest first.

    Raises
    ------
    Problem
        503 when the database cannot be reached.
    """
    async with connect(pool) as connection:
        cursor = await connection.execute(
            _sql["recent_calls"], {"owner_id": owner_id, "seconds": seconds, "limit": limit}
        )
        rows = await cursor.fetchall()
    return [told(row) for row in reversed(rows)]


def _bounds(ranges: list[Span], width: timedelta) -> dict[str, Any]:
    """Return the parameters that name ranges, each from the start of what it begins in."""
    return {
        "starts": [floor(each.start, width) for each in ranges],
        "ends": [each.end for each in ranges],
    }


def told(row: dict[str, Any]) -> dict[str, Any]:
    """Return a call as it leaves Tailrace."""
    return row | {"cost_usd": usd(row["cost_usd"])}
