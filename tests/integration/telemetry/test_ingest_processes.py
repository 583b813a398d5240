"""Ingestion in processes of its own: killed at chosen points, and several at once.

A process is stopped where the test wants it by a lock that the test holds, or by a pause of
Valkey's, never by a guess at how long something takes.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from pydantic import SecretStr

from localstack.embedded.valkey import Valkey
from tailrace.db.pool import connect
from tailrace.maintenance import maintain
from tailrace.queue.redis_streams import RedisStreamsQueue
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry.capture import spill
from tailrace.telemetry.event import InferenceEvent, encode
from tailrace.telemetry.ingest import IngestReport, ingest
from tests.support.events import make_events, publish_all, rows, value
from tests.support.locks import hold_writers


@pytest.fixture
def settings(settings: Settings, private_valkey: Valkey) -> Settings:
    return settings.model_copy(update={"redis_url": SecretStr(private_valkey.url)})


@pytest.fixture
async def services(services: Services) -> Services:
    """Services whose queue takes any holder of a message for dead."""
    services.queue = RedisStreamsQueue(services.redis, max_length=1_000_000, hold=0)
    return services


@asynccontextmanager
async def _process(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ``python -m tailrace ingest``; what is left of it at the end is killed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tailrace", "ingest"),
        env={
            "PATH": os.environ["PATH"],
            "TAILRACE_DATABASE_URL": settings.database_url.get_secret_value(),
            "TAILRACE_REDIS_URL": settings.redis_url.get_secret_value(),
            "TAILRACE_REDIS_TIMEOUT": "10",
            # Several processes that start at once on a busy machine take their time.
            "TAILRACE_DATABASE_TIMEOUT": "60",
            "TAILRACE_SECRET_KEY": settings.secret_key.get_secret_value(),
            "TAILRACE_INGEST_BATCH_SIZE": str(settings.ingest_batch_size),
        },
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _kill(process: asyncio.subprocess.Process) -> None:
    process.kill()
    assert await process.wait() == -signal.SIGKILL


async def _assert_each_landed_once(services: Services, events: list[InferenceEvent]) -> None:
    found = await rows(services, "SELECT id FROM inference_log")
    assert len(found) == len(events)
    assert {row["id"] for row in found} == {event.id for event in events}
    assert await services.queue.depth() == 0
    assert await value(services, "SELECT count(*) FROM telemetry_outbox") == 0


class TestKilled:
    async def test_before_the_commit(self, services: Services, settings: Settings) -> None:
        events = make_events(20)
        await publish_all(services.queue, events)

        async with hold_writers(services) as lock, _process(settings) as process:
            await lock.wait_for_waiters()
            await _kill(process)

        assert await services.queue.depth() == 20
        report = await ingest(services)
        assert (report.received, report.inserted) == (20, 20)
        await _assert_each_landed_once(services, events)

    async def test_before_the_commit_of_the_outbox(
        self, services: Services, settings: Settings
    ) -> None:
        events = make_events(20)
        async with connect(services.pool) as connection:
            for event in events:
                await spill(connection, encode(event))

        async with hold_writers(services) as lock, _process(settings) as process:
            await lock.wait_for_waiters()
            await _kill(process)

        # The server may take a moment to see that the process is gone, and roll back.
        await _until(
            services,
            "SELECT count(*) = 0 FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'INSERT INTO inference_log%%'",
        )
        assert (await ingest(services)).outbox == 20
        await _assert_each_landed_once(services, events)

    async def test_between_commit_and_acknowledge(
        self, services: Services, settings: Settings
    ) -> None:
        events = make_events(20)
        await publish_all(services.queue, events)

        async with hold_writers(services) as lock, _process(settings) as process:
            await lock.wait_for_waiters()
            await services.redis.client_pause(60_000, all=False)
            await lock.release()
            await _until(services, "SELECT count(*) = 20 FROM inference_log")
            await _kill(process)
        await services.redis.client_unpause()

        assert await services.queue.depth() == 20
        report = await ingest(services)
        assert (report.received, report.inserted, report.duplicates) == (20, 0, 20)
        await _assert_each_landed_once(services, events)


class TestAtOnce:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"ingest_batch_size": 500})

    @pytest.mark.parametrize("count", [2, 4])
    async def test_every_event_lands_once(
        self, services: Services, settings: Settings, count: int
    ) -> None:
        await maintain(services)
        events = make_events(20_000)
        # Some come twice, some by both ways.
        payloads = [encode(event) for event in (*events, *events[:2000])]
        for start in range(0, len(payloads), 1000):
            pipeline = services.redis.pipeline(transaction=False)
            for payload in payloads[start : start + 1000]:
                pipeline.xadd("tailrace:inference-events", {"payload": payload})
            await pipeline.execute()
        async with connect(services.pool) as connection, connection.transaction():
            for event in events[-1000:]:
                await spill(connection, encode(event))

        # The lock lets none begin before all are there.
        async with hold_writers(services) as lock:
            waiting = [asyncio.create_task(_run(settings)) for _ in range(count)]
            await lock.wait_for_waiters(count)
            await lock.release()
            reports = await asyncio.gather(*waiting)

        assert sum(report.received for report in reports) == 22_000
        assert sum(report.outbox for report in reports) == 1000
        assert sum(report.inserted for report in reports) == 20_000
        assert all(report.batches for report in reports)
        await _assert_each_landed_once(services, events)


async def _run(settings: Settings) -> IngestReport:
    async with _process(settings) as process:
        output, _ = await process.communicate()
        assert process.returncode == 0
        return msgspec.json.decode(output, type=IngestReport)


async def _until(services: Services, query: str) -> None:
    """Return when a query says yes."""
    async with asyncio.timeout(120):
        while True:
            if await value(services, query):
                return
            await asyncio.sleep(0.01)
