"""The journal of a run: its frames in a short-lived Valkey stream, for readers that come later.

An entry holds the frames of about 50 ms under the explicit id ``<last frame's number>-0``: a
reader that has frame n asks for what comes after ``n-0``, and an append that was sent twice is
refused by Valkey itself. The last entry carries the run's status.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tailrace.runs import wire
from tailrace.valkey import UNREACHABLE

# Seconds a reader waits before it looks whether the run is still alive; below socket timeouts.
_BLOCK = 0.25
_KEEP_ALIVE_EVERY = 15.0
# Seconds by which a run that is under way has surely appended its first frame.
_FIRST_APPEND = 2.0


# The client's own types cover every server and protocol version; these replies are plain.
_Entries = list[tuple[bytes, dict[bytes, bytes]]]


class Recovered(NamedTuple):
    """What the journal kept of a run: message parts, and its status if it had ended."""

    parts: list[dict[str, str]]
    status: str | None


class Journal:
    """The writing end, held by the run itself."""

    def __init__(
        self, redis: Redis, run_id: UUID, owner_id: UUID, *, ttl: int, alive_for: float
    ) -> None:
        self._redis = redis
        self._key, self._alive_key, self._cancel_key = _keys(run_id)
        self._owner_id = str(owner_id)
        self._ttl = ttl
        self._alive_for = alive_for
        self._alive_until = 0.0

    async def append(self, frames: list[bytes], last: int, status: str | None = None) -> bool:
        """Append frames up to number `last`; in the same round trip, learn of a request to stop.

        Parameters
        ----------
        status
            The run's final status, with its last frames.

        Returns
        -------
        bool
            Whether somebody asked the run to stop.

        Raises
        ------
        redis.RedisError, OSError
            When Valkey does not answer; the same call may be made again.
        """
        now, shows_life = asyncio.get_running_loop().time(), False
        pipeline = self._redis.pipeline(transaction=False)
        if frames:
            fields: dict[Any, Any] = {"frames": b"".join(frames), "owner": self._owner_id}
            if status is not None:
                fields["status"] = status
            pipeline.xadd(self._key, fields, id=f"{last}-0")
        if status is not None:
            pipeline.expire(self._key, self._ttl)
            pipeline.delete(self._alive_key)
        elif shows_life := now + self._alive_for * 2 / 3 > self._alive_until:
            pipeline.set(self._alive_key, 1, px=round(self._alive_for * 1000))
            pipeline.expire(self._key, self._ttl)
        pipeline.exists(self._cancel_key)
        replies = await pipeline.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, ResponseError) and "equal or smaller" in str(reply):
                continue  # The first try had arrived after all.
            if isinstance(reply, Exception):
                raise reply
        if shows_life:
            self._alive_until = now + self._alive_for
        return bool(replies[-1])


def alive_key(run_id: UUID) -> str:
    """Return the key that stands in Valkey while a run shows signs of life."""
    return _keys(run_id)[1]


async def request_cancel(redis: Redis, run_id: UUID, ttl: int) -> None:
    """Raise the flag that the run reads with its next append."""
    await redis.set(_keys(run_id)[2], 1, ex=ttl)


async def follow(
    redis: Redis, run_id: UUID, owner_id: UUID, after: int, *, active: bool
) -> AsyncIterator[bytes] | None:
    """Return the frames after number `after`, then live ones to the run's end.

    Parameters
    ----------
    active
        The run is known to be under way: wait for its first frame.

    Returns
    -------
    async iterator of bytes, or None
        ``None`` when the journal cannot give all frames from there on, or is another owner's.
    """
    key, alive_key, _ = _keys(run_id)
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + (_FIRST_APPEND if active else 0.0)
    try:
        while not (first := await _range(redis, key, count=1)):
            if loop.time() >= give_up_at:
                return None
            await asyncio.sleep(_BLOCK / 5)
    except UNREACHABLE:
        return None
    _, fields = first[0]
    frames = wire.split(fields[b"frames"])
    if fields[b"owner"].decode() != str(owner_id) or _number(frames[0]) > after + 1:
        return None
    return _follow(redis, key, alive_key, after)


async def recover(redis: Redis, run_id: UUID) -> Recovered:
    """Return what the journal holds of a run whose function died; nothing is no error.

    Raises
    ------
    redis.RedisError, OSError
        When Valkey does not answer.
    """
    frames: list[bytes] = []
    status = None
    for _, fields in await _range(redis, _keys(run_id)[0]):
        last = _number(frames[-1]) if frames else 0
        # An append that was thought lost and sent again left its frames twice.
        frames += [piece for piece in wire.split(fields[b"frames"]) if _number(piece) > last]
        if b"status" in fields:
            status = fields[b"status"].decode()
    if frames and _number(frames[0]) != 1:
        # Valkey lost the beginning: half a text would pass for the whole.
        return Recovered([], status)
    return Recovered(wire.parts_of(frames), status)


async def _follow(redis: Redis, key: str, alive_key: str, after: int) -> AsyncIterator[bytes]:
    quiet = 0.0
    try:
        while True:
            entries = await _read_after(redis, key, after)
            if not entries:
                if not await redis.exists(alive_key):
                    newest: _Entries = await _any(redis).xrevrange(key, count=1)
                    if newest and b"status" in newest[0][1]:
                        yield wire.DONE
                    return
                quiet += _BLOCK
                if quiet >= _KEEP_ALIVE_EVERY:
                    quiet = 0.0
                    yield wire.KEEP_ALIVE
                continue
            quiet = 0.0
            for entry_id, fields in entries:
                missing = [f for f in wire.split(fields[b"frames"]) if _number(f) > after]
                after = int(entry_id.partition(b"-")[0])
                yield b"".join(missing)
                if b"status" in fields:
                    yield wire.DONE
                    return
    except UNREACHABLE:
        # The reader sees an end without [DONE], and may come back.
        return


async def _range(redis: Redis, key: str, count: int | None = None) -> _Entries:
    return await _any(redis).xrange(key, count=count)


async def _read_after(redis: Redis, key: str, after: int) -> _Entries:
    reply = await _any(redis).xread({key: f"{after}-0"}, block=round(_BLOCK * 1000))
    return reply[0][1] if reply else []


def _any(redis: Redis) -> Any:
    return redis


def _keys(run_id: UUID) -> tuple[str, str, str]:
    return (
        f"tailrace:run:{run_id}",
        f"tailrace:run:{run_id}:alive",
        f"tailrace:run:{run_id}:cancel",
    )


def _number(piece: bytes) -> int:
    return int(piece[4 : piece.index(b"\n")])
