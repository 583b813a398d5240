"""What every queue does, over each queue there is."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from math import inf
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from tailrace.queue.base import Message, PayloadRefused, Queue, QueueFull
from tailrace.queue.memory import MemoryQueue
from tailrace.queue.redis_streams import RedisStreamsQueue
from tailrace.queue.sqs import SqsQueue

#: Returns consumers of one new queue. It holds up to 3000 messages, and each of them for a minute,
#: and gives up after 10 deliveries, unless told otherwise.
Consumers = Callable[..., tuple[Queue, Queue]]

# The shortest time, in seconds, for which SQS holds a message.
_SHORT = 1.0


@pytest.fixture(params=["memory", "redis_streams", "sqs"])
async def consumers(request: pytest.FixtureRequest) -> AsyncIterator[Consumers]:
    opened: list[Queue] = []
    if request.param == "memory":

        def make(**options: float) -> tuple[Queue, Queue]:
            queue = MemoryQueue(**{"max_length": 3000} | options)
            return queue, queue

    elif request.param == "redis_streams":
        redis = Redis.from_url(request.getfixturevalue("valkey_url"))

        def make(**options: float) -> tuple[Queue, Queue]:
            key = f"conformance:{uuid4()}"
            first, second = (
                RedisStreamsQueue(redis, key=key, **{"max_length": 3000} | options)
                for _ in range(2)
            )
            return first, second

    else:
        sqs = request.getfixturevalue("sqs")

        def make(**options: float) -> tuple[Queue, Queue]:
            url = sqs.create_queue()
            first, second = (SqsQueue(url, **{"max_length": 3000} | options) for _ in range(2))
            return first, second

    def open_both(**options: float) -> tuple[Queue, Queue]:
        both = make(**options)
        opened.extend(both)
        return both

    yield open_both
    for queue in opened:
        await queue.close()
    if request.param == "redis_streams":
        await redis.aclose()


async def _publish(queue: Queue, count: int) -> list[bytes]:
    payloads = [b"\x00\xff payload %d" % number for number in range(count)]
    for start in range(0, count, 100):
        await asyncio.gather(*map(queue.publish, payloads[start : start + 100]))
    return payloads


def _ids(messages: list[Message]) -> list[str]:
    return [message.id for message in messages]


def _payloads(messages: list[Message]) -> list[bytes]:
    return sorted(message.payload for message in messages)


async def _pass_hold(hold: float = _SHORT) -> None:
    """Let the time pass for which a consumer holds a message."""
    await asyncio.sleep(hold + 0.1)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"id": "plain"}',
        "ünïcödé 👋 \u2028".encode(),
        b"",
        b"=",
        b"\x00\xff\xfe",
        "\x0b \ufffe \uffff".encode(),
        b"line\r\nline\n\ttab",
        b"a" * 300_000,
    ],
    ids=["json", "unicode", "empty", "sign", "binary", "unfit for XML", "spaces", "large"],
)
async def test_a_payload_comes_out_as_it_went_in(consumers: Consumers, payload: bytes) -> None:
    queue, _ = consumers()
    await queue.publish(payload)

    assert [message.payload for message in await queue.receive(1)] == [payload]


async def test_every_message_comes_once(consumers: Consumers) -> None:
    queue, _ = consumers()
    payloads = await _publish(queue, 25)

    received = await queue.receive(3) + await queue.receive(30)

    assert _payloads(received) == sorted(payloads)
    assert len(set(_ids(received))) == 25
    assert not any(message.exhausted for message in received)


async def test_an_empty_queue_gives_nothing(consumers: Consumers) -> None:
    queue, _ = consumers()
    await queue.open()

    assert await queue.receive(10) == []
    assert await queue.depth() == 0
    assert not await queue.oldest_age()
    await queue.ping()


async def test_a_limit_beyond_one_answer_is_met_exactly(consumers: Consumers) -> None:
    queue, _ = consumers()
    # SQS gives ten in one answer, a stream a thousand.
    count = 130 if isinstance(queue, SqsQueue) else 2500
    payloads = await _publish(queue, count)

    received = await queue.receive(count - 7)
    assert len(received) == count - 7
    received += await queue.receive(count)

    assert _payloads(received) == sorted(payloads)


async def test_reading_ends_soon_after_so_many_bytes(consumers: Consumers) -> None:
    queue, _ = consumers()
    large = [bytes([number]) * 100_000 for number in range(100)]
    for payload in large:
        await queue.publish(payload)

    received = await queue.receive(100, max_bytes=1_000_000)

    # What one answer brings may go over it.
    assert 10 <= len(received) <= 40
    while len(received) < 100:
        received += await queue.receive(100, max_bytes=1_000_000)
    assert _payloads(received) == large


async def test_a_held_message_is_nobody_elses(consumers: Consumers) -> None:
    first, second = consumers()
    payloads = await _publish(first, 3)
    held = await first.receive(2)

    assert _payloads(held + await second.receive(10)) == sorted(payloads)


async def test_messages_count_until_they_are_acknowledged(consumers: Consumers) -> None:
    queue, _ = consumers()
    await _publish(queue, 30)
    received = await queue.receive(30)
    assert await queue.depth() == 30

    await queue.acknowledge(_ids(received)[:20])
    assert await queue.depth() == 10
    await queue.acknowledge(_ids(received))

    assert await queue.depth() == 0
    assert await queue.receive(3) == []


async def test_what_a_dead_consumer_held_comes_again(consumers: Consumers) -> None:
    dead, other = consumers(hold=_SHORT)
    payloads = await _publish(dead, 2)
    held = await dead.receive(2)
    payloads += await _publish(dead, 1)

    await _pass_hold()
    received = await other.receive(10)

    assert set(_ids(held)) < set(_ids(received))
    assert _payloads(received) == sorted(payloads)


async def test_a_limit_holds_for_what_comes_again(consumers: Consumers) -> None:
    dead, other = consumers(hold=_SHORT)
    await _publish(dead, 3)
    held = await dead.receive(3)

    await _pass_hold()
    received = await other.receive(2)

    assert len(received) == 2
    assert set(_ids(received)) < set(_ids(held))


async def test_an_extended_message_is_held_for_longer(consumers: Consumers) -> None:
    hold, longest_pause = _SHORT, inf
    while longest_pause > hold:
        hold *= 2
        slow, other = consumers(hold=hold)
        await _publish(slow, 12)
        held_at = [time.monotonic()]
        held = await slow.receive(12)
        await slow.acknowledge(_ids(held)[:1])

        for _ in range(3):
            await asyncio.sleep(hold * 0.6)
            held_at.append(time.monotonic())
            await slow.extend(_ids(held))
        found = await other.receive(20)
        held_at.append(time.monotonic())
        # Where the machine took longer than a message is held, it was held no more.
        longest_pause = max(later - earlier for earlier, later in pairwise(held_at))

    assert found == []
    await _pass_hold(hold)
    assert len(await other.receive(20)) == 11


async def test_a_released_message_may_be_received_at_once(consumers: Consumers) -> None:
    first, second = consumers()
    await _publish(first, 3)
    held = await first.receive(3)
    await first.acknowledge(_ids(held)[:1])

    await first.release(_ids(held)[:2])

    assert await second.receive(10) == held[1:2]


async def test_what_is_gone_is_no_error(consumers: Consumers) -> None:
    queue, _ = consumers()
    await _publish(queue, 1)
    held = await queue.receive(1)
    await queue.acknowledge(_ids(held))

    await queue.release(_ids(held))
    await queue.extend(_ids(held))
    await queue.acknowledge(_ids(held))

    assert await queue.receive(1) == []


async def test_what_is_not_held_any_more_is_no_error(consumers: Consumers) -> None:
    slow, other = consumers(hold=_SHORT)
    await _publish(slow, 1)
    held = await slow.receive(1)
    await _pass_hold()
    taken = await other.receive(1)
    await other.acknowledge(_ids(taken))

    await slow.extend(_ids(held))
    await slow.acknowledge(_ids(held))

    assert await slow.depth() == 0


async def test_a_full_queue_takes_no_more_and_drops_nothing(consumers: Consumers) -> None:
    queue, _ = consumers(max_length=2)
    payloads = [b"1", b"2"]
    for payload in payloads:
        await queue.publish(payload)

    with pytest.raises(QueueFull):
        await queue.publish(b"one too many")
    received = await queue.receive(10)
    with pytest.raises(QueueFull):
        await queue.publish(b"still one too many")
    await queue.acknowledge(_ids(received))
    await queue.publish(b"room again")

    assert _payloads(received) == payloads
    assert [message.payload for message in await queue.receive(10)] == [b"room again"]


async def test_a_payload_beyond_the_largest_is_refused(consumers: Consumers) -> None:
    queue, _ = consumers()

    with pytest.raises(PayloadRefused):
        await queue.publish(b"a" * ((1 << 20) + 1))
    await queue.publish(b"the next one is taken")

    assert await queue.depth() == 1


async def test_the_age_is_that_of_the_oldest(consumers: Consumers) -> None:
    queue, _ = consumers()
    await queue.publish(b"old")
    await asyncio.sleep(0.3)
    await queue.publish(b"new")

    age = await queue.oldest_age()
    if age is None:
        pytest.skip("this queue cannot tell")

    assert 0.25 < age < 20
    await queue.receive(1)
    assert (await queue.oldest_age() or 0) > 0.25


async def test_one_that_kills_its_consumers_comes_alone_and_then_exhausted(
    consumers: Consumers,
) -> None:
    """Each time, whoever received it dies."""
    hold, longest_round = _SHORT / 2, inf
    while longest_round > hold:
        hold *= 2
        queue, _ = consumers(hold=hold, max_deliveries=4)
        await queue.publish(b"poison")
        deliveries: list[Message] = []
        companies: list[int] = []
        longest_round = 0.0
        for _ in range(5):
            for _ in range(3):
                await queue.publish(b"other")
            began = time.monotonic()
            batches = [await queue.receive(10)]
            while sum(map(len, batches)) < 4:
                batches.append(await queue.receive(10))
            received = [message for batch in batches for message in batch]
            await queue.acknowledge([m.id for m in received if m.payload == b"other"])
            # Where this took longer than messages are held, they came again.
            longest_round = max(longest_round, time.monotonic() - began)
            batch = next(b for b in batches if any(m.payload == b"poison" for m in b))
            deliveries += [message for message in batch if message.payload == b"poison"]
            companies.append(len(batch))
            await _pass_hold(hold)

    assert companies[2:4] == [1, 1]
    assert [message.exhausted for message in deliveries] == [False, False, False, False, True]
    assert len(set(_ids(deliveries))) == 1


async def test_what_is_given_back_is_not_held_against_a_message(consumers: Consumers) -> None:
    queue, other = consumers(max_deliveries=4)
    if isinstance(queue, SqsQueue):
        pytest.skip("SQS counts every receipt")
    await _publish(queue, 2)

    for _ in range(6):
        received = await queue.receive(2)
        await queue.release(_ids(received))

    received = await other.receive(2)
    assert [message.exhausted for message in received] == [False, False]
