"""What a queue of inference events must do; the modules beside this one do it, each over another.

Called by `tailrace.telemetry`: capture publishes, ingestion receives and acknowledges. The queue
knows nothing of what it carries. Delivery is at least once and in no promised order: a message that
was received and not acknowledged is handed out again, to anyone.
"""

from typing import NamedTuple, Protocol

#: Bytes of payload after which `Queue.receive` reads no further, unless told otherwise.
RECEIVE_BYTES = 8 << 20

#: A message handed out for this time or a later one comes alone, so that one that kills whoever
#: takes it takes no others with it.
ALONE_AFTER = 3


class QueueUnavailable(Exception):
    """The queue cannot take or give messages now."""


class QueueFull(QueueUnavailable):
    """The queue holds as many messages as it may."""


class PayloadRefused(QueueUnavailable):
    """The queue takes messages, but never this one: it is too large for it."""


class Message(NamedTuple):
    """One delivery.

    Attributes
    ----------
    id
        The queue's own id, for `Queue.acknowledge`; unique over the queue's life, and the same for
        every delivery of a message.
    payload
        The bytes that were published.
    exhausted
        It has been handed out more often than a message may be, and nobody acknowledged it: it is
        handed out for nothing any more but to be kept elsewhere.
    """

    id: str
    payload: bytes
    exhausted: bool = False


class Queue(Protocol):
    """A queue with one group of consumers; one object is one consumer.

    Attributes
    ----------
    hold
        Seconds for which a message that was received is nobody else's, unless it is extended.
    """

    hold: float

    async def open(self) -> None:
        """Load what the first call would otherwise have to wait for; no input or output."""
        ...

    async def close(self) -> None:
        """Close connections that are the queue's own."""
        ...

    async def publish(self, payload: bytes) -> None:
        """Append one message; when this returns, the queue has it.

        Raises
        ------
        QueueFull
            At the length cap.
        PayloadRefused
            When the payload is too large for this queue.
        QueueUnavailable
            When the queue did not answer in time. It may have the message all the same.
        """
        ...

    async def receive(self, limit: int, max_bytes: int = RECEIVE_BYTES) -> list[Message]:
        """Return up to `limit` messages; empty when none wait.

        A message handed out is nobody else's until it is acknowledged, released, or was held for
        longer than `hold`. One handed out again and again comes alone, and in the end `exhausted`.

        Parameters
        ----------
        max_bytes
            Payload after which no further message is read; the last ones may go over it.

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

    async def extend(self, ids: list[str]) -> None:
        """Hold messages for another `hold` from now; ids that are gone already are no error.

        Raises
        ------
        QueueUnavailable
            When the queue did not answer in time; what was held may come again earlier.
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
        """Return the number of messages not acknowledged yet, as far as the queue knows it.

        Raises
        ------
        QueueUnavailable
            When the queue did not answer in time.
        """
        ...

    async def oldest_age(self) -> float | None:
        """Return how long the oldest message not acknowledged has been there, in seconds.

        Returns
        -------
        float or None
            0 when there is none; ``None`` from a queue that cannot tell.

        Raises
        ------
        QueueUnavailable
            When the queue did not answer in time.
        """
        ...
