"""Search over the titles and messages of a signed-in user; a guest's live in the browser."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel

from tailrace import search
from tailrace.auth.identity import Caller
from tailrace.http.api.deps import CurrentServices, Limited, require
from tailrace.problems import invalid

router = APIRouter(prefix="/api/search", tags=["search"])


class Segment(BaseModel):
    """A piece of plain text, and whether it matches."""

    text: str
    match: bool


class Match(BaseModel):
    """A message that matches, or, without ``message_id`` and ``role``, a conversation's title."""

    conversation_id: UUID
    title: str
    message_id: str | None
    role: Literal["user", "assistant"] | None
    snippet: list[Segment]
    created_at: datetime
    score: float


class MatchPage(BaseModel):
    """A page of matches; ``corrected`` when nothing was found and these match similar words."""

    items: list[Match]
    next_cursor: str | None
    corrected: bool


# PostgreSQL keeps no such character, and so has nothing to compare it with.
_NO_NUL = r"^[^\x00]*$"


@router.get("", dependencies=[Limited])
async def find(
    services: CurrentServices,
    caller: Annotated[Caller, require("read", guests=True)],
    q: Annotated[str, Query(min_length=1, max_length=200, pattern=_NO_NUL)],
    tag: Annotated[str | None, Query(max_length=100, pattern=_NO_NUL)] = None,
    model: Annotated[str | None, Query(max_length=300, pattern=_NO_NUL)] = None,
    start: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    to: Annotated[AwareDatetime | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
    cursor: Annotated[str | None, Query(max_length=512)] = None,
) -> MatchPage:
    """Find titles, then messages, the best and newest first."""
    if start is not None and to is not None and start >= to:
        raise invalid("from", "Must be before to.")
    if caller.kind == "guest":
        return MatchPage(items=[], next_cursor=None, corrected=False)
    filters = search.Filters(tag, model, start, to)
    before = services.cursors.decode_as(search.Key, cursor)
    page = await search.find(services.pool, caller.id, q, filters, limit, before)
    following = page.pop("following")
    return MatchPage(**page, next_cursor=services.cursors.encode(*following) if following else None)
