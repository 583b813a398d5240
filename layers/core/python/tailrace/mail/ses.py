"""Mail over Amazon SES, with the function's own credentials."""

import asyncio
from functools import cached_property
from typing import Any
from urllib.parse import SplitResult

from tailrace.mail.base import Mail, MailError, message_of


class SesMailer:
    """Sends with SES's API, version 2.

    Parameters
    ----------
    url
        ``ses://eu-west-1``, or ``ses:`` for the function's own region.
    """

    def __init__(self, url: SplitResult, sender: str) -> None:
        self._region = url.netloc or None
        self._sender = sender

    async def send(self, mail: Mail) -> None:
        message = message_of(mail, self._sender)
        await asyncio.to_thread(self._send, str(message["To"]), message.as_bytes())

    def _send(self, to: str, content: bytes) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [to]},
                Content={"Raw": {"Data": content}},
            )
        except ClientError as error:
            raise MailError(f"SES answered {error.response['Error']['Code']}") from error
        except BotoCoreError as error:
            raise MailError(f"SES: {type(error).__name__}") from error

    @cached_property
    def _client(self) -> Any:
        # Takes a quarter of a second to import, which only a mail has to wait for.
        import boto3
        from botocore.config import Config

        config = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
        return boto3.Session().client("sesv2", region_name=self._region, config=config)
