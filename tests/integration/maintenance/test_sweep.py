"""The default partition: its events come home, each once and counted once, whatever goes on."""

import asyncio
import random
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from tailrace.db.pool import connect
from tailrace.maintenance import maintain
from tailrace.maintenance.partitions import create_partitions, partitions, sweep
from tailrace.problems import Problem
from tailrace.services import Services
from tailrace.telemetry.ingest import ingest
from tests.support.events import make_event, publish_all, rows, value

TODAY = date(2027, 2, 27)
MIDNIGHT = datetime(2027, 2, 27, tzinfo=UTC)
DAY = timedelta(days=1)


async def _land(services: Services, times: list[datetime]) -> list[Any]:
    events = [make_event(started_at=time) for time in times]
    await publish_all(services.queue, events)
    assert (await ingest(services)).inserted == len(events)
    return events


async def _in_default(services: Services) -> int:
    return await value(services, "SELECT count(*) FROM inference_log_default")


async def _counted(services: Services) -> list[Any]:
    """Everything that triggers of the log have written."""
    return [
        await rows(services, "SELECT * FROM total_usage ORDER BY 1"),
        await rows(services, "SELECT * FROM rollups ORDER BY 1, 2, 3, 4, 5, 6, 7"),
        await rows(services, "SELECT * FROM rollup_reasons ORDER BY 1, 2, 3, 4, 5, 6, 7, 8"),
    ]


async def test_events_come_home_in_pieces_each_once(services: Services) -> None:
    events = await _land(
        services,
        [
            MIDNIGHT - day * DAY + timedelta(minutes=number)
            for number in range(95)
            for day in (1, 3)
        ],
    )
    counted = await _counted(services)

    assert await sweep(services.pool, 7, TODAY, piece=20) == 190

    assert await _in_default(services) == 0
    stored = await rows(services, "SELECT id FROM inference_log ORDER BY id")
    assert [row["id"] for row in stored] == sorted(event.id for event in events)
    assert await _counted(services) == counted
    found = await partitions(services.pool)
    for day in (MIDNIGHT - 3 * DAY, MIDNIGHT - DAY):
        parts = [each for each in found if day <= each.starts_at < day + DAY]
        assert (parts[0].starts_at, parts[-1].ends_at) == (day, day + DAY)
        assert parts[-1].name == f"inference_log_{day:%Y%m%d}"
        assert all(one.ends_at == next.starts_at for one, next in pairwise(parts))
    assert await sweep(services.pool, 7, TODAY, piece=20) == 0
    # What came home is still known when it is delivered again, and late events go straight home.
    await publish_all(services.queue, events)
    assert (await ingest(services)).duplicates == 190
    await _land(services, [MIDNIGHT - DAY + timedelta(seconds=1)])
    assert await _in_default(services) == 0


@pytest.mark.parametrize("piece", [1, 2, 3])
async def test_very_many_at_one_moment_are_one_piece(services: Services, piece: int) -> None:
    await _land(services, [MIDNIGHT] * 5 + [MIDNIGHT + DAY - timedelta(microseconds=1)] * 4)

    assert await sweep(services.pool, 0, TODAY, piece=piece) == 9

    assert await _in_default(services) == 0


async def test_a_sweep_that_is_stopped_goes_on_later_and_hides_nothing(services: Services) -> None:
    times = [MIDNIGHT + timedelta(minutes=number) for number in range(50)]
    await _land(services, times)
    asked = iter([False, False, False, False])
    moved = await sweep(services.pool, 0, TODAY, piece=10, is_time_up=lambda: next(asked, True))

    assert 0 < moved < 50
    assert await value(services, "SELECT count(DISTINCT id) FROM inference_log") == 50
    assert await _in_default(services) == 50 - moved
    # The day has its name, so that nobody makes it again, and events of now have a home.
    assert await create_partitions(services.pool, 0, TODAY) == []
    await _land(services, [MIDNIGHT + timedelta(hours=12)])
    assert await _in_default(services) == 50 - moved
    assert moved + await sweep(services.pool, 0, TODAY, piece=10) == 50


async def test_those_of_days_far_ahead_wait(services: Services) -> None:
    await _land(
        services, [MIDNIGHT + 8 * DAY, datetime(9998, 12, 31, tzinfo=UTC), MIDNIGHT + 7 * DAY]
    )

    assert await sweep(services.pool, 7, TODAY) == 1
    assert await _in_default(services) == 2
    assert await sweep(services.pool, 7, TODAY + DAY) == 1


async def test_oldest_events_that_there_can_be_come_home(services: Services) -> None:
    await _land(services, [datetime(1970, 1, 1, tzinfo=UTC), MIDNIGHT - 9999 * DAY])

    assert (await maintain(services)).swept == 2
    assert await _in_default(services) == 0


@pytest.mark.parametrize("seed", range(4))
async def test_ingestion_goes_on_meanwhile(services: Services, seed: int) -> None:
    """Two sweeps, two ingestions, half of the events delivered twice."""
    chance = random.Random(seed)
    spread = [MIDNIGHT + timedelta(seconds=chance.uniform(-86_400, 2 * 86_400)) for _ in range(600)]
    events = [make_event(started_at=time) for time in spread]
    await publish_all(services.queue, events[:300])
    await ingest(services)
    again = events[:300] + events[300:]
    chance.shuffle(again)
    await publish_all(services.queue, again)
    services.settings.__dict__["ingest_batch_size"] = 25

    async def drain() -> None:
        # A batch that the partitions change under time and again stays for the next ingestion.
        for _ in range(20):
            with suppress(Problem):
                await ingest(services)
                return
        raise AssertionError("ingestion never got through")

    await asyncio.gather(
        drain(),
        sweep(services.pool, 7, TODAY, piece=40),
        drain(),
        sweep(services.pool, 7, TODAY, piece=40),
    )

    assert await services.queue.depth() == 0
    assert await value(services, "SELECT count(*) FROM inference_dead_letters") == 0
    await sweep(services.pool, 7, TODAY, piece=40)
    assert await _in_default(services) == 0
    stored = await rows(services, "SELECT id FROM inference_log ORDER BY id")
    assert [row["id"] for row in stored] == sorted(event.id for event in events)
    assert await value(services, "SELECT sum(calls) FROM total_usage") == 600
    total = "SELECT sum(requests) FROM rollups WHERE tier = 'day_total'"
    assert await value(services, total) == 600


async def test_a_long_report_is_not_waited_for(services: Services) -> None:
    await _land(services, [MIDNIGHT])
    url = services.settings.database_url.get_secret_value()
    async with await psycopg.AsyncConnection.connect(url) as report:
        await report.execute("SELECT count(*) FROM inference_log_default")

        async with asyncio.timeout(60):
            assert await sweep(services.pool, 7, TODAY) == 0

    assert await sweep(services.pool, 7, TODAY) == 1


async def test_whoever_changes_rows_finds_each_on_its_way(services: Services) -> None:
    """What takes a person or a conversation out of the log must not miss what is being moved."""
    changed = []
    count = 0
    # A slow machine may change them a few times only while they are on their way.
    while len(changed) <= 5:
        async with connect(services.pool) as connection:
            await connection.execute(
                "INSERT INTO inference_log (id, started_at, kind, status, operation_name,"
                " provider_name, request_model, duration)"
                " SELECT gen_random_uuid(), %s + n * interval '1 second', 'chat', 'ok', 'chat',"
                " 'p', 'm', 1 FROM generate_series(1, 2000) AS n",
                (MIDNIGHT - len(changed) * timedelta(days=1),),
            )
        count += 2000
        sweeping = asyncio.create_task(sweep(services.pool, 7, TODAY, piece=50))
        while not sweeping.done():
            async with connect(services.pool) as connection:
                done = await connection.execute("UPDATE inference_log SET request_id = 'x'")
            changed.append(done.rowcount == count)
        await sweeping

    assert all(changed)
    await sweep(services.pool, 7, TODAY)
    assert await _in_default(services) == 0
