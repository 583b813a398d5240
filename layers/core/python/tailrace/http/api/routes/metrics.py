"""Numbers: what was called, how fast, how often wrong, for how much."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from tailrace import cursor as cursors
from tailrace import metrics
from tailrace.auth.identity import Caller
from tailrace.http.api.deps import CurrentServices, require
from tailrace.problems import invalid

router = APIRouter(prefix="/api/metrics", tags=["metrics"])

_DEFAULT_SPAN = timedelta(days=1)
_LONGEST_SPAN = timedelta(days=366)

_Caller = Annotated[Caller, require("metrics", guests=True)]
_From = Annotated[AwareDatetime | None, Query(alias="from")]
_To = Annotated[AwareDatetime | None, Query()]


@router.get("/overview")
async def overview(
    services: CurrentServices, caller: _Caller, start: _From = None, to: _To = None
) -> dict[str, Any]:
    """Sum up the calls that started in a span of time, the last day if none is given."""
    start, end = _span(start, to)
    return await metrics.overview(services.pool, _owner(caller), start, end)


@router.get("/calls")
async def calls(
    services: CurrentServices,
    caller: _Caller,
    start: _From = None,
    to: _To = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=256)] = None,
) -> dict[str, Any]:
    """List the calls of a span of time, the newest first."""
    before = cursors.decode(cursor)
    start, end = _span(start, to)
    return await metrics.calls(services.pool, _owner(caller), start, end, limit, before)


def _owner(caller: Caller) -> UUID | None:
    """Whose calls the caller may see; an admin sees everybody's."""
    return None if caller.role == "admin" else caller.id


def _span(start: datetime | None, to: datetime | None) -> tuple[datetime, datetime]:
    end = to or datetime.now(UTC)
    try:
        start = start or end - _DEFAULT_SPAN
    except OverflowError:
        raise invalid("to", "Too long ago.") from None
    if start >= end:
        raise invalid("from", "Must be before to.")
    if end - start > _LONGEST_SPAN:
        raise invalid("from", f"A span of at most {_LONGEST_SPAN.days} days can be read.")
    return start, end
