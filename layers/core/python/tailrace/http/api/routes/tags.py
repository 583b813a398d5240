"""Tags of a signed-in user's conversations: what lists and searches can be narrowed by."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from tailrace.auth.identity import Caller
from tailrace.conversations import store
from tailrace.http.api.deps import CurrentServices, require

router = APIRouter(prefix="/api/tags", tags=["conversations"])


class Tag(BaseModel):
    """A tag, and how many conversations have it."""

    tag: str
    conversations: int


class TagPage(BaseModel):
    """A page of tags."""

    items: list[Tag]
    next_cursor: str | None


@router.get("")
async def list_tags(
    services: CurrentServices,
    caller: Annotated[Caller, require("read", guests=True)],
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: Annotated[str | None, Query(max_length=512)] = None,
) -> TagPage:
    """List the tags of the caller's conversations by name, archived ones' too."""
    after = services.cursors.decode_as(tuple[str], cursor)
    if caller.kind == "guest":
        return TagPage(items=[], next_cursor=None)
    rows = await store.list_tags(services.pool, caller.id, limit + 1, after and after[0])
    page, next_cursor = services.cursors.page(rows, limit, lambda row: (row["tag"],))
    return TagPage(items=[Tag(**row) for row in page], next_cursor=next_cursor)
