"""Lost passwords: a request, a mail with a link, a new password.

Who asks is answered before anybody is looked up, so that neither the answer nor the time it takes
tells who exists. `send_due` looks, and sends; it is part of maintenance. The token of a link is
made there and kept nowhere but in the mail; `tailrace.auth.users.reset_password` takes it.
"""

import hashlib
import logging
import secrets
from datetime import timedelta

from tailrace.db import queries, statements
from tailrace.db.pool import Pool, connect
from tailrace.ids import uuid7
from tailrace.mail import Mail, Mailer, MailError, Undeliverable
from tailrace.settings import Settings

_log = logging.getLogger(__name__)
_sql = queries.load("resets")

# A mail server that is down is asked again after 30 s, 1 min, 2 min, …: for about an hour.
_ATTEMPTS = 7
# Mails of one maintenance.
_BATCH = 20

_TEXT = """\
Somebody, probably you, asked for a new password for {email} at Tailrace.

Choose one here within {minutes} minutes:

{link}

If it was not you, nothing needs to be done: your password stays as it is.
"""


async def request(pool: Pool, email: str) -> None:
    """Note that somebody asks for a link to this address; takes as long for any address."""
    await statements.execute(pool, _sql["request_reset"], {"id": uuid7(), "email": email})


async def send_due(pool: Pool, settings: Settings, mailer: Mailer) -> int:
    """Send the links that were asked for, and return how many were sent.

    A mail that cannot be sent is tried again later; one whose sending was cut off may come twice.
    """
    async with connect(pool) as connection:
        await connection.execute(_sql["delete_expired_resets"])
        await connection.execute(_sql["delete_old_requests"])
    sent = 0
    for _ in range(_BATCH):
        request = await statements.fetch_one(pool, _sql["take_due_request"], {})
        if request is None:
            break
        try:
            sent += await _send(pool, settings, mailer, request["email"])
        except MailError as error:
            _log.warning("a mail was not sent: %s", error)
            if request["attempts"] < _ATTEMPTS and not isinstance(error, Undeliverable):
                # Most likely the mail server is down, and would keep the next one waiting too.
                break
        await statements.execute(pool, _sql["delete_request"], {"id": request["id"]})
    return sent


async def _send(pool: Pool, settings: Settings, mailer: Mailer, email: str) -> bool:
    token = secrets.token_urlsafe(32)
    terms = {
        "token_hash": hash_token(token),
        "email": email,
        "ttl": timedelta(seconds=settings.reset_ttl),
    }
    row = await statements.fetch_one(pool, _sql["create_reset"], terms)
    if row is None:
        return False
    # The token stands after the #, which browsers send to no server.
    link = f"{settings.public_url}/reset-password#token={token}"
    text = _TEXT.format(email=row["email"], minutes=settings.reset_ttl // 60, link=link)
    await mailer.send(Mail(to=row["email"], subject="Choose a new password", text=text))
    return True


def hash_token(token: str) -> bytes:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).digest()
