"""Retention: each class goes when its time is up, and nothing else goes with it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tailrace.db.pool import connect
from tailrace.maintenance import maintain, retention
from tailrace.maintenance.partitions import create_partitions, sweep
from tailrace.maintenance.retention import apply_retention
from tailrace.services import Services
from tailrace.telemetry.ingest import ingest
from tests.support.events import make_event, publish_all, rows, value

NOW = datetime(2027, 2, 27, 12, tzinfo=UTC)
DAY = timedelta(days=1)
_DAY = 86_400.0


def _keep(services: Services, **kept_for: Any) -> None:
    services.settings.__dict__.update(kept_for)


async def _land(services: Services, *times: datetime, **fields: Any) -> list[Any]:
    events = [make_event(started_at=time, **fields) for time in times]
    await publish_all(services.queue, events)
    assert (await ingest(services)).inserted == len(events)
    await sweep(services.pool, 7, NOW.date())
    return events


async def _times(services: Services) -> list[datetime]:
    found = await rows(services, "SELECT started_at FROM inference_log ORDER BY 1")
    return [row["started_at"] for row in found]


async def test_everything_is_kept_unless_told_otherwise(services: Services) -> None:
    await _land(services, NOW - 5000 * DAY, NOW, input_preview="a", output_preview="b")

    report = await apply_retention(services, NOW)

    assert report == retention.RetentionReport()
    assert (
        await value(services, "SELECT count(*) FROM inference_log WHERE input_preview = 'a'") == 2
    )


async def test_events_go_by_whole_days(services: Services) -> None:
    midnight = NOW.replace(hour=0)
    kept = [midnight - 2 * DAY, NOW]
    await _land(services, midnight - 2 * DAY - timedelta(microseconds=1), NOW - 400 * DAY, *kept)
    _keep(services, events_kept_for=2 * _DAY)

    report = await apply_retention(services, NOW)

    # The day before yesterday ended 36 hours ago: a part of it is to be kept.
    assert report.dropped == ["inference_log_20260123", "inference_log_20270224"]
    assert await _times(services) == kept
    assert (await apply_retention(services, NOW)).dropped == []
    # What was counted stays counted.
    assert await value(services, "SELECT sum(calls) FROM total_usage") == 4
    total = "SELECT sum(requests) FROM rollups WHERE tier = 'day_total'"
    assert await value(services, total) == 4


async def test_what_comes_late_goes_as_well(services: Services) -> None:
    _keep(services, events_kept_for=2 * _DAY)
    await _land(services, NOW - 9 * DAY)
    assert len((await apply_retention(services, NOW)).dropped) == 1
    await publish_all(services.queue, [make_event(started_at=NOW - 9 * DAY) for _ in range(3)])
    await ingest(services)
    assert await value(services, "SELECT count(*) FROM inference_log_default") == 3

    await sweep(services.pool, 7, NOW.date())
    assert (await apply_retention(services, NOW)).dropped == ["inference_log_20270218"]

    assert await _times(services) == []


async def test_a_long_report_keeps_nobody_waiting(services: Services) -> None:
    await _land(services, NOW - 9 * DAY, NOW)
    _keep(services, events_kept_for=2 * _DAY)
    url = services.settings.database_url.get_secret_value()
    async with await psycopg.AsyncConnection.connect(url) as report:
        await report.execute("SELECT count(*) FROM inference_log")
        dropping = asyncio.create_task(apply_retention(services, NOW))
        await publish_all(services.queue, [make_event(started_at=NOW)])

        async with asyncio.timeout(60):
            assert (await ingest(services)).inserted == 1
            assert (await dropping).dropped == []

    assert len((await apply_retention(services, NOW)).dropped) == 1


async def test_several_at_once_drop_each_day_once(services: Services) -> None:
    await _land(services, *(NOW - number * DAY for number in range(10, 20)))
    _keep(services, events_kept_for=2 * _DAY)

    reports = await asyncio.gather(*(apply_retention(services, NOW) for _ in range(4)))

    names = [name for report in reports for name in report.dropped]
    assert len(names) == len(set(names))
    assert await _times(services) == [] or (await apply_retention(services, NOW)).dropped
    assert await _times(services) == []


async def _previews(services: Services) -> dict[datetime, tuple[Any, Any]]:
    found = await rows(
        services, "SELECT started_at, input_preview, output_preview FROM inference_log"
    )
    return {row["started_at"]: (row["input_preview"], row["output_preview"]) for row in found}


async def test_previews_go_before_numbers(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_BATCH", 7)
    old = [NOW - DAY - timedelta(minutes=number) for number in range(1, 21)]
    new = [NOW - DAY + timedelta(minutes=1), NOW]
    await _land(services, *old, *new, input_preview="asked", output_preview="said")
    await _land(services, NOW - 3 * DAY, input_preview=None, output_preview="said")
    before = await value(services, "SELECT sum(input_tokens + duration) FROM inference_log")
    _keep(services, previews_kept_for=_DAY)

    assert (await apply_retention(services, NOW)).previews == 21

    found = await _previews(services)
    assert {found[time] for time in old} == {(None, None)}
    assert {found[time] for time in new} == {("asked", "said")}
    assert await value(services, "SELECT sum(input_tokens + duration) FROM inference_log") == before
    assert await value(services, "SELECT sum(calls) FROM total_usage") == 23
    assert (await apply_retention(services, NOW)).previews == 0
    # Time goes on.
    assert (await apply_retention(services, NOW + timedelta(minutes=2))).previews == 1


async def test_previews_of_calls_that_come_late_go_too(services: Services) -> None:
    _keep(services, previews_kept_for=_DAY)
    now = datetime.now(UTC)
    await apply_retention(services, now)
    await _land(services, now - 2 * DAY, NOW, input_preview="asked")

    # It looks for them every quarter of an hour.
    assert (await apply_retention(services, now + timedelta(minutes=14))).previews == 0
    assert (await apply_retention(services, now + timedelta(minutes=16))).previews == 1
    assert (await _previews(services))[NOW] == ("asked", None)


async def test_previews_are_emptied_by_several_at_once_and_in_pieces(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_BATCH", 5)
    await _land(
        services, *(NOW - 2 * DAY + timedelta(seconds=n) for n in range(60)), input_preview="x"
    )
    _keep(services, previews_kept_for=_DAY)
    asked = iter([False, False, False])
    first = await apply_retention(services, NOW, is_time_up=lambda: next(asked, True))
    assert 0 < first.previews < 60

    reports = await asyncio.gather(*(apply_retention(services, NOW) for _ in range(3)))

    assert first.previews + sum(report.previews for report in reports) == 60


async def test_rollups_go_tier_by_tier(services: Services) -> None:
    await _land(services, NOW - 100 * DAY, NOW - 10 * DAY, NOW)
    everything = await rows(services, "SELECT * FROM rollups WHERE tier = 'all_time'")
    _keep(
        services,
        minute_rollups_kept_for=_DAY,
        hour_rollups_kept_for=20 * _DAY,
        day_rollups_kept_for=50 * _DAY,
    )

    report = await apply_retention(services, NOW)

    found = await rows(services, "SELECT tier, count(*) FROM rollups GROUP BY tier")
    counts = {row["tier"]: row["count"] for row in found}
    assert (counts["minute"], counts["minute_total"]) == (1, 1)
    assert (counts["hour"], counts["hour_total"], counts["day"], counts["day_total"]) == (2,) * 4
    reasons = await rows(services, "SELECT tier, count(*) FROM rollup_reasons GROUP BY tier")
    assert {row["tier"]: row["count"] for row in reasons} == {"hour": 2, "day": 2}
    assert report.rollups == 4 + 2 + 1 + 2 + 1
    assert await rows(services, "SELECT * FROM rollups WHERE tier = 'all_time'") == everything
    assert len(await _times(services)) == 3


async def test_the_days_of_users_go_with_the_days(services: Services) -> None:
    owner = make_event().id
    await _land(services, NOW - 100 * DAY, NOW, owner_id=owner)
    _keep(services, day_rollups_kept_for=50 * _DAY)

    await apply_retention(services, NOW)

    left = await rows(services, "SELECT starts_at FROM rollups WHERE tier = 'owner_day'")
    assert [row["starts_at"] for row in left] == [NOW.replace(hour=0)]


async def test_dead_letters_wait_long_and_parked_events_for_ever(services: Services) -> None:
    _keep(services, dead_letters_kept_for=7 * _DAY)
    async with connect(services.pool) as connection:
        for id, age, version in (("old", 8, None), ("new", 6, None), ("parked", 800, 99)):
            await connection.execute(
                "INSERT INTO inference_dead_letters"
                " (source, source_id, reason, payload, last_seen_at, schema_version)"
                " VALUES ('queue', %s, 'r', %s, %s, %s)",
                (id, id.encode(), NOW - age * DAY, version),
            )

    assert (await apply_retention(services, NOW)).dead_letters == 1

    left = await rows(services, "SELECT source_id FROM inference_dead_letters ORDER BY 1")
    assert [row["source_id"] for row in left] == ["new", "parked"]


async def test_maintain_sees_to_all_of_it(services: Services) -> None:
    now = datetime.now(UTC)
    await create_partitions(services.pool, 1)
    events = [make_event(started_at=now - days * DAY, input_preview="x") for days in (9, 2, 0)]
    await publish_all(services.queue, events)
    await ingest(services)
    _keep(
        services,
        events_kept_for=5 * _DAY,
        previews_kept_for=_DAY,
        minute_rollups_kept_for=_DAY,
    )

    report = await maintain(services)

    assert (report.swept, report.emptied_previews, len(report.dropped)) == (2, 2, 1)
    assert report.deleted_rollups == 4
    assert await value(services, "SELECT count(*) FROM inference_log") == 2
