"""A queue in this process's memory: a testing aid for those who build on Tailrace.

It behaves as the real ones do (one conformance test-suite runs over all) and can be told to be
unavailable. It is never what a deployment runs on: it forgets everything with its process.
"""

import time
from collections import deque
from dataclasses import dataclass

from tailrace.queue.base import (
    ALONE_AFTER,
    RECEIVE_BYTES,
    Message,
    PayloadRefused,
    QueueFull,
    QueueUnavailable,
)


@dataclass
class _Entry:
    """A message and what became of it, in the times of the monotonic clock."""

    message: Message
    published: float
    held_since: float | None = None
    deliveries: int = 0


class MemoryQueue:
    """`tailrace.queue.base.Queue` in memory; every receiver of the object is a consumer.

    Parameters
    ----------
    max_length
        Messages the queue may hold.
    max_payload
        Bytes of the largest message it takes.
    hold
        Seconds after which a message that was not acknowledged is handed out again.
    max_deliveries
        Deliveries after which a message is exhausted.

    Attributes
    ----------
    available
        Set it to ``False`` and every call raises `QueueUnavailable`.
    """

    def __init__(
        self,
        *,
        max_length: int = 1_000_000,
        max_payload: int = 1 << 20,
        hold: float = 60.0,
        max_deliveries: int = 10,
    ) -> None:
        self.available = True
        self.hold = hold
        self._max_length = max_length
        self._max_payload = max_payload
        self._max_deliveries = max_deliveries
        self._waiting: deque[_Entry] = deque()
        # By id, in the order of receipt.
        self._held: dict[str, _Entry] = {}
        self._published = 0

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def publish(self, payload: bytes) -> None:
        self._answer()
        if len(payload) > self._max_payload:
            raise PayloadRefused
        if len(self._waiting) + len(self._held) >= self._max_length:
            raise QueueFull
        self._published += 1
        message = Message(str(self._published), payload)
        self._waiting.append(_Entry(message, time.monotonic()))

    async def receive(self, limit: int, max_bytes: int = RECEIVE_BYTES) -> list[Message]:
        self._answer()
        now = time.monotonic()
        found: list[Message] = []
        size = 0
        for entry in [e for e in self._held.values() if self._is_stale(e, now)]:
            alone = ALONE_AFTER <= entry.deliveries + 1 <= self._max_deliveries
            if len(found) >= limit or size >= max_bytes or (alone and found):
                break
            found.append(self._hand_out(entry, now))
            size += len(entry.message.payload)
            if alone:
                return found
        while self._waiting and len(found) < limit and size < max_bytes:
            entry = self._waiting.popleft()
            self._held[entry.message.id] = entry
            found.append(self._hand_out(entry, now))
            size += len(entry.message.payload)
        return found

    async def acknowledge(self, ids: list[str]) -> None:
        self._answer()
        for id in ids:
            self._held.pop(id, None)

    async def extend(self, ids: list[str]) -> None:
        self._answer()
        for id in ids:
            if id in self._held:
                self._held[id].held_since = time.monotonic()

    async def release(self, ids: list[str]) -> None:
        self._answer()
        for id in ids:
            if id in self._held:
                self._held[id].held_since = None
                self._held[id].deliveries = 0

    async def ping(self) -> None:
        self._answer()

    async def depth(self) -> int:
        self._answer()
        return len(self._waiting) + len(self._held)

    async def oldest_age(self) -> float:
        self._answer()
        published = [entry.published for entry in (*self._held.values(), *self._waiting)]
        return time.monotonic() - min(published) if published else 0.0

    def _is_stale(self, entry: _Entry, now: float) -> bool:
        return entry.held_since is None or now - entry.held_since >= self.hold

    def _hand_out(self, entry: _Entry, now: float) -> Message:
        entry.held_since = now
        entry.deliveries += 1
        return entry.message._replace(exhausted=entry.deliveries > self._max_deliveries)

    def _answer(self) -> None:
        if not self.available:
            raise QueueUnavailable
