"""The queue over one Redis (or Valkey) stream and one consumer group.

The stream holds what is not acknowledged yet and nothing else, so its length is the backlog. It
is never trimmed: at the cap, publishing fails instead. The group is created at the start of the
stream when it is found missing, so that a wiped server loses nothing published since.

https://valkey.io/topics/streams-intro/
"""

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from tailrace.queue.base import Message, QueueFull, QueueUnavailable
from tailrace.valkey import UNREACHABLE

if TYPE_CHECKING:
    from redis.asyncio import Redis

_FIELD = b"payload"

# One answer stays well inside the client's timeout, whatever limit the caller asks for.
_CHUNK = 500

# The cap is checked where the entry is added, so that it costs no second round trip.
_PUBLISH = """
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return false end
return redis.call('XADD', KEYS[1], '*', ARGV[2], ARGV[3])
"""

# One argument for all the ids, since packing each takes the client longer than splitting them here.
_ACKNOWLEDGE = """
local ids = {}
for id in string.gmatch(ARGV[2], '%S+') do ids[#ids + 1] = id end
redis.call('XACK', KEYS[1], ARGV[1], unpack(ids))
redis.call('XDEL', KEYS[1], unpack(ids))
"""

# Removing a consumer drops what it has pending: look and remove must be one step.
_SWEEP = """
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #fields, 2 do consumer[fields[i]] = fields[i + 1] end
  if consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
  end
end
"""


class RedisStreamsQueue:
    """`tailrace.queue.base.Queue` over a Redis stream.

    Parameters
    ----------
    redis
        Client with ``decode_responses=False``; its timeouts bound every call.
    max_length
        Messages the stream may hold.
    reclaim_after
        Seconds after which the holder of a message is taken for dead. A slow holder that is not
        dead makes for a second delivery, which ingestion ignores.
    key, group
        Names of the stream and of its consumer group.
    """

    def __init__(
        self,
        redis: "Redis",
        *,
        max_length: int,
        reclaim_after: float = 60.0,
        key: str = "tailrace:inference-events",
        group: str = "ingest",
    ) -> None:
        self._redis = redis
        self._max_length = max_length
        self._idle_ms = round(reclaim_after * 1000)
        self._key = key
        self._group = group
        self._consumer = f"{socket.gethostname()}-{secrets.token_hex(8)}"
        self._publish = redis.register_script(_PUBLISH)
        self._acknowledge = redis.register_script(_ACKNOWLEDGE)
        self._sweep = redis.register_script(_SWEEP)
        self._swept = False

    async def publish(self, payload: bytes) -> None:
        with _reachable():
            entry = await self._publish(keys=[self._key], args=[self._max_length, _FIELD, payload])
        if entry is None:
            raise QueueFull

    async def receive(self, limit: int) -> list[Message]:
        messages: list[Message] = []
        try:
            if not self._swept:
                await self._in_group(self._sweep_consumers)
                self._swept = True
            for read in (self._reclaim, self._read_new):
                while len(messages) < limit:
                    count = min(limit - len(messages), _CHUNK)
                    found = await self._in_group(read, count)
                    messages += found
                    if len(found) < count:
                        break
        except QueueUnavailable:
            # What has been handed out already is worth more than the reason for there being less.
            if not messages:
                raise
        return messages

    async def acknowledge(self, ids: list[str]) -> None:
        with _reachable():
            for start in range(0, len(ids), _CHUNK):
                chunk = " ".join(ids[start : start + _CHUNK])
                await self._acknowledge(keys=[self._key], args=[self._group, chunk])

    async def release(self, ids: list[str]) -> None:
        for start in range(0, len(ids), _CHUNK):
            await self._in_group(self._let_go, ids[start : start + _CHUNK])

    async def ping(self) -> None:
        with _reachable():
            await self._redis.ping()

    async def depth(self) -> int:
        with _reachable():
            return await self._redis.xlen(self._key)

    async def _in_group(self, command: Any, *args: Any) -> Any:
        """Run a command that needs the group, creating the group when there is none."""
        with _reachable():
            try:
                return await command(*args)
            except ResponseError as error:
                if not _is_missing(error):
                    raise
            try:
                await self._redis.xgroup_create(self._key, self._group, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
            return await command(*args)

    async def _sweep_consumers(self) -> None:
        # A frozen Lambda may thaw after hours; its consumer would only be made again.
        await self._sweep(keys=[self._key], args=[self._group, max(self._idle_ms * 10, 1)])

    async def _reclaim(self, count: int) -> list[Message]:
        cursor: bytes = b"0-0"
        while True:
            # One call looks at a bounded number of pending entries, and may find none idle.
            cursor, entries, *_ = await self._redis.xautoclaim(
                self._key, self._group, self._consumer, self._idle_ms, cursor, count=count
            )
            if entries or cursor == b"0-0":
                return _messages(entries)

    async def _read_new(self, count: int) -> list[Message]:
        streams: Any = await self._redis.xreadgroup(
            self._group, self._consumer, {self._key: ">"}, count=count
        )
        return _messages(streams[0][1]) if streams else []

    async def _let_go(self, ids: list[str]) -> None:
        # Setting the idle time is how a holder says that it holds no more.
        await self._redis.xclaim(
            self._key,
            self._group,
            self._consumer,
            min_idle_time=0,
            message_ids=list(ids),
            idle=self._idle_ms,
            justid=True,
        )


def _messages(entries: list[tuple[bytes, dict[bytes, bytes]]]) -> list[Message]:
    # An entry someone else wrote may have no payload; ingestion makes a dead letter of it.
    return [Message(id.decode(), fields.get(_FIELD, b"")) for id, fields in entries]


def _is_missing(error: ResponseError) -> bool:
    # XINFO says so in words of its own when the stream is missing, not just the group.
    return str(error).startswith("NOGROUP") or "no such key" in str(error)


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except UNREACHABLE as error:
        raise QueueUnavailable(f"{type(error).__name__}: {error}") from error
