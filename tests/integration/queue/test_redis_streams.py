"""What the queue does when Valkey is wiped, restarted, down, silent or holds something else."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from localstack.embedded.valkey import Valkey
from tailrace.queue.base import Queue, QueueUnavailable
from tailrace.queue.redis_streams import RedisStreamsQueue
from tailrace.settings import Settings
from tailrace.valkey import create_client

_KEY = "tailrace:inference-events"


@pytest.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
async def private_redis(private_valkey: Valkey, settings: Settings) -> AsyncIterator[Redis]:
    """The client that Tailrace uses, of a server to break."""
    update = {"redis_url": SecretStr(private_valkey.url)}
    async with create_client(settings.model_copy(update=update)) as client:
        yield client


async def _consumers(redis: Redis) -> int:
    return len(await redis.xinfo_consumers(_KEY, "ingest"))


async def test_the_length_of_the_stream_is_the_backlog(redis: Redis) -> None:
    queue = RedisStreamsQueue(redis, max_length=10)
    for _ in range(3):
        await queue.publish(b"payload")
    received = await queue.receive(2)

    await queue.acknowledge([message.id for message in received])

    assert await redis.xlen(_KEY) == 1
    assert (await redis.xpending(_KEY, "ingest"))["pending"] == 0


async def test_a_publish_is_one_round_trip(redis: Redis) -> None:
    queue = RedisStreamsQueue(redis, max_length=10)
    await queue.publish(b"the script is loaded now")
    before = (await redis.info("stats"))["total_commands_processed"]

    await queue.publish(b"payload")

    after = (await redis.info("stats"))["total_commands_processed"]
    # The script's own two calls and the INFO before are counted as well.
    assert after - before == 4


async def test_a_wiped_server_gives_all_that_was_published_since(redis: Redis) -> None:
    queue = RedisStreamsQueue(redis, max_length=10)
    await queue.publish(b"before")
    held = await queue.receive(1)
    await redis.flushall()
    await redis.script_flush()

    await queue.publish(b"after 1")
    await queue.publish(b"after 2")

    assert await queue.depth() == 2
    assert [message.payload for message in await queue.receive(5)] == [b"after 1", b"after 2"]
    await queue.acknowledge([message.id for message in held])


async def test_a_consumer_of_a_wiped_server_goes_on(redis: Redis) -> None:
    queue = RedisStreamsQueue(redis, max_length=10)
    await queue.publish(b"before")
    held = [message.id for message in await queue.receive(1)]
    await redis.flushall()

    await queue.acknowledge(held)
    await queue.release(held)

    assert await queue.receive(1) == []


async def test_two_consumers_may_find_the_group_missing_at_once(redis: Redis) -> None:
    queues = [RedisStreamsQueue(redis, max_length=10) for _ in range(8)]
    await queues[0].publish(b"payload")

    received = await asyncio.gather(*(queue.receive(1) for queue in queues))

    assert sum(map(len, received)) == 1


async def test_a_restart_loses_nothing(private_valkey: Valkey, private_redis: Redis) -> None:
    queue = RedisStreamsQueue(private_redis, max_length=10, hold=0)
    await queue.publish(b"held")
    await queue.publish(b"waiting")
    await queue.receive(1)

    private_valkey.stop()
    private_valkey.start()

    received = await RedisStreamsQueue(private_redis, max_length=10, hold=0).receive(5)
    assert [message.payload for message in received] == [b"held", b"waiting"]


async def test_empty_consumers_of_dead_processes_are_removed(redis: Redis) -> None:
    idle, holding = (RedisStreamsQueue(redis, max_length=10, hold=60) for _ in range(2))
    await holding.publish(b"payload")
    await holding.receive(1)
    await idle.publish(b"payload")
    await idle.acknowledge([message.id for message in await idle.receive(1)])
    assert await _consumers(redis) == 2

    # Idle times are whole milliseconds, and one has to pass: then, with nothing to wait for,
    # whoever holds nothing counts as dead.
    await asyncio.sleep(0.002)
    await RedisStreamsQueue(redis, max_length=10, hold=0).receive(0)

    left = await redis.xinfo_consumers(_KEY, "ingest")
    assert [consumer["pending"] for consumer in left] == [1]


async def test_a_removed_consumer_that_lives_after_all_goes_on(redis: Redis) -> None:
    queue = RedisStreamsQueue(redis, max_length=10)
    await queue.receive(1)
    await redis.xgroup_delconsumer(_KEY, "ingest", queue._consumer)
    await queue.publish(b"payload")

    assert len(await queue.receive(1)) == 1


async def test_an_entry_of_somebody_else_has_no_payload(redis: Redis) -> None:
    await redis.xadd(_KEY, {"something": "else"})

    received = await RedisStreamsQueue(redis, max_length=10).receive(1)

    assert [message.payload for message in received] == [b""]


_CALLS: dict[str, Callable[[Queue], Awaitable[object]]] = {
    "publish": lambda queue: queue.publish(b"payload"),
    "receive": lambda queue: queue.receive(1),
    "acknowledge": lambda queue: queue.acknowledge(["1-1"]),
    "extend": lambda queue: queue.extend(["1-1"]),
    "release": lambda queue: queue.release(["1-1"]),
    "oldest_age": lambda queue: queue.oldest_age(),
    "depth": lambda queue: queue.depth(),
    "ping": lambda queue: queue.ping(),
}


@pytest.mark.parametrize("call", _CALLS.values(), ids=_CALLS)
async def test_a_server_that_is_down_is_unavailable(
    private_valkey: Valkey, private_redis: Redis, call: Callable[[Queue], Awaitable[object]]
) -> None:
    queue = RedisStreamsQueue(private_redis, max_length=10)
    await queue.receive(1)
    private_valkey.kill()

    with pytest.raises(QueueUnavailable):
        await call(queue)


async def test_a_silent_server_is_unavailable_in_time_and_usable_later(
    private_valkey: Valkey, private_redis: Redis
) -> None:
    queue = RedisStreamsQueue(private_redis, max_length=10)
    await queue.publish(b"before")
    assert private_valkey.pid is not None
    os.kill(private_valkey.pid, signal.SIGSTOP)
    _wait_for_answers(private_redis, 0.2)
    try:
        async with asyncio.timeout(60):
            for call in _CALLS.values():
                with pytest.raises(QueueUnavailable):
                    await call(queue)
    finally:
        os.kill(private_valkey.pid, signal.SIGCONT)
        _wait_for_answers(private_redis, 10)

    # What was sent into the silence may have been heard; an answer never goes to another question.
    payloads = {message.payload for message in await queue.receive(10)}
    assert payloads <= {b"before", b"payload"}
    await queue.publish(b"after")
    assert await queue.depth() >= 1


def _wait_for_answers(redis: Redis, seconds: float) -> None:
    """Change how long a client waits, on the connections that it has and those that it makes."""
    pool = redis.connection_pool
    pool.connection_kwargs |= {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    for connection in pool._available_connections:
        connection.socket_timeout = connection.socket_connect_timeout = seconds


@pytest.mark.parametrize("name", sorted(_CALLS.keys() - {"ping"}))
async def test_a_key_of_another_type_is_unavailable(redis: Redis, name: str) -> None:
    await redis.set(_KEY, "not a stream")

    with pytest.raises(QueueUnavailable):
        await _CALLS[name](RedisStreamsQueue(redis, max_length=10))


async def test_a_server_without_memory_is_unavailable(private_redis: Redis) -> None:
    await private_redis.config_set("maxmemory", "1")

    with pytest.raises(QueueUnavailable):
        await RedisStreamsQueue(private_redis, max_length=10).publish(b"payload")
