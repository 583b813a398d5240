"""Capture: an event is safe in the queue or in the outbox, and no caller waits long for either."""

import os
import signal
from time import perf_counter

import pytest
from pydantic import SecretStr

from localstack.embedded.valkey import Valkey
from tailrace.db.pool import transaction
from tailrace.queue.memory import MemoryQueue
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry import capture
from tailrace.telemetry.capture import publish, spill
from tailrace.telemetry.event import decode, encode
from tests.support.events import make_event, rows


@pytest.fixture
def settings(settings: Settings, private_valkey: Valkey) -> Settings:
    return settings.model_copy(update={"redis_url": SecretStr(private_valkey.url)})


async def test_the_queue_takes_an_event(services: Services) -> None:
    event = make_event()

    assert await publish(services.queue, event) is None

    (message,) = await services.queue.receive(10)
    assert decode(message.payload) == event


async def test_an_event_comes_back_when_the_queue_is_down(
    services: Services, private_valkey: Valkey
) -> None:
    private_valkey.kill()
    event = make_event()

    unsent = await publish(services.queue, event)

    assert unsent == encode(event)


async def test_an_event_comes_back_when_the_queue_is_full() -> None:
    queue = MemoryQueue(max_length=1)
    await publish(queue, make_event())
    assert await publish(queue, make_event()) is not None

    # A full queue answers: it is asked again at once.
    await queue.acknowledge([message.id for message in await queue.receive(1)])
    assert await publish(queue, make_event()) is None


async def test_a_silent_queue_is_waited_for_once(
    services: Services, private_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(services.queue, make_event())
    # Shorter than the client's own, and then long enough for a hundred events.
    monkeypatch.setattr(capture, "_PATIENCE", 0.5)
    monkeypatch.setattr(capture, "_PAUSE", 600.0)
    offered: list[bytes] = []
    offer = services.queue.publish

    async def note(payload: bytes) -> None:
        offered.append(payload)
        await offer(payload)

    monkeypatch.setattr(services.queue, "publish", note)
    assert private_valkey.pid is not None
    os.kill(private_valkey.pid, signal.SIGSTOP)
    try:
        start = perf_counter()
        assert await publish(services.queue, make_event()) is not None
        first = perf_counter() - start
        for _ in range(100):
            assert await publish(services.queue, make_event()) is not None
    finally:
        os.kill(private_valkey.pid, signal.SIGCONT)
    assert 0.5 <= first < services.settings.redis_timeout
    assert len(offered) == 1


async def test_an_answer_that_comes_too_late_goes_to_no_other_question(
    settings: Settings, private_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for the queue is shorter here than the client's own."""
    monkeypatch.setattr(capture, "_PATIENCE", 0.5)
    services = Services(settings)
    await services.queue.ping()
    assert private_valkey.pid is not None
    os.kill(private_valkey.pid, signal.SIGSTOP)
    try:
        assert await publish(services.queue, make_event()) is not None
    finally:
        os.kill(private_valkey.pid, signal.SIGCONT)

    assert await services.queue.depth() in (0, 1)
    assert all(message.payload for message in await services.queue.receive(10))
    await services.close()


async def test_a_queue_that_is_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_PAUSE", 0.0)
    queue = MemoryQueue()
    queue.available = False
    assert await publish(queue, make_event()) is not None

    queue.available = True

    assert await publish(queue, make_event()) is None


async def test_the_pause_of_one_queue_is_not_anothers() -> None:
    down, up = MemoryQueue(), MemoryQueue()
    down.available = False
    await publish(down, make_event())

    assert await publish(up, make_event()) is None


async def test_spilling_is_part_of_the_callers_transaction(services: Services) -> None:
    payload = encode(make_event())

    async def fail() -> None:
        async with transaction(services.pool) as connection:
            await spill(connection, payload)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await rows(services, "SELECT * FROM telemetry_outbox") == []

    async with transaction(services.pool) as connection:
        await spill(connection, payload)

    (row,) = await rows(services, "SELECT payload FROM telemetry_outbox")
    assert row["payload"] == payload
