"""How often somebody may try: sign-ins and requests for links, by address and by account.

Who tries too often waits. When Valkey cannot count, sign-ins go on, each at the price of a password
hash, and mails are not sent.
"""

import math

from redis.asyncio import Redis

from tailrace.limits.addresses import network_of
from tailrace.limits.gcra import Limit, take_all
from tailrace.problems import Problem, unavailable
from tailrace.settings import Settings
from tailrace.valkey import UNREACHABLE

# Links to one address, at most, in so many seconds.
_MAILS = 5
_MAIL_WINDOW = 3600


async def take_sign_in(redis: Redis, settings: Settings, address: str, email: str) -> None:
    """Count an attempt to sign in.

    Nobody can lock an owner out from one address alone: the account's count is kept for each
    address, and ten times as many attempts are let through from all together.

    Raises
    ------
    Problem
        429 with ``Retry-After``.
    """
    network, account = _network(address), email.lower()
    window = settings.sign_in_window
    limits = [
        Limit("sign-in-address", network, settings.sign_in_address_limit, window),
        Limit("sign-in", f"{network} {account}", settings.sign_in_limit, window),
        Limit("sign-in-account", account, 10 * settings.sign_in_limit, window),
    ]
    await _take(redis, limits, open_when_down=True)


async def take_password(redis: Redis, settings: Settings, account: str) -> None:
    """Count an attempt of somebody signed in to tell their password.

    Raises
    ------
    Problem
        429 with ``Retry-After``.
    """
    limit = Limit("password", account, settings.sign_in_limit, settings.sign_in_window)
    await _take(redis, [limit], open_when_down=True)


async def take_visit(redis: Redis, settings: Settings, name: str, address: str) -> None:
    """Count, by address alone, an attempt to register, to sign in elsewhere or to use a link.

    Raises
    ------
    Problem
        429 with ``Retry-After``.
    """
    limit = Limit(name, _network(address), settings.sign_in_address_limit, settings.sign_in_window)
    await _take(redis, [limit], open_when_down=True)


async def take_mail(redis: Redis, settings: Settings, address: str, email: str) -> None:
    """Count a request for a mail.

    Raises
    ------
    Problem
        429 with ``Retry-After``, whether or not anybody has this email; 503 when it cannot be
        counted.
    """
    limits = [
        Limit(
            "mail-address",
            _network(address),
            settings.sign_in_address_limit,
            settings.sign_in_window,
        ),
        Limit("mail", email.lower(), _MAILS, _MAIL_WINDOW),
    ]
    await _take(redis, limits, open_when_down=False)


def _network(address: str) -> str:
    # One IPv6 customer has a /64.
    return network_of(address, 32, 64)


async def _take(redis: Redis, limits: list[Limit], *, open_when_down: bool) -> None:
    try:
        taken = await take_all(redis, limits)
    except UNREACHABLE as error:
        if open_when_down:
            return
        raise unavailable("This cannot be done just now. Try again in a moment.") from error
    wait = max((each.retry_after for each in taken if not each.allowed), default=0.0)
    if wait:
        raise Problem(
            429,
            "Too many attempts",
            "There were too many attempts. Try again later.",
            headers={"Retry-After": str(math.ceil(wait))},
        )
