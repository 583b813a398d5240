"""The branches of a conversation: which one is shown, how large one is, and taking one away.

New branches begin with a chat: `tailrace.http.chat`.
"""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StringConstraints

from tailrace.conversations import tree
from tailrace.http.api.deps import CurrentServices, Reader, Writer
from tailrace.http.api.paths import ConversationId, MessageId
from tailrace.http.api.routes.conversations import ConversationWithMessages

router = APIRouter(prefix="/api/conversations/{conversation_id}", tags=["messages"])


class ActiveLeaf(BaseModel):
    """A message of the branch that is to be shown."""

    model_config = ConfigDict(extra="forbid")

    message_id: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,64}$")]


class Head(BaseModel):
    """Where the active branch ends; ``null`` where there is no message, or no run under way.

    ``active_run_id`` is the newest run under way, on whichever branch.
    """

    active_leaf_id: str | None
    status: Literal["complete", "streaming", "error", "cancelled", "interrupted"] | None
    active_run_id: UUID | None


class BranchExtent(BaseModel):
    """How many messages a branch has, the one that is named included, and in how many it ends."""

    messages: int
    branches: int


@router.get("/head")
async def get_head(id: ConversationId, services: CurrentServices, caller: Reader) -> Head:
    """Tell whether there is something new: cheap enough to be asked every few seconds."""
    return Head(**await tree.find_head(services.pool, caller.id, id))


@router.get("/messages/{message_id}/branch")
async def measure_branch(
    id: ConversationId, message: MessageId, services: CurrentServices, caller: Reader
) -> BranchExtent:
    """Tell how much goes when this message is deleted."""
    extent = await tree.measure_branch(services.pool, caller.id, id, message)
    return BranchExtent(messages=extent.messages, branches=extent.branches)


@router.put("/active-leaf")
async def select_branch(
    id: ConversationId, body: ActiveLeaf, services: CurrentServices, caller: Writer
) -> ConversationWithMessages:
    """Show the branch of a message, down to the newest leaf below it; later turns continue it."""
    row = await tree.select_branch(services.pool, caller.id, id, body.message_id)
    return ConversationWithMessages(**row)


@router.delete("/messages/{message_id}")
async def delete_branch(
    id: ConversationId, message: MessageId, services: CurrentServices, caller: Writer
) -> ConversationWithMessages:
    """Delete a message and everything below it; 409 while an answer among them is under way."""
    row = await tree.delete_branch(services.pool, caller.id, id, message)
    return ConversationWithMessages(**row)
