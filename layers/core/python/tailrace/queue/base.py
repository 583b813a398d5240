"""What a queue of inference events must do; `redis_streams` and `memory` do it.

The queue knows nothing of what it carries. Delivery is at least once: a message that was received
and not acknowledged is handed out again, to anyone.
"""

from typing import NamedTuple, Protocol


class QueueUnavailable(Exception):
    """The queue cannot take or give messages now."""


class QueueFull(QueueUnavailable):
    """The queue holds as many messages as it may."""


class Message(NamedTuple):
    """One delivery.

    Attributes
    ----------
    id
        The queue's own id, for `Queue.acknowledge`.
    payload
        The bytes that were published.
    """

    id: str
    payload: bytes


class Queue(Protocol):
    """A queue with one group of consumers."""

    async def publish(self, payload: bytes) -> None:
        """Append one message; when this returns, the queue has it.

        Raises
        ------
        QueueFull
            At the length cap.
        QueueUnavailable
            When the queue did not answer in time.
        """
        ...

    async def receive(self, limit: int) -> list[Message]:
        """Return up to `limit` messages, those of dead consumers first; empty when none wait.

        Raises
        ------
        QueueUnavailable
            When the queue did not answer in time.
        """
        ...

    async def acknowledge(self, ids: list[str]) -> None:
        """Forget messages for good; ids that are gone already are no error."""
        ...

    async def ping(self) -> None:
        """Raise `QueueUnavailable` unless the queue answers."""
        ...

    async def depth(self) -> int:
        """Return the number of messages not acknowledged yet."""
        ...
