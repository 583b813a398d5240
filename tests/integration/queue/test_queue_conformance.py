"""What every queue does, over each queue there is."""

from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from tailrace.queue.base import Message, Queue, QueueFull
from tailrace.queue.memory import MemoryQueue
from tailrace.queue.redis_streams import RedisStreamsQueue

#: Returns consumers of one queue, which holds up to 3000 messages unless told otherwise.
Consumers = Callable[..., tuple[Queue, Queue]]


@pytest.fixture(params=["memory", "redis_streams"])
async def consumers(request: pytest.FixtureRequest) -> AsyncIterator[Consumers]:
    if request.param == "memory":

        def share(*, max_length: int = 3000, reclaim_after: float = 60) -> tuple[Queue, Queue]:
            queue = MemoryQueue(max_length=max_length, reclaim_after=reclaim_after)
            return queue, queue

        yield share
        return
    async with Redis.from_url(request.getfixturevalue("valkey_url")) as redis:

        def connect(*, max_length: int = 3000, reclaim_after: float = 60) -> tuple[Queue, Queue]:
            options = {"max_length": max_length, "reclaim_after": reclaim_after}
            return RedisStreamsQueue(redis, **options), RedisStreamsQueue(redis, **options)

        yield connect


async def _publish(queue: Queue, count: int) -> list[bytes]:
    payloads = [b"\x00\xff payload %d" % number for number in range(count)]
    for payload in payloads:
        await queue.publish(payload)
    return payloads


def _ids(messages: list[Message]) -> list[str]:
    return [message.id for message in messages]


async def test_messages_come_in_the_order_of_publishing(consumers: Consumers) -> None:
    queue, _ = consumers()
    payloads = await _publish(queue, 5)

    received = await queue.receive(3) + await queue.receive(3)

    assert [message.payload for message in received] == payloads
    assert len(set(_ids(received))) == 5


async def test_an_empty_queue_gives_nothing(consumers: Consumers) -> None:
    queue, _ = consumers()

    assert await queue.receive(10) == []
    assert await queue.depth() == 0
    await queue.ping()


async def test_a_limit_beyond_one_answer_is_met_exactly(consumers: Consumers) -> None:
    queue, _ = consumers()
    payloads = await _publish(queue, 2500)

    received = await queue.receive(2300)

    assert [message.payload for message in received] == payloads[:2300]
    assert len(await queue.receive(2300)) == 200


async def test_a_held_message_is_nobody_elses(consumers: Consumers) -> None:
    first, second = consumers()
    await _publish(first, 3)
    await first.receive(2)

    assert [message.payload for message in await second.receive(10)] == [b"\x00\xff payload 2"]


async def test_messages_count_until_they_are_acknowledged(consumers: Consumers) -> None:
    queue, _ = consumers()
    await _publish(queue, 3)
    received = await queue.receive(3)
    assert await queue.depth() == 3

    await queue.acknowledge(_ids(received)[:2])
    assert await queue.depth() == 1
    await queue.acknowledge(_ids(received))

    assert await queue.depth() == 0
    assert await queue.receive(3) == []


async def test_what_a_dead_consumer_held_comes_first(consumers: Consumers) -> None:
    dead, other = consumers(reclaim_after=0)
    payloads = await _publish(dead, 2)
    held = await dead.receive(2)
    payloads += await _publish(dead, 1)

    received = await other.receive(10)

    assert _ids(received[:2]) == _ids(held)
    assert [message.payload for message in received] == payloads


async def test_a_limit_holds_for_what_is_reclaimed(consumers: Consumers) -> None:
    dead, other = consumers(reclaim_after=0)
    await _publish(dead, 3)
    held = await dead.receive(3)

    assert _ids(await other.receive(2)) == _ids(held)[:2]


async def test_a_released_message_may_be_received_at_once(consumers: Consumers) -> None:
    first, second = consumers()
    await _publish(first, 3)
    held = await first.receive(3)
    await first.acknowledge(_ids(held)[:1])

    await first.release(_ids(held)[:2])

    assert await second.receive(10) == held[1:2]


async def test_releasing_what_is_gone_is_no_error(consumers: Consumers) -> None:
    queue, _ = consumers()
    await _publish(queue, 1)
    held = await queue.receive(1)
    await queue.acknowledge(_ids(held))

    await queue.release(_ids(held))

    assert await queue.receive(1) == []


async def test_a_full_queue_takes_no_more_and_drops_nothing(consumers: Consumers) -> None:
    queue, _ = consumers(max_length=2)
    payloads = await _publish(queue, 2)

    with pytest.raises(QueueFull):
        await queue.publish(b"one too many")
    received = await queue.receive(10)
    with pytest.raises(QueueFull):
        await queue.publish(b"still one too many")
    await queue.acknowledge(_ids(received))
    await queue.publish(b"room again")

    assert [message.payload for message in received] == payloads
    assert [message.payload for message in await queue.receive(10)] == [b"room again"]
