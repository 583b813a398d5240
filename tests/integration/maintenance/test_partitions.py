"""Partitions: there before their day, whatever else is going on."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from tailrace.maintenance import maintain
from tailrace.maintenance.partitions import create_partitions
from tailrace.services import Services
from tailrace.telemetry.ingest import ingest
from tests.support.events import make_event, make_events, publish_all, rows, value
from tests.support.locks import hold_writers

_DAY = date(2027, 2, 27)
_NOON = datetime(2027, 2, 27, 12, tzinfo=UTC)


async def _homes(services: Services) -> dict[str, int]:
    found = await rows(
        services,
        "SELECT tableoid::regclass::text AS home, count(*) FROM inference_log GROUP BY home",
    )
    return {row["home"]: row["count"] for row in found}


async def test_today_and_the_days_ahead_get_their_partitions(services: Services) -> None:
    created = await create_partitions(services.pool, 2, _DAY)

    assert created == [
        "inference_log_20270227",
        "inference_log_20270228",
        "inference_log_20270301",
    ]
    assert await create_partitions(services.pool, 2, _DAY) == []
    assert await create_partitions(services.pool, 2, _DAY + timedelta(days=1)) == [
        "inference_log_20270302"
    ]


async def test_maintain_reaches_as_far_as_it_is_told(services: Services) -> None:
    report = await maintain(services)

    days = [date.fromisoformat(name.removeprefix("inference_log_")) for name in report.partitions]
    assert len(days) == services.settings.partitions_ahead + 1
    # The clock may have passed midnight since.
    assert datetime.now(UTC).date() - days[0] <= timedelta(days=1)
    assert (await maintain(services)).partitions == []


async def test_a_day_begins_and_ends_at_midnight_utc(services: Services) -> None:
    await create_partitions(services.pool, 0, _DAY)
    midnight = datetime(2027, 2, 27, tzinfo=UTC)
    second = timedelta(seconds=1)
    times = (midnight - second, midnight, midnight + timedelta(days=1) - second)
    times = (*times, midnight + timedelta(days=1))
    await publish_all(services.queue, [make_event(started_at=time) for time in times])

    await ingest(services)

    assert await _homes(services) == {"inference_log_default": 2, "inference_log_20270227": 2}


async def test_a_partition_has_every_index_of_the_log(services: Services) -> None:
    await create_partitions(services.pool, 0, _DAY)

    query = "SELECT count(*) FROM pg_indexes WHERE tablename = %s"
    made = await value(services, query, "inference_log_20270227")
    assert made == await value(services, query, "inference_log") > 1


async def test_rows_that_were_early_come_home(services: Services) -> None:
    early = [make_event(started_at=_NOON + timedelta(days=number)) for number in range(3)]
    await publish_all(services.queue, early)
    await ingest(services)
    assert await _homes(services) == {"inference_log_default": 3}

    await create_partitions(services.pool, 1, _DAY)

    assert await _homes(services) == {
        "inference_log_20270227": 1,
        "inference_log_20270228": 1,
        "inference_log_default": 1,
    }
    # What came home is still known when it is delivered again.
    await publish_all(services.queue, early)
    assert (await ingest(services)).duplicates == 3


async def test_several_at_once_create_each_partition_once(services: Services) -> None:
    created = await asyncio.gather(*(create_partitions(services.pool, 5, _DAY) for _ in range(4)))

    names = [name for some in created for name in some]
    assert len(names) == len(set(names)) == 6


async def test_events_under_way_to_a_day_land_while_it_is_created(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """The day's partition appears after a row was sent to the default one, before it arrived."""
    caplog.set_level("INFO", logger="tailrace.telemetry.ingest")
    await publish_all(services.queue, [make_event(started_at=_NOON)])

    async with hold_writers(services, "inference_log_default", "ACCESS EXCLUSIVE") as lock:
        ingestion = asyncio.create_task(ingest(services))
        await lock.wait_for_waiters()
        await lock.connection.execute("CREATE TABLE a_day (LIKE inference_log INCLUDING DEFAULTS)")
        await lock.connection.execute(
            "ALTER TABLE inference_log ATTACH PARTITION a_day"
            " FOR VALUES FROM ('2027-02-27') TO ('2027-02-28')"
        )
        await lock.release()
        report = await ingestion

    assert "tried again" in caplog.text
    assert (report.inserted, report.dead) == (1, 0)
    assert await _homes(services) == {"a_day": 1}


async def test_ingestion_and_creation_get_along(services: Services) -> None:
    days = [_NOON + timedelta(days=number) for number in range(10)]
    events = [event for day in days for event in make_events(100)]
    for number, event in enumerate(events):
        event.started_at = days[number % 10]
    await publish_all(services.queue, events)
    services.settings.__dict__["ingest_batch_size"] = 20

    report, created = await asyncio.gather(
        ingest(services), create_partitions(services.pool, 9, _DAY)
    )

    assert (report.inserted, report.dead) == (1000, 0)
    assert len(created) == 10
    assert await _homes(services) == {f"inference_log_{day:%Y%m%d}": 100 for day in days}


async def test_a_long_report_is_not_waited_for(services: Services) -> None:
    url = services.settings.database_url.get_secret_value()
    async with await psycopg.AsyncConnection.connect(url) as report:
        await report.execute("SELECT count(*) FROM inference_log_default")

        async with asyncio.timeout(60):
            assert await create_partitions(services.pool, 5, _DAY) == []

    assert len(await create_partitions(services.pool, 5, _DAY)) == 6


@pytest.mark.parametrize("age", [timedelta(seconds=-1), timedelta(hours=1)])
async def test_sessions_go_when_they_have_expired(services: Services, age: timedelta) -> None:
    await rows(
        services,
        "WITH someone AS (INSERT INTO users VALUES (gen_random_uuid(), 'a@b', 'x', 'user')"
        " RETURNING id)"
        " INSERT INTO sessions (id_hash, user_id, expires_at)"
        " SELECT 'hash', id, %s FROM someone RETURNING 1",
        datetime.now(UTC) - age,
    )

    report = await maintain(services)

    assert report.sessions == (age > timedelta())
    assert await value(services, "SELECT count(*) FROM sessions") == 1 - report.sessions
