"""What a queue of inference events must do; `redis_streams` and `memory` do it.

Called by `tailrace.telemetry`: capture publishes, ingestion receives and acknowledges. The queue
knows nothing of what it carries. Delivery is at least once: a message that was received and not
acknowledged is handed out again, to anyone.
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
        The queue's own id, for `Queue.acknowledge`; unique over the queue's life.
    payload
        The bytes that were published.
    """

    id: str
    payload: bytes


class Queue(Protocol):
    """A queue with one group of consumers; one object is one consumer."""

    async def publish(self, payload: bytes) -> None:
        """Append one message; when this returns, the queue has it.

        Raises
        ------
        QueueFull
            At the length cap.
        QueueUnavailable
            When the queue did not answer in time. It may have the message all the same.
        """
        ...

    async def receive(self, limit: int) -> list[Message]:
        """Return up to `limit` messages, those of dead consumers first; empty when none wait.

        A message handed out is nobody else's until it is acknowledged, released, or was held for
        as long as its consumer must be dead.

        Raises
        ------
        QueueUnavailable
            When the queue did not answer in time.
        """
        ...

    async def acknowledge(self, ids: list[str]) -> None:
        """Forget messages for good; ids that are gone already are no error.

        Raises
        ------
        QueueUnavailable
            When the queue did not answer in time; any of the messages may come again.
        """
        ...

    async def release(self, ids: list[str]) -> None:
        """Give messages back, so that anyone may receive them at once.

        Raises
        ------
        QueueUnavailable
            When the queue did not answer in time; the messages come again later.
        """
        ...

    async def ping(self) -> None:
        """Raise `QueueUnavailable` unless the queue answers."""
        ...

    async def depth(self) -> int:
        """Return the number of messages not acknowledged yet.

        Raises
        ------
        QueueUnavailable
            When the queue did not answer in time.
        """
        ...
