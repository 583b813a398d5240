"""The branches of a conversation: which one is shown, and taking one away.

New branches begin with a chat: `tailrace.http.chat`.
"""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StringConstraints

from tailrace.conversations import tree
from tailrace.http.api.deps import CurrentServices, Writer
from tailrace.http.api.paths import ConversationId, MessageId
from tailrace.http.api.routes.conversations import ConversationWithMessages

router = APIRouter(prefix="/api/conversations/{conversation_id}", tags=["messages"])


class ActiveLeaf(BaseModel):
    """A message of the branch that is to be shown."""

    model_config = ConfigDict(extra="forbid")

    message_id: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,64}$")]


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
