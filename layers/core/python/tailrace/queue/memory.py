"""A queue in this process's memory: a testing aid for those who build on Tailrace.

It behaves as `redis_streams` does (one conformance test-suite runs over both) and can be told to
be unavailable. It is never what a deployment runs on: it forgets everything with its process.
"""

import time
from collections import deque

from tailrace.queue.base import Message, QueueFull, QueueUnavailable


class MemoryQueue:
    """`tailrace.queue.base.Queue` in memory; every receiver of the object is a consumer.

    Parameters
    ----------
    max_length
        Messages the queue may hold.
    reclaim_after
        Seconds after which a message that was not acknowledged is handed out again.

    Attributes
    ----------
    available
        Set it to ``False`` and every call raises `QueueUnavailable`.
    """

    def __init__(self, *, max_length: int = 1_000_000, reclaim_after: float = 60.0) -> None:
        self.available = True
        self._max_length = max_length
        self._reclaim_after = reclaim_after
        self._waiting: deque[Message] = deque()
        # By id, in the order of receipt: the message and since when it has been held.
        self._held: dict[str, tuple[Message, float]] = {}
        self._published = 0

    async def publish(self, payload: bytes) -> None:
        self._answer()
        if len(self._waiting) + len(self._held) >= self._max_length:
            raise QueueFull
        self._published += 1
        self._waiting.append(Message(str(self._published), payload))

    async def receive(self, limit: int) -> list[Message]:
        self._answer()
        now = time.monotonic()
        stale = [m for m, since in self._held.values() if now - since >= self._reclaim_after]
        messages = stale[:limit]
        while self._waiting and len(messages) < limit:
            messages.append(self._waiting.popleft())
        self._held.update((message.id, (message, now)) for message in messages)
        return messages

    async def acknowledge(self, ids: list[str]) -> None:
        self._answer()
        for id in ids:
            self._held.pop(id, None)

    async def release(self, ids: list[str]) -> None:
        self._answer()
        for id in ids:
            if id in self._held:
                self._held[id] = (self._held[id][0], float("-inf"))

    async def ping(self) -> None:
        self._answer()

    async def depth(self) -> int:
        self._answer()
        return len(self._waiting) + len(self._held)

    def _answer(self) -> None:
        if not self.available:
            raise QueueUnavailable
