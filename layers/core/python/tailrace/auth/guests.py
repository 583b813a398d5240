"""Guests: people who chat before they sign in, known by a signed cookie.

How many messages they have is counted by `tailrace.limits.limiter`, for the cookie and for the
range of addresses, so that a dropped cookie does not reset it.
"""

from uuid import UUID

from itsdangerous import BadData, URLSafeTimedSerializer

from tailrace.ids import parse_uuid, uuid7
from tailrace.settings import Settings


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


def _signer(settings: Settings) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings.secret_key.get_secret_value(), salt="tailrace.guest")
