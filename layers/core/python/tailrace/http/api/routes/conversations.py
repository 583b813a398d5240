"""Conversations of a signed-in user: found, arranged, deleted, restored.

A guest's live in the browser.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from tailrace.auth.identity import Caller
from tailrace.conversations import changes, store
from tailrace.http.api.deps import CurrentServices, PageCursor, PageSize, Reader, Writer, require
from tailrace.http.api.paths import ConversationId
from tailrace.http.api.routes.feedback import Feedback
from tailrace.problems import invalid
from tailrace.providers.base import ReasoningEffort
from tailrace.runs.stop import request_stop

router = APIRouter(prefix="/api/conversations", tags=["conversations"])

_MAX_TAGS = 20
# PostgreSQL keeps no NUL; in a title or a tag no control character has any business.
_LINE = r"^[^\x00-\x1f\x7f]*$"
_TEXT = r"^[^\x00]*$"


def _distinct(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


_Tag = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=_LINE)
]
_Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_LINE)
]
_Tags = Annotated[list[_Tag], Field(max_length=_MAX_TAGS), AfterValidator(_distinct)]


class Conversation(BaseModel):
    """A conversation in a list."""

    id: UUID
    title: str
    model: str
    tags: list[str]
    pinned: bool
    archived: bool
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    active_run_id: UUID | None


class Message(BaseModel):
    """A message as the AI SDK's UI message has it; a user message keeps its client's id.

    ``siblings`` are the ids of all messages that stand in its place, itself among them, the oldest
    first.
    """

    id: str
    parent_id: str | None
    siblings: list[str]
    role: Literal["user", "assistant"]
    status: Literal["complete", "streaming", "error", "cancelled", "interrupted"]
    parts: list[dict[str, Any]]
    metadata: dict[str, Any]
    created_at: datetime
    feedback: Feedback | None


class Parameters(BaseModel):
    """How a model is asked in a conversation; what is not set is left to the server."""

    model_config = ConfigDict(extra="forbid")

    max_output_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    reasoning_effort: ReasoningEffort | None = None
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)


class ConversationWithMessages(Conversation):
    """A conversation with its active branch, oldest message first."""

    system_prompt: str | None
    parameters: Parameters
    messages: list[Message]


class ConversationPage(BaseModel):
    """A page of conversations."""

    items: list[Conversation]
    next_cursor: str | None


class Changes(BaseModel):
    """What is to change; a field that is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    title: _Title = ""
    model: Annotated[str, Field(min_length=1, max_length=256)] = ""
    tags: _Tags = []
    pinned: bool = False
    archived: bool = False
    system_prompt: Annotated[str, Field(max_length=32_000, pattern=_TEXT)] | None = None
    parameters: Parameters = Parameters()


@router.get("")
async def list_conversations(
    services: CurrentServices,
    caller: Annotated[Caller, require("read", guests=True)],
    limit: PageSize = 30,
    cursor: PageCursor = None,
    archived: bool = False,
    deleted: bool = False,
    tag: Annotated[str | None, Query(max_length=50, pattern=_LINE)] = None,
) -> ConversationPage:
    """List the caller's conversations: the pinned ones, then the last used.

    With ``archived`` those that were put away; with ``deleted`` those that can be restored, the
    last deleted first.
    """
    before = services.cursors.decode_as(store.PageKey, cursor)
    if caller.kind == "guest":
        return ConversationPage(items=[], next_cursor=None)
    pool, limit_and_one = services.pool, limit + 1
    if deleted:
        kept_for = services.settings.deleted_kept_for
        rows = await store.list_deleted(
            pool, caller.id, limit_and_one, before, kept_for=kept_for, tag=tag
        )
    else:
        rows = await store.list_page(
            pool, caller.id, limit_and_one, before, archived=archived, tag=tag
        )
    page, next_cursor = services.cursors.page(rows, limit, _place)
    return ConversationPage(items=[Conversation(**row) for row in page], next_cursor=next_cursor)


@router.get("/{conversation_id}")
async def get_conversation(
    id: ConversationId, services: CurrentServices, caller: Reader
) -> ConversationWithMessages:
    """Return one conversation of the caller."""
    return ConversationWithMessages(**await store.find(services.pool, caller.id, id))


@router.patch("/{conversation_id}")
async def change_conversation(
    id: ConversationId, body: Changes, services: CurrentServices, caller: Writer
) -> ConversationWithMessages:
    """Rename, pin, archive, tag; set model, system prompt and parameters.

    A title that was set here is never replaced by a model's.
    """
    named = body.model_dump(exclude_unset=True)
    if "model" in named:
        await store.require(services.pool, caller.id, id)
        named["model"] = (await services.providers.choose(body.model)).id
    if "parameters" in named:
        named["parameters"] = body.parameters.model_dump(exclude_none=True)
        limit = services.settings.max_output_tokens
        if (body.parameters.max_output_tokens or 0) > limit:
            raise invalid("parameters.max_output_tokens", f"At most {limit:,} tokens are allowed.")
    row = await changes.change(services.pool, caller.id, id, named)
    return ConversationWithMessages(**row)


@router.delete("/{conversation_id}", status_code=204)
async def delete_conversation(
    id: ConversationId, services: CurrentServices, caller: Writer
) -> None:
    """Delete a conversation and stop its runs; it can be restored for a time."""
    await changes.delete(services.pool, caller.id, id)
    await request_stop(services, caller.id, id, None)


@router.post("/{conversation_id}/restore")
async def restore_conversation(
    id: ConversationId, services: CurrentServices, caller: Writer
) -> ConversationWithMessages:
    """Bring a deleted conversation back as it was."""
    kept_for = services.settings.deleted_kept_for
    row = await changes.restore(services.pool, caller.id, id, kept_for=kept_for)
    return ConversationWithMessages(**row)


def _place(row: store.Row) -> store.PageKey:
    return row["pinned"], row["deleted_at"] or row["updated_at"], row["id"]
