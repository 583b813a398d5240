"""Links to a branch of a conversation: made by its owner, followed by anybody who has one."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from tailrace.auth.identity import Caller
from tailrace.conversations import store as conversations
from tailrace.http.api.deps import CurrentServices, PageCursor, PageSize, Reader, Writer
from tailrace.http.api.files import send_part
from tailrace.http.api.paths import ConversationId, id_of
from tailrace.problems import invalid
from tailrace.sharing import store

router = APIRouter(tags=["shares"])

# Nobody but the one who asked keeps what a link shows, no search engine finds it, and the link
# does not travel on to what the conversation links to.
_PRIVATE = {
    "cache-control": "private, no-store",
    "x-robots-tag": "noindex, nofollow",
    "referrer-policy": "no-referrer",
}

_Number = Annotated[int, Path(ge=1, le=1_000_000)]
_Name = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$"
    ),
]


class NewShare(BaseModel):
    """What to share of a conversation, for how long, and under which name.

    `message_id` is the last message to show; without it, the whole active branch is shown.
    `name` is shown with `show_name` alone; without it, that is the part of the owner's address
    before the @.
    """

    model_config = ConfigDict(extra="forbid")

    message_id: str | None = Field(default=None, pattern=r"^[\x21-\x7e]{1,64}$")
    expires_at: AwareDatetime | None = None
    show_name: bool = False
    name: _Name | None = None

    @model_validator(mode="after")
    def _named_when_shown(self) -> Self:
        if self.name is not None and not self.show_name:
            raise ValueError("A name is shown with show_name alone.")
        return self


class Share(BaseModel):
    """A link; `token_hint` is the beginning of its token."""

    id: UUID
    token_hint: str
    title: str
    messages: int
    shown_name: str | None
    created_at: datetime
    expires_at: datetime | None


class CreatedShare(Share):
    """A new link: the only time its token is told."""

    token: str
    path: str


class SharePage(BaseModel):
    """A page of links."""

    items: list[Share]
    next_cursor: str | None


class SharedMessage(BaseModel):
    """A message as a link shows it; a file's `url` leads to its bytes."""

    id: str
    role: Literal["user", "assistant"]
    status: Literal["complete", "streaming", "error", "cancelled", "interrupted"]
    model: str | None
    parts: list[dict[str, Any]]


class SharedConversation(BaseModel):
    """A branch of somebody's conversation, as it was when it was shared."""

    title: str
    shared_by: str | None
    created_at: datetime
    expires_at: datetime | None
    messages: list[SharedMessage]


@router.post("/api/conversations/{conversation_id}/shares", status_code=201)
async def create_share(
    id: ConversationId, share: NewShare, services: CurrentServices, caller: Writer
) -> CreatedShare:
    """Make a link to one branch of a conversation."""
    if share.expires_at is not None and share.expires_at <= datetime.now(UTC):
        raise invalid("expires_at", "Must be in the future.")
    created = await store.create(
        services.pool,
        caller.id,
        id,
        message_id=share.message_id,
        shown_name=(share.name or _name_of(caller)) if share.show_name else None,
        expires_at=share.expires_at,
    )
    return CreatedShare(**created.share, token=created.token, path=f"/shared/{created.token}")


@router.get("/api/conversations/{conversation_id}/shares")
async def list_shares(
    id: ConversationId,
    services: CurrentServices,
    caller: Reader,
    limit: PageSize = 30,
    cursor: PageCursor = None,
) -> SharePage:
    """List the links to a conversation, the newest first."""
    before = services.cursors.decode(cursor)
    await conversations.require(services.pool, caller.id, id)
    rows = await store.list_page(services.pool, caller.id, id, limit + 1, before)
    page, next_cursor = services.cursors.page(rows, limit)
    return SharePage(items=[Share(**row) for row in page], next_cursor=next_cursor)


@router.delete("/api/conversations/{conversation_id}/shares", status_code=204)
async def revoke_shares(id: ConversationId, services: CurrentServices, caller: Writer) -> None:
    """Revoke every link to a conversation."""
    await conversations.require(services.pool, caller.id, id)
    await store.revoke_all(services.pool, caller.id, id)


@router.delete("/api/conversations/{conversation_id}/shares/{share_id}", status_code=204)
async def revoke_share(
    id: ConversationId, share_id: str, services: CurrentServices, caller: Writer
) -> None:
    """Revoke one link."""
    await store.revoke(services.pool, caller.id, id, id_of("link", share_id))


@router.get("/api/shared/{token}")
async def get_shared(
    token: str, services: CurrentServices, response: Response
) -> SharedConversation:
    """Show what a link leads to; needs no account."""
    rows = await store.find(services.pool, token)
    response.headers.update(_PRIVATE)
    return SharedConversation(
        title=rows[0]["title"],
        shared_by=rows[0]["shown_name"],
        created_at=rows[0]["created_at"],
        expires_at=rows[0]["expires_at"],
        messages=[_message(token, row) for row in rows],
    )


@router.get("/api/shared/{token}/files/{place}/{number}", response_class=Response)
async def get_shared_file(
    token: str, place: _Number, number: _Number, services: CurrentServices
) -> Response:
    """Send a file of a message that a link shows; needs no account."""
    row = await store.find_file(services.pool, token, place, number)
    return await send_part(services, row["owner_id"], row["part"], _PRIVATE)


def _name_of(caller: Caller) -> str | None:
    return caller.email.partition("@")[0] if caller.email else None


def _message(token: str, row: dict[str, Any]) -> SharedMessage:
    parts = row["parts"] or []
    for part in parts:
        if part["type"] == "file":
            number = part.pop("number")
            part["url"] = f"/api/shared/{token}/files/{row['place']}/{number}"
            if part["filename"] is None:
                del part["filename"]
    return SharedMessage(
        id=str(row["place"]),
        role=row["role"],
        status=row["status"],
        # The instance of the provider is the operator's business.
        model=row["model"] and (row["model"].partition("/")[2] or row["model"]),
        parts=parts,
    )
