"""Numbers: what was called, how fast, how often wrong, for how much.

A user and a guest see their own calls; an admin sees all, or those of one user.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime

from tailrace.auth.identity import Caller
from tailrace.db import queries
from tailrace.db.pool import connect
from tailrace.http.api.deps import CurrentServices, require
from tailrace.http.api.paths import CallId
from tailrace.http.metrics_access import bounds, owner_of
from tailrace.metrics import tables
from tailrace.metrics.breakdown import By
from tailrace.metrics.breakdown import breakdown as read_breakdown
from tailrace.metrics.calls import CallFilter
from tailrace.metrics.calls import call as read_call
from tailrace.metrics.calls import calls as read_calls
from tailrace.metrics.calls import top as read_top
from tailrace.metrics.overview import histogram as read_histogram
from tailrace.metrics.overview import overview as read_overview
from tailrace.metrics.overview import series as read_series
from tailrace.metrics.spans import Span, zone_of
from tailrace.metrics.summary import Selection
from tailrace.problems import Problem
from tailrace.services import Services
from tailrace.telemetry.event import Kind, Status

router = APIRouter(prefix="/api/metrics", tags=["metrics"])

_sql = queries.load("rollups")

_Caller = Annotated[Caller, require("metrics", guests=True)]
_From = Annotated[AwareDatetime | None, Query(alias="from")]
_To = Annotated[AwareDatetime | None, Query()]
# NUL is the one character that PostgreSQL cannot be asked for.
_Name = Annotated[str | None, Query(max_length=256, pattern=r"^[^\x00]+$")]
_Zone = Annotated[str, Query(max_length=64)]
_Format = Literal["json", "csv"]
_Distribution = Literal["duration", "time_to_first_chunk", "time_per_output_chunk", "cost_usd"]


class _View:
    """What every view takes: a span of time, whose calls, and of which kind."""

    def __init__(
        self,
        caller: _Caller,
        start: _From = None,
        to: _To = None,
        user_id: UUID | None = None,
        provider_name: _Name = None,
        request_model: _Name = None,
        kind: Kind | None = None,
        status: Status | None = None,
    ) -> None:
        self.caller = caller
        # Whose calls; everybody's when ``None``.
        self.owner_id = owner_of(caller, user_id)
        self.start, self.end = bounds(start, to, datetime.now(UTC))
        # What is wrong with the span is told by every view.
        self.span = Span.of(self.start, self.end)
        self._only: dict[str, Any] = {
            "provider_name": provider_name,
            "request_model": request_model,
            "kind": kind,
            "status": status,
        }

    async def select(self, services: Services) -> Selection:
        """Return the calls to be looked at."""
        owner_id, is_guest = self.owner_id, self.caller.kind == "guest"
        if owner_id is not None and owner_id != self.caller.id:
            async with connect(services.pool) as connection:
                cursor = await connection.execute(_sql["find_user"], {"id": owner_id})
                is_guest = await cursor.fetchone() is None
        return Selection(owner_id, is_guest, **self._only)

    def narrowed(self, **more: Any) -> CallFilter:
        """Return which calls of a list."""
        return CallFilter(**self._only, **more)


_AnyView = Annotated[_View, Depends()]


@router.get("/overview")
async def overview(
    services: CurrentServices, view: _AnyView, tz: _Zone = "UTC", format: _Format = "json"
) -> Any:
    """Sum up the calls that started in a span of time, the last day if none is given."""
    selection = await view.select(services)
    found = await read_overview(services.pool, selection, view.span, zone_of(tz))
    whole = {
        name: value
        for name, value in found.items()
        if name not in ("previous", "by_model", "series", "bucket_seconds")
    }
    return _as(format, "overview", found, [whole, found["previous"]])


@router.get("/series")
async def series(
    services: CurrentServices,
    view: _AnyView,
    bucket: Annotated[str, Query(max_length=20)] = "auto",
    tz: _Zone = "UTC",
    format: _Format = "json",
) -> Any:
    """Sum up the calls by time: automatic buckets or chosen ones, without gaps."""
    selection = await view.select(services)
    found = await read_series(services.pool, selection, view.span, bucket, zone_of(tz))
    return _as(format, "series", found, found["items"])


@router.get("/breakdown")
async def breakdown(
    services: CurrentServices, view: _AnyView, by: By, format: _Format = "json"
) -> Any:
    """Sum up the calls by what they have in common, the most frequent first."""
    if by == "user" and view.caller.role != "admin":
        raise Problem(403, "Not permitted", "Only an admin can tell users apart.")
    selection = await view.select(services)
    found = await read_breakdown(services.pool, selection, view.span, by)
    return _as(format, f"by-{by}", found, found["items"])


@router.get("/histogram")
async def histogram(
    services: CurrentServices,
    view: _AnyView,
    of: _Distribution = "duration",
    format: _Format = "json",
) -> Any:
    """Tell how times or costs are distributed, in buckets of 2 %."""
    selection = await view.select(services)
    found = await read_histogram(services.pool, selection, view.span, of)
    return _as(format, f"histogram-{of}", found, found["items"])


@router.get("/top")
async def top(
    services: CurrentServices,
    view: _AnyView,
    by: Literal["duration", "cost_usd"] = "duration",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    format: _Format = "json",
) -> Any:
    """List the slowest calls, or the costliest."""
    selection = await view.select(services)
    found = await read_top(services.pool, selection, view.span, by, limit)
    return _as(format, f"top-{by}", found, found["items"])


@router.get("/calls")
async def calls(
    services: CurrentServices,
    view: _AnyView,
    error_type: _Name = None,
    finish_reason: _Name = None,
    conversation_id: UUID | None = None,
    min_duration: Annotated[float | None, Query(ge=0, le=1e9)] = None,
    min_cost_usd: Annotated[float | None, Query(ge=0, le=1e9)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=256)] = None,
) -> dict[str, Any]:
    """List the calls of a span of time, the newest first."""
    before = services.cursors.decode(cursor)
    only = view.narrowed(
        error_type=error_type,
        finish_reason=finish_reason,
        conversation_id=conversation_id,
        min_duration=min_duration,
        min_cost_usd=min_cost_usd,
    )
    found = await read_calls(
        services.pool, view.owner_id, view.start, view.end, limit, before, only
    )
    following = found.following
    return {
        "items": found.items,
        "next_cursor": services.cursors.encode(*following) if following else None,
    }


@router.get("/calls/{call_id}")
async def call(services: CurrentServices, caller: _Caller, call_id: CallId) -> dict[str, Any]:
    """Tell everything about one call."""
    return await read_call(services.pool, call_id, owner_of(caller, None), caller.id)


def _as(format: _Format, name: str, found: dict[str, Any], items: list[dict[str, Any]]) -> Any:
    """Return a view in the format asked for: as it is, or its items as a table to be saved."""
    if format == "json":
        return found
    return Response(
        tables.to_csv(items),
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="tailrace-{name}.csv"'},
    )
