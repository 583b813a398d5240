"""Which providers keep failing, shared by every process through Valkey.

A provider that failed so often within a window cools down for a while: the router passes it over
where there is a fallback. Without Valkey nobody cools down, and nothing waits.
"""

import time
from typing import Any

from redis.asyncio import Redis

from tailrace.settings import Settings
from tailrace.valkey import UNREACHABLE

# Seconds for which the answer of Valkey is believed.
_TTL = 1.0

# KEYS: failures, cooling. ARGV: window (s), failures allowed, cooling (ms).
_FAILED = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
if count >= tonumber(ARGV[2]) then
    redis.call('SET', KEYS[2], 1, 'PX', ARGV[3])
    redis.call('DEL', KEYS[1])
end
return count
"""


class Health:
    """What this process knows of its providers."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis: Any = redis
        self._settings = settings
        self._failing: set[str] = set()
        self._asked_at = float("-inf")
        self._cooling: frozenset[str] = frozenset()

    async def failed(self, name: str) -> None:
        """Count a failure of a provider."""
        self._failing.add(name)
        self._asked_at = float("-inf")
        settings = self._settings
        try:
            await self._redis.eval(
                _FAILED,
                2,
                *_keys(name),
                round(settings.provider_cooling * 2),
                settings.provider_failures,
                round(settings.provider_cooling * 1000),
            )
        except UNREACHABLE:
            return

    async def succeeded(self, name: str) -> None:
        """Forget the failures of a provider; costs nothing where there were none."""
        if name in self._failing:
            self._failing.discard(name)
            try:
                await self._redis.delete(_keys(name)[0])
            except UNREACHABLE:
                return

    async def cooling(self, names: set[str]) -> frozenset[str]:
        """Return those of the providers that are cooling down."""
        if time.monotonic() - self._asked_at > _TTL:
            everyone = sorted(names | {p.name for p in self._settings.providers})
            try:
                found = await self._redis.mget([_keys(name)[1] for name in everyone])
            except UNREACHABLE:
                found = [None] * len(everyone)
            self._cooling = frozenset(n for n, v in zip(everyone, found, strict=True) if v)
            self._asked_at = time.monotonic()
        return self._cooling & names


def _keys(name: str) -> tuple[str, str]:
    # One hash tag, so that a cluster keeps both keys in one slot.
    return f"tailrace:provider:{{{name}}}:failures", f"tailrace:provider:{{{name}}}:cooling"
