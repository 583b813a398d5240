"""The queue over Amazon SQS, a standard queue, through boto3 with the function's own credentials.

boto3 waits in threads, several requests at once, never on the event loop. A message is JSON as it
was published, or base64 where SQS could not carry its characters. What SQS itself has given up on
(its redrive policy names a dead-letter queue) is received after all else, as exhausted, so that it
ends among our dead letters rather than at the end of a retention period.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-quotas.html
"""

import asyncio
import json
import logging
import os
import re
import time
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import ceil, inf
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tailrace.queue.base import (
    ALONE_AFTER,
    RECEIVE_BYTES,
    Message,
    PayloadRefused,
    QueueFull,
    QueueUnavailable,
)

if TYPE_CHECKING:
    from pydantic import SecretStr

    from tailrace.services import Services

_log = logging.getLogger(__name__)

#: Bytes of a message, its attributes included.
MAX_MESSAGE = 1 << 20

# SQS takes and gives so many messages in one request.
_BATCH = 10
# Requests under way at once; one brings ten messages after some milliseconds.
_CONNECTIONS = 8
# Seconds that a receive waits when the queue looks empty: asked without, SQS looks into some of its
# servers alone, and may miss what is there.
_WAIT = 1
# Seconds for which the length of the queue is taken for known while nothing much is added.
_LOOK_EVERY = 10.0

_ENCODING = "encoding"
_BASE64 = "base64"
# What the attribute adds to a message: its name, its type and its value.
_ATTRIBUTE_BYTES = len(_ENCODING) + len("String") + len(_BASE64)
# What XML 1.0 has no character for, and SQS refuses.
_UNFIT = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_REGION = re.compile(r"^sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$")

_DEPTHS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
# What is said of a message that is not ours to hold any more.
_GONE = ("ReceiptHandleIsInvalid", "MessageNotInflight")
# What is said of one message that the queue will never take.
_REFUSED = ("InvalidParameterValue", "InvalidMessageContents")


def create(services: "Services", url: "SecretStr | None") -> "SqsQueue":
    """Return the queue of a URL as SQS gives it."""
    assert url is not None
    return SqsQueue(
        url.get_secret_value(),
        max_length=services.settings.queue_max_length,
        max_deliveries=services.settings.queue_max_deliveries,
    )


def messages_of(records: Iterable[Mapping[str, Any]], max_deliveries: int) -> list[Message]:
    """Return the messages in the records of a Lambda event (``event["Records"]``).

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    """
    return [
        Message(
            record["messageId"],
            _payload_of(
                record["body"],
                (record.get("messageAttributes") or {}).get(_ENCODING, {}).get("stringValue"),
            ),
            _deliveries(record) > max_deliveries,
        )
        for record in records
    ]


@dataclass
class _Answer:
    """What one `SqsQueue.receive` has so far."""

    room: int
    max_bytes: int
    #: Time of the monotonic clock at which the reading ends: what came first is being held already.
    until: float
    messages: dict[str, Message] = field(default_factory=dict)
    suspects: list[Message] = field(default_factory=list)
    size: int = 0
    dry: bool = False

    @property
    def wants_more(self) -> bool:
        return (
            not self.dry
            and self.room > 0
            and self.size < self.max_bytes
            and time.monotonic() < self.until
        )


class SqsQueue:
    """`tailrace.queue.base.Queue` over SQS. How old its oldest message is, it cannot tell.

    Parameters
    ----------
    url
        The queue's URL. One of plain HTTP is an emulator's, and is called at its own host unless
        ``AWS_ENDPOINT_URL`` names another.
    max_length
        Messages the queue may hold; SQS has no such limit, so that it is looked at from time to
        time, and in between counts what this process adds.
    max_deliveries
        Deliveries after which a message is exhausted; the queue's redrive policy should allow more.
    hold
        Seconds for which SQS keeps a message from others (visibility timeout); whole ones.
    """

    def __init__(
        self, url: str, *, max_length: int, max_deliveries: int = 10, hold: float = 60.0
    ) -> None:
        self.hold = hold
        self._url = url
        self._max_length = max_length
        self._max_deliveries = max_deliveries
        self._visibility = ceil(hold)
        # By id: in which queue a message is, and what SQS wants to hear to know it again.
        self._held: dict[str, tuple[str, str]] = {}
        # Received more often than is usual; each is handed out alone.
        self._aside: deque[Message] = deque()
        self._dead_url: str | None = None
        self._room: float = inf
        self._looked_at: float = -inf
        self._making = Lock()

    async def open(self) -> None:
        from botocore.exceptions import BotoCoreError

        try:
            await self._in_thread(lambda: self._client)
        except BotoCoreError as error:
            # Every call will say so as well; a chat goes on without its queue.
            _log.warning("the queue of SQS cannot be used: %s", error)

    async def close(self) -> None:
        if "_threads" in self.__dict__:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def publish(self, payload: bytes) -> None:
        body, attributes = _body_of(payload)
        size = len(body.encode()) + (_ATTRIBUTE_BYTES if attributes else 0)
        if size > MAX_MESSAGE:
            raise PayloadRefused(f"{size} bytes, where {MAX_MESSAGE} are allowed")
        if self._room <= 0:
            await self._look()
            if self._room <= 0:
                raise QueueFull
        send = self._call("send_message", MessageBody=body, MessageAttributes=attributes)
        if time.monotonic() - self._looked_at > _LOOK_EVERY:
            sent, _ = await asyncio.gather(send, self._look(), return_exceptions=True)
            if isinstance(sent, BaseException):
                raise sent
        else:
            await send
        self._room -= 1

    async def receive(self, limit: int, max_bytes: int = RECEIVE_BYTES) -> list[Message]:
        if limit and self._aside:
            return [self._aside.popleft()]
        answer = _Answer(limit, max_bytes, time.monotonic() + self.hold / 4)
        if limit:
            await self._read(answer, self._url, wait=_WAIT)
            if answer.wants_more and answer.messages:
                # Nobody knows how large the next ones are; as the largest so far, say.
                largest = max(len(message.payload) for message in answer.messages.values())
                affordable = max_bytes // max(1, largest * _BATCH)
                readers = max(1, min(_CONNECTIONS, affordable, ceil(answer.room / _BATCH)))
                await asyncio.gather(*(self._read_on(answer) for _ in range(readers)))
            if not answer.messages and not answer.suspects:
                await self._read_dead(answer)
        self._aside += answer.suspects
        if not answer.messages and self._aside:
            return [self._aside.popleft()]
        return list(answer.messages.values())

    async def acknowledge(self, ids: list[str]) -> None:
        await self._for_each_batch("delete_message_batch", ids)
        for id in ids:
            self._held.pop(id, None)

    async def extend(self, ids: list[str]) -> None:
        visibility = {"VisibilityTimeout": self._visibility}
        await self._for_each_batch("change_message_visibility_batch", ids, visibility)

    async def release(self, ids: list[str]) -> None:
        await self._for_each_batch("change_message_visibility_batch", ids, {"VisibilityTimeout": 0})
        for id in ids:
            self._held.pop(id, None)

    async def ping(self) -> None:
        await self._call("get_queue_attributes", AttributeNames=["QueueArn"])

    async def depth(self) -> int:
        answer = await self._call("get_queue_attributes", AttributeNames=list(_DEPTHS))
        return sum(int(answer["Attributes"].get(name, 0)) for name in _DEPTHS)

    async def oldest_age(self) -> None:
        return None

    async def _look(self) -> None:
        """Find out how many messages more the queue may hold."""
        self._looked_at = time.monotonic()
        self._room = self._max_length - await self.depth()

    async def _read(self, answer: _Answer, url: str, *, wait: int) -> None:
        """Ask once for messages and add them to the answer."""
        asked = min(_BATCH, answer.room)
        answer.room -= asked
        received = await self._call(
            "receive_message",
            url,
            MaxNumberOfMessages=asked,
            WaitTimeSeconds=wait,
            VisibilityTimeout=self._visibility,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
            MessageAttributeNames=[_ENCODING],
        )
        found = received.get("Messages", [])
        answer.room += asked - len(found)
        answer.dry = answer.dry or not found
        for each in found:
            deliveries = _deliveries({"attributes": each.get("Attributes", {})})
            encoding = each.get("MessageAttributes", {}).get(_ENCODING, {}).get("StringValue")
            message = Message(
                each["MessageId"],
                _payload_of(each["Body"], encoding),
                # In the dead-letter queue is only what was received too often.
                url != self._url or deliveries > self._max_deliveries,
            )
            self._held[message.id] = (url, each["ReceiptHandle"])
            answer.size += len(message.payload)
            if deliveries >= ALONE_AFTER and not message.exhausted:
                answer.suspects.append(message)
            else:
                answer.messages[message.id] = message

    async def _read_on(self, answer: _Answer) -> None:
        try:
            while answer.wants_more:
                await self._read(answer, self._url, wait=0)
        except QueueUnavailable:
            # What has been handed out already is worth more than the reason for there being less.
            answer.dry = True

    async def _read_dead(self, answer: _Answer) -> None:
        """Read what the queue's own dead-letter queue holds, if there is one."""
        try:
            if self._dead_url is None:
                self._dead_url = await self._find_dead_letter_queue()
            if self._dead_url:
                await self._read(answer, self._dead_url, wait=0)
        except QueueUnavailable as error:
            _log.warning("the dead-letter queue of SQS cannot be read: %s", error)

    async def _find_dead_letter_queue(self) -> str:
        answer = await self._call("get_queue_attributes", AttributeNames=["RedrivePolicy"])
        policy = json.loads(answer.get("Attributes", {}).get("RedrivePolicy", "{}"))
        arn = policy.get("deadLetterTargetArn")
        if arn is None:
            return ""
        account, name = arn.split(":")[-2:]
        found = await self._call(
            "get_queue_url", None, QueueName=name, QueueOwnerAWSAccountId=account
        )
        return found["QueueUrl"]

    async def _for_each_batch(
        self, operation: str, ids: list[str], more: dict[str, Any] | None = None
    ) -> None:
        """Send ids in batches, each to the queue that its message is in."""
        by_url: dict[str, list[str]] = {}
        for id in ids:
            if id in self._held:
                by_url.setdefault(self._held[id][0], []).append(id)
        await asyncio.gather(
            *(
                self._send_batch(operation, url, here[start : start + _BATCH], more or {})
                for url, here in by_url.items()
                for start in range(0, len(here), _BATCH)
            )
        )

    async def _send_batch(
        self, operation: str, url: str, ids: list[str], more: dict[str, Any]
    ) -> None:
        entries = [
            {"Id": str(number), "ReceiptHandle": self._held[id][1], **more}
            for number, id in enumerate(ids)
        ]
        answer = await self._call(operation, url, Entries=entries)
        for failed in answer.get("Failed", []):
            if failed["Code"].rpartition(".")[2] not in _GONE:
                raise QueueUnavailable(f"{operation}: {failed['Code']}")

    async def _call(self, operation: str, url: str | None = "", **arguments: Any) -> Any:
        """Call SQS about this queue, another one, or (``None``) none."""
        if url is not None:
            arguments["QueueUrl"] = url or self._url
        return await self._in_thread(partial(self._call_now, operation, arguments))

    def _call_now(self, operation: str, arguments: dict[str, Any]) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client, operation)(**arguments)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if operation == "send_message" and code.rpartition(".")[2] in _REFUSED:
                raise PayloadRefused(f"SQS answered {code}") from error
            raise QueueUnavailable(f"SQS answered {code}") from error
        except (BotoCoreError, OSError) as error:
            raise QueueUnavailable(f"SQS: {type(error).__name__}") from error

    async def _in_thread(self, work: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="sqs")

    @property
    def _client(self) -> Any:
        # boto3's session is not to be used by two threads at once; its clients are.
        with self._making:
            return self._made_client

    @cached_property
    def _made_client(self) -> Any:
        # Takes a quarter of a second to import.
        import boto3
        from botocore.config import Config

        host = urlsplit(self._url)
        match = _REGION.match(host.hostname or "")
        options: dict[str, Any] = {"region_name": match[1]} if match else {}
        emulated = host.scheme == "http"
        if emulated and not os.environ.keys() & {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"}:
            options["endpoint_url"] = f"http://{host.netloc}"
        config = Config(
            connect_timeout=2,
            read_timeout=5 + _WAIT,
            retries={"total_max_attempts": 2},
            max_pool_connections=_CONNECTIONS,
        )
        return boto3.Session().client("sqs", config=config, **options)


def _body_of(payload: bytes) -> tuple[str, dict[str, Any]]:
    """Return a payload as SQS can carry it, and the attributes that tell how."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        text = None
    if text and not _UNFIT.search(text):
        return text, {}
    attribute = {"DataType": "String", "StringValue": _BASE64}
    # SQS takes no empty body.
    return b64encode(payload).decode() or "=", {_ENCODING: attribute}


def _payload_of(body: str, encoding: str | None) -> bytes:
    if encoding != _BASE64:
        return body.encode()
    try:
        return b64decode(body.rstrip("=") + "=" * (-len(body.rstrip("=")) % 4))
    except Base64Error:
        # Somebody else's; ingestion makes a dead letter of it.
        return body.encode()


def _deliveries(record: Mapping[str, Any]) -> int:
    return int(record.get("attributes", {}).get("ApproximateReceiveCount", 1))
