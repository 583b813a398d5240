"""Alerts over a topic of Amazon SNS, with the function's own credentials."""

import asyncio
import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tailrace.alerts.targets.base import NotDelivered, Notice

if TYPE_CHECKING:
    from tailrace.settings import AlertTargetSettings

_MAX_SUBJECT = 100
# People read these; programs read everything else.
_READ_BY_PEOPLE = ("email", "sms")


def create(settings: "AlertTargetSettings") -> "SnsTarget":
    """Return the target of the settings."""
    return SnsTarget(settings.url.get_secret_value().removeprefix("sns:"))


class SnsTarget:
    """Publishes to one topic.

    Parameters
    ----------
    topic_arn
        The topic, such as ``arn:aws:sns:eu-west-1:123456789012:alerts``; it names its region.
    """

    def __init__(self, topic_arn: str) -> None:
        self._topic_arn = topic_arn

    async def send(self, notice: Notice) -> None:
        await asyncio.to_thread(self._publish, notice)

    def _publish(self, notice: Notice) -> None:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        message = {"default": notice.body.decode()} | dict.fromkeys(_READ_BY_PEOPLE, notice.summary)
        given = {"severity": notice.severity, "state": notice.state, "delivery_id": str(notice.id)}
        request: dict[str, Any] = {
            "TopicArn": self._topic_arn,
            "Subject": _subject(notice),
            "Message": json.dumps(message),
            "MessageStructure": "json",
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in given.items()
            },
        }
        if self._topic_arn.endswith(".fifo"):
            request["MessageGroupId"] = "tailrace"
            request["MessageDeduplicationId"] = str(notice.id)
        try:
            self._client.publish(**request)
        except ClientError as error:
            raise NotDelivered(f"SNS answered {error.response['Error']['Code']}") from None
        except (BotoCoreError, HTTPClientError, OSError) as error:
            raise NotDelivered(f"SNS could not be reached: {type(error).__name__}") from None

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        config = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
        region = self._topic_arn.split(":")[3]
        return boto3.Session().client("sns", region_name=region, config=config)


def _subject(notice: Notice) -> str:
    """Return the subject of a mail: ASCII, in one line, and short."""
    text = f"[{notice.severity}] {notice.state}: {notice.summary}"
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)[:_MAX_SUBJECT]
