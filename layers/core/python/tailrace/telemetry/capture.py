"""Capture: hands the event of a finished model call to the queue, or else to the outbox.

Called by whatever made the call, last of all. It waits for the queue only so long, and no
failure of the queue ever reaches the caller; `tailrace.telemetry.ingest` does the rest.
"""

import asyncio
import logging
from collections.abc import Callable
from weakref import WeakKeyDictionary

from tailrace.db import queries
from tailrace.db.pool import Connection
from tailrace.queue.base import PayloadRefused, Queue, QueueFull, QueueUnavailable
from tailrace.telemetry.event import InferenceEvent, encode

_log = logging.getLogger(__name__)
_sql = queries.load("telemetry")

# Seconds a call waits for the queue; an awaited publish takes well under a thousandth of that.
_PATIENCE = 0.5
# Seconds for which a queue that did not answer is not asked again.
_PAUSE = 1.0

# When each queue of this process may be asked again, in the event loop's time.
_asked_again_at: WeakKeyDictionary[Queue, float] = WeakKeyDictionary()


# Who is told of every event.
_told: list[Callable[[InferenceEvent], None]] = []


def tell(listener: Callable[[InferenceEvent], None]) -> None:
    """Have a function told of every event of this process, once the queue has been offered it.

    It must not raise, wait, or take long: a response waits for it.
    """
    _told.append(listener)


async def publish(queue: Queue, event: InferenceEvent) -> bytes | None:
    """Offer an event to the queue.

    Returns
    -------
    bytes or None
        ``None`` when the queue has the event, else the payload for `spill`.
    """
    unsent = await _offer(queue, event, encode(event))
    for listener in _told:
        listener(event)
    return unsent


async def _offer(queue: Queue, event: InferenceEvent, payload: bytes) -> bytes | None:
    now = asyncio.get_running_loop().time()
    if now < _asked_again_at.get(queue, 0.0):
        return payload
    try:
        async with asyncio.timeout(_PATIENCE):
            await queue.publish(payload)
    except (QueueFull, PayloadRefused) as error:
        # It answers: the next event may be taken.
        _log.warning("the queue did not take event %s (%r): to the outbox", event.id, error)
        return payload
    except (QueueUnavailable, TimeoutError) as error:
        _asked_again_at[queue] = asyncio.get_running_loop().time() + _PAUSE
        _log.warning("the queue is unavailable (%r): event %s goes to the outbox", error, event.id)
        return payload
    return None


async def spill(connection: Connection, payload: bytes) -> None:
    """Put a payload into the outbox, within the caller's transaction if there is one.

    Raises
    ------
    psycopg.Error
        As the connection does; the caller's transaction then fails as a whole.
    """
    await connection.execute(_sql["spill"], {"payload": payload})
