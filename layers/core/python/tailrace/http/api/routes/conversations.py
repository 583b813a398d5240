"""Conversations of a signed-in user; a guest's live in the browser."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from tailrace import cursor as cursors
from tailrace.conversations import store
from tailrace.http.api.deps import CurrentCaller, CurrentServices
from tailrace.ids import parse_uuid
from tailrace.problems import not_found

router = APIRouter(prefix="/api/conversations", tags=["conversations"])


class Conversation(BaseModel):
    """A conversation in a list."""

    id: UUID
    title: str
    model: str
    created_at: datetime
    updated_at: datetime
    active_run_id: UUID | None


class Message(BaseModel):
    """A message as the AI SDK's UI message has it; a user message keeps its client's id."""

    id: str
    role: Literal["user", "assistant"]
    status: Literal["complete", "streaming", "error", "cancelled", "interrupted"]
    parts: list[dict[str, Any]]
    metadata: dict[str, Any]
    created_at: datetime


class ConversationWithMessages(Conversation):
    """A conversation with its active branch, oldest message first."""

    messages: list[Message]


class ConversationPage(BaseModel):
    """A page of conversations."""

    items: list[Conversation]
    next_cursor: str | None


@router.get("")
async def list_conversations(
    services: CurrentServices,
    caller: CurrentCaller,
    limit: Annotated[int, Query(ge=1, le=100)] = 30,
    cursor: Annotated[str | None, Query(max_length=256)] = None,
) -> ConversationPage:
    """List the caller's conversations, the last used first."""
    before = cursors.decode(cursor)
    if caller.kind == "guest":
        return ConversationPage(items=[], next_cursor=None)
    rows = await store.list_page(services.pool, caller.id, limit + 1, before)
    page = [Conversation(**row) for row in rows[:limit]]
    more = len(rows) > limit
    return ConversationPage(
        items=page,
        next_cursor=cursors.encode(page[-1].updated_at, page[-1].id) if more else None,
    )


@router.get("/{conversation_id}")
async def get_conversation(
    conversation_id: str, services: CurrentServices, caller: CurrentCaller
) -> ConversationWithMessages:
    """Return one conversation of the caller."""
    id = parse_uuid(conversation_id)
    if id is None or caller.kind == "guest":
        raise not_found("conversation")
    return ConversationWithMessages(**await store.find(services.pool, caller.id, id))
