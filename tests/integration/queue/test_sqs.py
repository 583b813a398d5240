"""What the queue of SQS does besides: sizes, its dead-letter queue, failures, settings."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from pydantic import SecretStr

from tailrace.queue import create
from tailrace.queue.base import PayloadRefused, Queue, QueueUnavailable
from tailrace.queue.redis_streams import RedisStreamsQueue
from tailrace.queue.sqs import SqsQueue
from tailrace.services import Services
from tailrace.settings import Settings
from tests.support.sqs import Sqs


@pytest.fixture
async def queue(sqs: Sqs) -> AsyncIterator[SqsQueue]:
    queue = SqsQueue(sqs.create_queue(), max_length=1000)
    yield queue
    await queue.close()


async def test_the_largest_message_of_sqs_is_taken(queue: SqsQueue) -> None:
    largest = b'"' + b"a" * ((1 << 20) - 2) + b'"'

    await queue.publish(largest)

    assert [message.payload for message in await queue.receive(1)] == [largest]


async def test_what_is_too_large_only_as_base64_is_refused(queue: SqsQueue) -> None:
    with pytest.raises(PayloadRefused):
        await queue.publish(b"\xff" * (800 << 10))


async def test_a_queue_that_takes_less_says_so(sqs: Sqs) -> None:
    queue = SqsQueue(sqs.create_queue(MaximumMessageSize="2048"), max_length=10)

    with pytest.raises(PayloadRefused):
        await queue.publish(b"a" * 3000)
    await queue.publish(b"a" * 2000)
    await queue.close()


async def test_a_message_of_somebody_else_is_received_as_it_is(sqs: Sqs, queue: SqsQueue) -> None:
    sqs.client.send_message(QueueUrl=queue._url, MessageBody="plain")
    encoding = {"encoding": {"DataType": "String", "StringValue": "base64"}}
    sqs.client.send_message(
        QueueUrl=queue._url, MessageBody="no base64: a", MessageAttributes=encoding
    )

    received = await queue.receive(10)

    assert len(received) == 2
    assert b"plain" in [message.payload for message in received]


async def test_what_sqs_gave_up_on_comes_exhausted_from_its_dead_letter_queue(sqs: Sqs) -> None:
    url, dead_url = sqs.create_queues(max_receives=2)
    queue = SqsQueue(url, max_length=10, hold=1, max_deliveries=10)
    await queue.publish(b"poison")
    (first,) = await queue.receive(10)
    assert not first.exhausted
    for _ in range(3):
        await asyncio.sleep(1.1)
        received = await queue.receive(10)
        if received and received[0].exhausted:
            break

    assert [(m.payload, m.exhausted) for m in received] == [(b"poison", True)]
    assert [message.id for message in received] == [first.id]
    await queue.acknowledge([first.id])
    answer = sqs.client.get_queue_attributes(
        QueueUrl=dead_url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
    )
    assert answer["Attributes"] == {"ApproximateNumberOfMessagesNotVisible": "0"}
    await queue.close()


async def test_the_length_is_not_asked_for_at_every_publish(
    queue: SqsQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations: list[str] = []
    call = queue._call_now

    def note(operation: str, arguments: dict[str, object]) -> object:
        operations.append(operation)
        return call(operation, arguments)

    monkeypatch.setattr(queue, "_call_now", note)
    for _ in range(5):
        await queue.publish(b"payload")

    assert operations.count("send_message") == 5
    assert operations.count("get_queue_attributes") == 1


async def test_the_event_loop_turns_while_sqs_is_waited_for(sqs: Sqs) -> None:
    reached = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal reached
        reached += 1
        writer.close()

    # Its answers are given by the very event loop that waits for them.
    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        queue = SqsQueue(f"http://127.0.0.1:{port}/123456789012/events", max_length=10)
        with pytest.raises(QueueUnavailable):
            await queue.receive(10)
        assert reached > 0
        await queue.close()


_CALLS: dict[str, Callable[[Queue], Awaitable[object]]] = {
    "publish": lambda queue: queue.publish(b"payload"),
    "receive": lambda queue: queue.receive(1),
    "depth": lambda queue: queue.depth(),
    "ping": lambda queue: queue.ping(),
}


@pytest.mark.parametrize("call", _CALLS.values(), ids=_CALLS)
@pytest.mark.parametrize("missing", ["server", "queue"])
async def test_what_is_not_there_is_unavailable(
    sqs: Sqs, call: Callable[[Queue], Awaitable[object]], missing: str
) -> None:
    url = "http://127.0.0.1:9/123456789012/events"
    if missing == "queue":
        url = f"{sqs.client.meta.endpoint_url}/123456789012/no-such-queue"
    queue = SqsQueue(url, max_length=10)

    with pytest.raises(QueueUnavailable):
        await call(queue)
    await queue.close()


def test_the_settings_choose_the_queue(settings: Settings) -> None:
    def kind(url: str | None) -> type:
        secret = SecretStr(url) if url else None
        return type(create(Services(settings.model_copy(update={"queue_url": secret}))))

    assert kind(None) is RedisStreamsQueue
    assert kind("rediss://elsewhere:6379/1") is RedisStreamsQueue
    assert kind("https://sqs.eu-west-1.amazonaws.com/123456789012/events") is SqsQueue


def test_the_region_is_that_of_the_url(sqs: Sqs) -> None:
    queue = SqsQueue("https://sqs.ap-southeast-2.amazonaws.com/123456789012/e", max_length=1)

    assert queue._client.meta.endpoint_url == "https://sqs.ap-southeast-2.amazonaws.com"


async def test_a_start_without_a_region_is_no_failure(
    sqs: Sqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    queue = SqsQueue("http://127.0.0.1:9/123456789012/events", max_length=10)

    await queue.open()

    with pytest.raises(QueueUnavailable, match="NoRegionError"):
        await queue.publish(b"payload")


def test_nothing_of_aws_is_imported_before_a_call() -> None:
    code = "import sys, tailrace.queue.sqs; sys.exit('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
