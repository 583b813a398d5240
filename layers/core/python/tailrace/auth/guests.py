"""Guests: people who chat before they sign in, known by a signed cookie and limited in Valkey.

A guest's messages are counted per cookie and per client address, so that a dropped cookie does
not reset the limit. When Valkey cannot count, guests wait: the model bill stays bounded.
"""

import hashlib
from uuid import UUID

from itsdangerous import BadData, URLSafeTimedSerializer
from redis.asyncio import Redis

from tailrace.ids import parse_uuid, uuid7
from tailrace.problems import Problem, unavailable
from tailrace.settings import Settings
from tailrace.valkey import UNREACHABLE

# Both counters in one call; nothing is counted when either is used up.
# Returns the messages left to the cookie, or -(seconds to wait) - 1 when there are none.
_TAKE = """
for i = 1, 2 do
  if tonumber(redis.call('GET', KEYS[i]) or '0') >= tonumber(ARGV[i]) then
    return -math.max(redis.call('TTL', KEYS[i]), 0) - 1
  end
end
for i = 1, 2 do
  if redis.call('INCR', KEYS[i]) == 1 then redis.call('EXPIRE', KEYS[i], ARGV[3]) end
end
return ARGV[1] - redis.call('GET', KEYS[1])
"""


def issue(settings: Settings) -> tuple[UUID, str]:
    """Return a new guest's id and the value of its cookie."""
    guest_id = uuid7()
    return guest_id, _signer(settings).dumps(str(guest_id))


def read(settings: Settings, cookie: str | None) -> UUID | None:
    """Return the id in a cookie that we signed and that is not too old."""
    if not cookie:
        return None
    try:
        return parse_uuid(_signer(settings).loads(cookie, max_age=settings.guest_ttl))
    except BadData:
        return None


async def take(redis: Redis, settings: Settings, guest_id: UUID, address: str) -> int:
    """Count one message of a guest.

    Returns
    -------
    int
        Messages left in this window.

    Raises
    ------
    Problem
        429 with ``Retry-After`` when the limit is reached, 503 when it cannot be counted.
    """
    try:
        left = await redis.eval(
            _TAKE,
            2,
            *_keys(guest_id, address),
            settings.guest_limit,
            settings.guest_address_limit,
            settings.guest_window,
        )
    except UNREACHABLE as error:
        raise unavailable("Guests cannot be served just now. Sign in to chat.") from error
    if left < 0:
        raise Problem(
            429,
            "Guest limit reached",
            "You have used up the messages of a guest. Sign in to go on.",
            headers={"Retry-After": str(max(1, -left - 1))},
        )
    return left


async def remaining(redis: Redis, settings: Settings, guest_id: UUID, address: str) -> int | None:
    """Return the messages left to a guest, ``None`` when they cannot be counted."""
    try:
        by_cookie, by_address = await redis.mget(_keys(guest_id, address))
    except UNREACHABLE:
        return None
    return max(
        0,
        min(
            settings.guest_limit - int(by_cookie or 0),
            settings.guest_address_limit - int(by_address or 0),
        ),
    )


def _keys(guest_id: UUID, address: str) -> tuple[str, str]:
    # The address itself is nobody's business, not even Valkey's.
    digest = hashlib.sha256(address.encode()).hexdigest()[:32]
    return f"tailrace:guest:{guest_id}", f"tailrace:guest-address:{digest}"


def _signer(settings: Settings) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings.secret_key.get_secret_value(), salt="tailrace.guest")
