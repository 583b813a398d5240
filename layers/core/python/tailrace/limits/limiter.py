"""The limiter of requests: which rates hold for whom, asked in one call of Valkey.

Called by both HTTP applications, for what costs something. When Valkey cannot count, users pass
and guests do not: the model bill stays bounded. A Valkey that did not answer is left alone for a
second, so that nobody waits for it twice.
"""

import math
import time
from typing import TYPE_CHECKING, NamedTuple

from tailrace.limits.addresses import network_of
from tailrace.limits.gcra import Limit, Taken, take_all
from tailrace.limits.rate import parse
from tailrace.problems import Problem, unavailable
from tailrace.settings import Settings
from tailrace.valkey import UNREACHABLE

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from tailrace.auth.identity import Caller

#: The limit of one guest's messages.
GUEST_LIMIT = "guest"

# Seconds for which a Valkey that did not answer is not asked again.
_PAUSE = 1.0


class Standing(NamedTuple):
    """A limit, and what is left of it."""

    limit: Limit
    taken: Taken


class Limiter:
    """Counts what callers do; one for each process."""

    def __init__(self, redis: "Redis", settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._asked_again_at = 0.0

    async def take_message(self, caller: "Caller", address: str) -> dict[str, str]:
        """Count a message that somebody sends to a model.

        Parameters
        ----------
        address
            The client's, empty when it is not known.

        Returns
        -------
        dict
            Headers that tell what is left; none when nothing could be counted.

        Raises
        ------
        Problem
            429 with ``Retry-After``; 503 for a guest who cannot be counted.
        """
        return await self._take(caller, self.message_limits(caller, address))

    async def take_request(self, caller: "Caller", address: str) -> dict[str, str]:
        """Count a request that takes more than a look, such as a search or an import.

        Raises
        ------
        Problem
            429 with ``Retry-After``; 503 for a guest who cannot be counted.
        """
        rates = [("request", str(caller.id), self._settings.request_rate)]
        return await self._take(caller, _limits_of([*rates, self._address_rate(address)]))

    async def standings(self, caller: "Caller", address: str) -> list[Standing] | None:
        """Return what is left of the limits of messages; ``None`` when nobody can tell."""
        limits = self.message_limits(caller, address)
        taken = await self._ask(limits, 0)
        return None if taken is None else _together(limits, taken)

    def message_limits(self, caller: "Caller", address: str) -> list[Limit]:
        """Return the limits that hold for messages of a caller."""
        settings = self._settings
        if caller.kind == "user":
            limits = [("user", str(caller.id), settings.user_rate)]
            if caller.key_id is not None:
                limits.append(("key", str(caller.key_id), settings.key_rate))
            return _limits_of([*limits, self._address_rate(address)])
        # A new cookie is to be had for the asking, a range of addresses is not.
        network = network_of(address, settings.guest_ipv4_prefix, settings.guest_ipv6_prefix)
        window = settings.guest_window
        return [
            Limit(GUEST_LIMIT, str(caller.id), settings.guest_limit, window),
            Limit("guest-address", network, settings.guest_address_limit, window),
            *_limits_of([self._address_rate(address)]),
        ]

    async def guest_remaining(self, caller: "Caller", address: str) -> int | None:
        """Return the messages left to a guest, ``None`` when nobody can tell."""
        standings = await self.standings(caller, address)
        if standings is None:
            return None
        return min(standing.taken.remaining for standing in standings)

    def _address_rate(self, address: str) -> tuple[str, str, str]:
        # Behind one IPv6 address stand as many as somebody likes: a /64 is what a line has.
        rate = self._settings.address_rate if address else "off"
        return "address", network_of(address, 32, 64), rate

    async def _take(self, caller: "Caller", limits: list[Limit]) -> dict[str, str]:
        if not limits:
            return {}
        taken = await self._ask(limits, 1)
        if taken is None:
            if caller.kind == "user":
                return {}
            raise unavailable("Guests cannot be served just now. Sign in to chat.")
        standings = _together(limits, taken)
        headers = headers_of(standings)
        refused = [standing for standing in standings if not standing.taken.allowed]
        if refused:
            raise _refusal(max(refused, key=lambda one: one.taken.retry_after), headers)
        return headers

    async def _ask(self, limits: list[Limit], cost: int) -> list[Taken] | None:
        if time.monotonic() < self._asked_again_at:
            return None
        try:
            return await take_all(self._redis, limits, cost)
        except UNREACHABLE:
            self._asked_again_at = time.monotonic() + _PAUSE
            return None


def headers_of(standings: list[Standing]) -> dict[str, str]:
    """Return what is left as ``RateLimit`` headers.

    https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
    """
    return {
        "RateLimit-Policy": ", ".join(
            f'"{limit.name}";q={limit.limit};w={math.ceil(limit.window)}' for limit, _ in standings
        ),
        "RateLimit": ", ".join(
            f'"{limit.name}";r={taken.remaining};t={math.ceil(taken.reset_after)}'
            for limit, taken in standings
        ),
    }


def _limits_of(rates: list[tuple[str, str, str]]) -> list[Limit]:
    return [
        Limit(name, key, *rate) for name, key, text in rates if (rate := parse(text)) is not None
    ]


def _together(limits: list[Limit], taken: list[Taken]) -> list[Standing]:
    return [Standing(*each) for each in zip(limits, taken, strict=True)]


_SAYINGS = {
    GUEST_LIMIT: "You have used up the messages of a guest. Sign in to go on.",
    "guest-address": "Guests of your network have used up their messages. Sign in to go on.",
    "key": "There were too many requests with this API key. Try again in a moment.",
    "address": "There were too many requests from your address. Try again in a moment.",
}


def _refusal(standing: Standing, headers: dict[str, str]) -> Problem:
    name = standing.limit.name
    return Problem(
        429,
        "Guest limit reached" if name in (GUEST_LIMIT, "guest-address") else "Too many requests",
        _SAYINGS.get(name, "There were too many requests. Try again in a moment."),
        headers=headers | {"Retry-After": str(max(1, math.ceil(standing.taken.retry_after)))},
    )
