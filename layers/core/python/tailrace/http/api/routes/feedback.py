"""A thumb and a note on an answer."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from tailrace.conversations import feedback
from tailrace.http.api.deps import CurrentServices, Writer
from tailrace.http.api.paths import AnswerId, ConversationId

router = APIRouter(
    prefix="/api/conversations/{conversation_id}/messages/{message_id}/feedback",
    tags=["feedback"],
)


class Feedback(BaseModel):
    """What its reader thinks of an answer."""

    model_config = ConfigDict(extra="forbid")

    rating: Literal["up", "down"]
    note: Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")] | None = None


@router.put("")
async def put_feedback(
    id: ConversationId,
    answer: AnswerId,
    body: Feedback,
    services: CurrentServices,
    caller: Writer,
) -> Feedback:
    """Rate an answer, in place of an earlier rating."""
    row = await feedback.put(services.pool, caller.id, id, answer, body.rating, body.note or None)
    return Feedback(**row)


@router.delete("", status_code=204)
async def delete_feedback(
    id: ConversationId, answer: AnswerId, services: CurrentServices, caller: Writer
) -> None:
    """Take a rating back."""
    await feedback.delete(services.pool, caller.id, id, answer)
