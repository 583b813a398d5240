"""Rates: the generic cell rate algorithm, any number of limits in one call of Valkey.

A limit of `limit` per `window` lets through a burst of `limit` at once and from then on one every
``window / limit`` seconds, without the edges of fixed windows. What is kept for each key is one
number, the theoretical arrival time, that expires by itself.
https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm

Knows nothing of who is limited or why; what an unreachable Valkey means is the caller's policy.
"""

import hashlib
import math
from typing import TYPE_CHECKING, NamedTuple, cast

from redis.asyncio import Redis

if TYPE_CHECKING:
    from collections.abc import Awaitable

# KEYS: one for each limit. ARGV: cost, the time or '' for the server's clock, then limit and
# interval for each. Times are whole microseconds, which a double holds exactly until 2255.
# Nothing is counted when any limit refuses. Returns, for each limit: 1 or 0 (let through),
# what is left, microseconds until the cost would be let through, and until all is left again.
_TAKE = """
local cost, now = tonumber(ARGV[1]), tonumber(ARGV[2])
if not now then
  local clock = redis.call('TIME')
  now = clock[1] * 1000000 + clock[2]
end
local arrivals, waits, refused = {}, {}, false
for i = 1, #KEYS do
  local limit, interval = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
  arrivals[i] = math.max(tonumber(redis.call('GET', KEYS[i]) or '0'), now)
  if cost > limit or limit == 0 then
    waits[i] = interval * math.max(limit, 1)
  else
    waits[i] = math.max(arrivals[i] + (cost - limit) * interval - now, 0)
  end
  refused = refused or waits[i] > 0
end
local answer = {}
for i = 1, #KEYS do
  local limit, interval = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
  if cost > 0 and not refused then
    arrivals[i] = arrivals[i] + cost * interval
    redis.call('SET', KEYS[i], string.format('%.0f', arrivals[i]),
               'PX', math.ceil((arrivals[i] - now) / 1000) + 1)
  end
  local until_whole = arrivals[i] - now
  local left = math.max(math.floor(limit - until_whole / interval), 0)
  answer[i] = {waits[i] == 0 and 1 or 0, left, waits[i], until_whole}
end
return answer
"""


class Limit(NamedTuple):
    """A rate, and whom it holds for.

    Attributes
    ----------
    name
        Of the limit; two limits of one name and key share a count.
    key
        Whose count it is. Kept as a hash, since an address is nobody's business.
    limit
        How many at once, and in every window; 0 lets nothing through.
    window
        Seconds.
    """

    name: str
    key: str
    limit: int
    window: float


class Taken(NamedTuple):
    """What one limit said.

    Attributes
    ----------
    allowed
        Whether this limit lets the request through; it was counted only if all limits did.
    remaining
        How many more it would let through at once.
    retry_after, reset_after
        Seconds until it lets this request through, and until all of it is left again.
    """

    allowed: bool
    remaining: int
    retry_after: float
    reset_after: float


async def take(redis: Redis, name: str, key: str, limit: int, window: float) -> Taken:
    """Count one request against one limit.

    Raises
    ------
    redis.RedisError, OSError
        When Valkey cannot count; see `tailrace.valkey.UNREACHABLE`.
    """
    return (await take_all(redis, [Limit(name, key, limit, window)]))[0]


async def take_all(
    redis: Redis, limits: list[Limit], cost: int = 1, *, now: int | None = None
) -> list[Taken]:
    """Count one request against every limit, or against none when one refuses.

    Parameters
    ----------
    cost
        How much the request takes of each; 0 only looks.
    now
        Microseconds since 1970; the server's clock, unless a test has one of its own.

    Returns
    -------
    list
        What each limit said, in their order.

    Raises
    ------
    redis.RedisError, OSError
        When Valkey cannot count; see `tailrace.valkey.UNREACHABLE`.
    """
    arguments: list[str | int] = [cost, "" if now is None else now]
    for each in limits:
        # Rounded up, so that no rounding ever lets through more than the limit.
        arguments += each.limit, math.ceil(each.window * 1_000_000 / max(each.limit, 1))
    answers = await cast(
        "Awaitable[list[list[int]]]",
        redis.eval(_TAKE, len(limits), *(_key(each) for each in limits), *arguments),
    )
    return [
        Taken(allowed == 1, left, wait / 1e6, reset / 1e6) for allowed, left, wait, reset in answers
    ]


def _key(limit: Limit) -> str:
    # The braces keep all counters in one slot of a cluster, where one call reaches them all.
    digest = hashlib.sha256(limit.key.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return f"tailrace:{{limit}}:{limit.name}:{digest}"
