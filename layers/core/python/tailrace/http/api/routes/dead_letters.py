"""Dead letters, as an admin looks at them, has them tried again, and purges them."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from msgspec import Meta
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from tailrace.http.api.deps import Admin, CurrentServices, PageCursor, PageSize
from tailrace.problems import not_found
from tailrace.telemetry import dead_letters

router = APIRouter(prefix="/api/admin/dead-letters", tags=["admin"])

_Id = Annotated[int, Field(ge=1, le=dead_letters.MAX_ID)]
_CursorKey = tuple[Annotated[int, Meta(ge=1, le=dead_letters.MAX_ID)]]


class DeadLetterItem(BaseModel):
    """An event that could not be kept: why, how often it was tried, and when.

    ``schema_version`` is that of a parked event, which a newer release wrote and will read.
    """

    id: int
    source: str
    reason: str
    attempts: int
    first_seen_at: datetime
    last_seen_at: datetime
    schema_version: int | None
    bytes: int
    replay_requested_at: datetime | None


class DeadLetterPage(BaseModel):
    """A page of dead letters."""

    items: list[DeadLetterItem]
    next_cursor: str | None


class DeadLetter(DeadLetterItem):
    """One dead letter with its payload, in which what looks secret is replaced."""

    payload: str


class Which(BaseModel):
    """Dead letters by their ids, or all of them."""

    model_config = ConfigDict(extra="forbid")

    ids: list[_Id] | None = Field(default=None, min_length=1, max_length=1000)
    all: bool = False

    @model_validator(mode="after")
    def _one_of_them(self) -> "Which":
        if (self.ids is None) != self.all:
            raise ValueError("Send either ids, or all as true.")
        return self


class WhichToPurge(Which):
    """The same, and optionally only those last seen before a time."""

    before: AwareDatetime | None = None


class Asked(BaseModel):
    """How many dead letters ingestion will try again at its next turn."""

    asked: int


class Purged(BaseModel):
    """How many dead letters are gone."""

    purged: int


@router.get("")
async def list_dead_letters(
    services: CurrentServices,
    caller: Admin,
    limit: PageSize = 30,
    cursor: PageCursor = None,
    parked: bool | None = None,
) -> DeadLetterPage:
    """List dead letters, the newest first."""
    key = services.cursors.decode_as(_CursorKey, cursor)
    rows = await dead_letters.list_page(
        services.pool, limit + 1, before=key[0] if key else None, parked=parked
    )
    page, next_cursor = services.cursors.page(rows, limit, lambda row: (row["id"],))
    return DeadLetterPage(items=[DeadLetterItem(**row) for row in page], next_cursor=next_cursor)


@router.get("/{letter_id}")
async def get_dead_letter(letter_id: str, services: CurrentServices, caller: Admin) -> DeadLetter:
    """Return one dead letter with its payload."""
    return DeadLetter(**await _read(services, letter_id))


@router.post("/replay", status_code=202)
async def replay_dead_letters(body: Which, services: CurrentServices, caller: Admin) -> Asked:
    """Have ingestion try dead letters again; those that fail again stay, with one attempt more."""
    return Asked(asked=await dead_letters.ask_replay(services.pool, body.ids))


@router.post("/purge")
async def purge_dead_letters(
    body: WhichToPurge, services: CurrentServices, caller: Admin
) -> Purged:
    """Forget dead letters for good."""
    return Purged(purged=await dead_letters.purge(services.pool, body.ids, body.before))


async def _read(services: CurrentServices, letter_id: str) -> dict[str, Any]:
    id = dead_letters.parse_id(letter_id)
    if id is None:
        raise not_found("dead letter")
    return await dead_letters.read(services.pool, id)
