"""Alerts over HTTP, signed as Standard Webhooks has it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import aiohttp

from tailrace.alerts.targets.base import NotDelivered, Notice

if TYPE_CHECKING:
    from tailrace.settings import AlertTargetSettings

# Seconds for the whole of one attempt.
_TIMEOUT = 10.0


def create(settings: "AlertTargetSettings") -> "WebhookTarget":
    """Return the target of the settings."""
    secret = settings.secret
    assert secret is not None
    return WebhookTarget(settings.url.get_secret_value(), secret.get_secret_value())


class WebhookTarget:
    """Posts to one address.

    Parameters
    ----------
    secret
        ``whsec_`` and the key in base64.
    """

    def __init__(self, url: str, secret: str) -> None:
        self._url = url
        self._key = b64decode(secret.removeprefix("whsec_"))

    async def send(self, notice: Notice) -> None:
        headers = {
            "content-type": "application/json",
            "user-agent": "tailrace",
            "webhook-id": str(notice.id),
            "webhook-timestamp": str(int(notice.attempted_at.timestamp())),
            "webhook-signature": sign(self._key, notice.id, notice.attempted_at, notice.body),
        }
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as http,
                # Whoever answers with another address is not the one that was configured.
                http.post(
                    self._url, data=notice.body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                status = answer.status
        except TimeoutError:
            raise NotDelivered(f"no answer within {_TIMEOUT:.0f} seconds") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Their texts hold the address, which may be a secret.
            raise NotDelivered(f"could not be reached: {type(error).__name__}") from None
        if not 200 <= status < 300:
            raise NotDelivered(f"answered {status}")


def sign(key: bytes, id: UUID, at: datetime, body: bytes) -> str:
    """Return the signature of a body: HMAC-SHA256 over ``id.timestamp.body``, in base64."""
    content = f"{id}.{int(at.timestamp())}.".encode() + body
    return "v1," + b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
