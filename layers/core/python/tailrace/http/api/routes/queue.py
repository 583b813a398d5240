"""How far events are on their way into the numbers, for admins."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from tailrace.http.api.deps import Admin, CurrentServices
from tailrace.queue.status import status

router = APIRouter(prefix="/api/admin/queue", tags=["admin"])


class QueueItem(BaseModel):
    """What waits where, as `tailrace.queue.status.QueueStatus` tells it."""

    model_config = ConfigDict(from_attributes=True)

    available: bool
    depth: int | None
    oldest_age: float | None
    lag: float
    spilled: int
    dead: int
    parked: int


@router.get("")
async def get_queue(services: CurrentServices, caller: Admin) -> QueueItem:
    """Tell what the queue, the outbox and the dead letters hold."""
    return QueueItem.model_validate(await status(services))
