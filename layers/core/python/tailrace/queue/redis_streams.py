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

from tailrace.queue.base import (
    ALONE_AFTER,
    RECEIVE_BYTES,
    Message,
    PayloadRefused,
    QueueFull,
    QueueUnavailable,
)
from tailrace.valkey import UNREACHABLE, create_client

if TYPE_CHECKING:
    from pydantic import SecretStr
    from redis.asyncio import Redis

    from tailrace.services import Services

_FIELD = b"payload"

# One answer stays well inside the client's timeout, and keeps the server from others for two
# thousandths of a second, whatever limit the caller asks for.
_CHUNK = 1000

# Bytes: far more than an event has; as much as SQS takes.
_MAX_PAYLOAD = 1 << 20

# The cap is checked where the entry is added, so that it costs no second round trip.
_PUBLISH = """
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return false end
return redis.call('XADD', KEYS[1], '*', ARGV[2], ARGV[3])
"""

# An entry someone else wrote may have no payload; ingestion makes a dead letter of it.
_PAYLOAD_OF = """
local function payload_of(fields, name)
  if fields[1] == name then return fields[2] end
  for i = 3, #fields, 2 do if fields[i] == name then return fields[i + 1] end end
  return ''
end
"""

# Read here a few at a time, since only what has been read tells how large it is.
_READ = (
    _PAYLOAD_OF
    + """
local found, n, size = {}, 0, 0
local name, limit, most = ARGV[3], 2 * tonumber(ARGV[4]), tonumber(ARGV[5])
while n < limit and size < most do
  local count = math.min((limit - n) / 2, 40)
  local streams = redis.call(
    'XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count, 'STREAMS', KEYS[1], '>')
  if not streams then break end
  local entries = streams[1][2]
  for i = 1, #entries do
    local entry = entries[i]
    local payload = payload_of(entry[2], name)
    found[n + 1] = entry[1]
    found[n + 2] = payload
    n = n + 2
    size = size + #payload
  end
  if #entries < count then break end
end
return found
"""
)

# XAUTOCLAIM would not tell how often an entry has been handed out.
_RECLAIM = (
    _PAYLOAD_OF
    + """
local found, size = {}, 0
local limit, most, idle = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local alone_after, max_deliveries = tonumber(ARGV[7]), tonumber(ARGV[8])
for _, pending in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', idle, '-', '+', limit)) do
  local delivery = pending[4] + 1
  local alone = delivery >= alone_after and delivery <= max_deliveries
  if size >= most or (alone and #found > 0) then break end
  -- Of an entry that was deleted meanwhile, nothing comes; before Redis 7, false does.
  local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], idle, pending[1])
  for _, entry in ipairs(claimed[1] and claimed or {}) do
    local payload = payload_of(entry[2], ARGV[3])
    found[#found + 1] = entry[1]
    found[#found + 1] = payload
    found[#found + 1] = delivery
    size = size + #payload
  end
  if alone and #found > 0 then break end
end
return found
"""
)

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


def create(services: "Services", url: "SecretStr | None") -> "RedisStreamsQueue":
    """Return the queue of a ``redis://`` or ``rediss://`` URL, or of the services' own Valkey."""
    settings = services.settings
    return RedisStreamsQueue(
        create_client(settings, url) if url else services.redis,
        max_length=settings.queue_max_length,
        max_deliveries=settings.queue_max_deliveries,
        owns_client=url is not None,
    )


class RedisStreamsQueue:
    """`tailrace.queue.base.Queue` over a Redis stream.

    Parameters
    ----------
    redis
        Client with ``decode_responses=False``; its timeouts bound every call.
    max_length
        Messages the stream may hold.
    max_deliveries
        Deliveries after which a message is exhausted.
    hold
        Seconds after which the holder of a message is taken for dead. A slow holder that is not
        dead makes for a second delivery, which ingestion ignores.
    key, group
        Names of the stream and of its consumer group.
    owns_client
        Whether `close` closes the client.
    """

    def __init__(
        self,
        redis: "Redis",
        *,
        max_length: int,
        max_deliveries: int = 10,
        hold: float = 60.0,
        key: str = "tailrace:inference-events",
        group: str = "ingest",
        owns_client: bool = False,
    ) -> None:
        self.hold = hold
        self._redis = redis
        self._owns_client = owns_client
        self._max_length = max_length
        self._max_deliveries = max_deliveries
        self._idle_ms = round(hold * 1000)
        self._key = key
        self._group = group
        self._consumer = f"{socket.gethostname()}-{secrets.token_hex(8)}"
        self._publish = redis.register_script(_PUBLISH)
        self._read = redis.register_script(_READ)
        self._reclaim = redis.register_script(_RECLAIM)
        self._acknowledge = redis.register_script(_ACKNOWLEDGE)
        self._sweep = redis.register_script(_SWEEP)
        self._swept = False

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        if self._owns_client:
            await self._redis.aclose()

    async def publish(self, payload: bytes) -> None:
        if len(payload) > _MAX_PAYLOAD:
            raise PayloadRefused(f"{len(payload)} bytes, where {_MAX_PAYLOAD} are allowed")
        with _reachable():
            entry = await self._publish(keys=[self._key], args=[self._max_length, _FIELD, payload])
        if entry is None:
            raise QueueFull

    async def receive(self, limit: int, max_bytes: int = RECEIVE_BYTES) -> list[Message]:
        messages: list[Message] = []
        try:
            if not self._swept:
                await self._in_group(self._sweep_consumers)
                self._swept = True
            room = max_bytes
            if limit:
                messages, alone = await self._in_group(self._claim_idle, limit, max_bytes)
                if alone:
                    return messages
                room -= sum(len(message.payload) for message in messages)
            while len(messages) < limit and room > 0:
                count = min(limit - len(messages), _CHUNK)
                found = await self._in_group(self._read_new, count, room)
                messages += found
                if len(found) < count:
                    break
                room -= sum(len(message.payload) for message in found)
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

    async def extend(self, ids: list[str]) -> None:
        await self._claim_again(ids, idle=0)

    async def release(self, ids: list[str]) -> None:
        # Setting the idle time is how a holder says that it holds no more; and a message that is
        # given back is not what keeps its holders from going on, so it is not counted.
        await self._claim_again(ids, idle=self._idle_ms, retrycount=0)

    async def ping(self) -> None:
        with _reachable():
            await self._redis.ping()

    async def depth(self) -> int:
        with _reachable():
            return await self._redis.xlen(self._key)

    async def oldest_age(self) -> float:
        with _reachable():
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.time()
            pipeline.xrange(self._key, count=1)
            (seconds, microseconds), entries = await pipeline.execute()
        if not entries:
            return 0.0
        # An id begins with the server's own time in milliseconds.
        added = int(entries[0][0].partition(b"-")[0]) / 1000
        return max(0.0, seconds + microseconds / 1e6 - added)

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

    async def _claim_idle(self, count: int, max_bytes: int) -> tuple[list[Message], bool]:
        """Return what dead consumers held, and whether it is one message to be taken alone."""
        flat = await self._reclaim(
            keys=[self._key],
            args=[
                *(self._group, self._consumer, _FIELD, min(count, _CHUNK), max_bytes),
                *(self._idle_ms, ALONE_AFTER, self._max_deliveries),
            ],
        )
        triples = list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
        messages = [
            Message(id.decode(), payload, delivery > self._max_deliveries)
            for id, payload, delivery in triples
        ]
        alone = bool(triples) and ALONE_AFTER <= triples[0][2] <= self._max_deliveries
        return messages, alone

    async def _read_new(self, count: int, max_bytes: int) -> list[Message]:
        flat = await self._read(
            keys=[self._key], args=[self._group, self._consumer, _FIELD, count, max_bytes]
        )
        return [
            Message(id.decode(), payload) for id, payload in zip(flat[::2], flat[1::2], strict=True)
        ]

    async def _claim_again(self, ids: list[str], **options: int) -> None:
        for start in range(0, len(ids), _CHUNK):
            await self._in_group(self._claim, ids[start : start + _CHUNK], options)

    async def _claim(self, ids: list[str], options: dict[str, Any]) -> None:
        await self._redis.xclaim(
            self._key,
            self._group,
            self._consumer,
            min_idle_time=0,
            message_ids=list(ids),
            justid=True,
            **options,
        )


def _is_missing(error: ResponseError) -> bool:
    # XINFO says so in words of its own when the stream is missing, not just the group.
    return str(error).startswith("NOGROUP") or "no such key" in str(error)


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except UNREACHABLE as error:
        raise QueueUnavailable(f"{type(error).__name__}: {error}") from error
