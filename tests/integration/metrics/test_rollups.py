"""Rollups: they count what was logged, once, whoever wrote it and however often it came."""

import asyncio
import json
import math
import os
import random
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tailrace.auth.erasure import forget_late_events
from tailrace.db import migrate
from tailrace.db.pool import connect
from tailrace.ids import uuid7
from tailrace.metrics.histogram import Histogram
from tailrace.metrics.rebuild import RebuildReport, rebuild
from tailrace.services import Services
from tailrace.telemetry.event import InferenceEvent
from tailrace.telemetry.ingest import ingest
from tests.support.events import make_event, publish_all, rows, value
from tests.support.migrations import migrate_up_to
from tests.support.rollups import rolled_up

_DAY = datetime(2026, 11, 20, tzinfo=UTC)

# What a call may take, and what is told apart from nothing.
_VALUES = st.floats(0, 864_000).map(lambda value: 0.0 if value <= 1e-12 else value)
_FRACTIONS = (0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0)

# Tokens are counted up to each of these, and beyond the last; calls that had left the log before
# they could be are in the bucket after that.
_TOKEN_BOUNDS = tuple(4**number for number in range(14))
_UNKNOWN = len(_TOKEN_BOUNDS) + 1
_TOKENS = st.one_of(
    st.integers(0, 2**63 - 1),
    st.sampled_from(_TOKEN_BOUNDS).flatmap(lambda bound: st.integers(bound - 1, bound + 1)),
)


def _events(count: int, seed: int, owners: list[UUID]) -> list[InferenceEvent]:
    """Return calls over three days: late ones, failed ones, some priced, some measured."""
    rng = random.Random(seed)
    events = []
    for _ in range(count):
        status = rng.choice(("ok", "ok", "ok", "ok", "error", "cancelled", "interrupted"))
        model = rng.choice(("gpt-4o", "gpt-4o-mini", "unheard-of"))
        events.append(
            make_event(
                started_at=_DAY + timedelta(seconds=rng.uniform(0, 3 * 86_400)),
                kind=rng.choice(("chat", "chat", "title", "guest", "gateway")),
                status=status,
                owner_id=rng.choice([*owners, None]),
                request_model=model,
                duration=rng.lognormvariate(0, 2),
                time_to_first_chunk=rng.choice((None, 0.0, rng.random())),
                time_per_output_chunk=rng.choice((None, rng.random() / 50)),
                input_tokens=rng.choice((None, rng.randrange(5000))),
                output_tokens=rng.choice((None, 0, rng.randrange(500))),
                cache_read_input_tokens=rng.choice((None, 0)),
                finish_reasons=rng.choice(([], ["stop"], ["stop", "length"])),
                error_type=rng.choice(("overloaded", "x" * 200)) if status == "error" else None,
            )
        )
    return events


async def _counted(services: Services) -> dict[str, int]:
    found = await rows(services, "SELECT tier, sum(requests)::int AS n FROM rollups GROUP BY tier")
    return {row["tier"]: row["n"] for row in found}


@pytest.fixture(scope="module")
def connection(module_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database with our functions."""
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        yield connection


def _exact(values: list[float], fraction: float) -> float:
    """Interpolate between the two nearest, as percentile_cont is defined."""
    values = sorted(values)
    position = fraction * (len(values) - 1)
    low, high = values[math.floor(position)], values[math.ceil(position)]
    return low + (high - low) * (position - math.floor(position))


@given(st.lists(st.lists(_VALUES, max_size=30), min_size=1, max_size=5), st.integers(0, 5))
@example([[1.02**n for n in range(-50, 50)], [1.02**n * (1 + 1e-15) for n in range(50)]], 1)
@example([[864_000.0, 0.0, 1.1e-12]], 0)
@hypothesis_settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_percentiles_of_merged_buckets_are_within_a_hundredth(
    connection: psycopg.Connection[Any], parts: list[list[float]], listed: int
) -> None:
    """However values are spread over rows, some of which list them and some of which count."""
    values = [value for part in parts for value in part]
    buckets, number = connection.execute(
        "WITH given AS ("
        " SELECT part, bucket_of(value) AS bucket"
        " FROM unnest(%s::int[], %s::float8[]) AS given (part, value)"
        "), parts AS ("
        " SELECT string_agg(int2send(bucket), '') FILTER (WHERE part < %s) AS buckets,"
        "        sum(histogram_of(bucket)) FILTER (WHERE part >= %s) AS histogram"
        " FROM given GROUP BY part"
        ") SELECT string_agg(buckets, ''), numeric_send(sum(histogram)) FROM parts",
        ([n for n, part in enumerate(parts) for _ in part], values, listed, listed),
    ).fetchone() or (None, None)

    histogram = Histogram.read(buckets, number, len(values))

    assert len(histogram) == len(values)
    found = histogram.percentiles(_FRACTIONS)
    if not values:
        assert found is None
        return
    assert found is not None
    for fraction, percentile in zip(_FRACTIONS, found, strict=True):
        assert percentile == pytest.approx(_exact(values, fraction), rel=0.01, abs=1e-300)
    for bucket in histogram:
        within = [v for v in values if bucket.lower < v * (1 + 1e-9) and v <= bucket.upper * 1.001]
        assert bucket.upper == 0 or len(within) >= bucket.count


def _token_counts(histogram: Decimal) -> Counter[int]:
    """Return how many calls a histogram of tokens counts by bucket, twelve digits each."""
    counts: Counter[int] = Counter()
    number, bucket = int(histogram), 0
    while number:
        number, counts[bucket] = divmod(number, 10**12)
        bucket += 1
    return +counts


def _count_tokens(tokens: list[int | None]) -> Counter[int]:
    """Count them by bucket without the database."""
    return Counter(bisect_left(_TOKEN_BOUNDS, each) for each in tokens if each is not None)


@given(st.lists(st.one_of(st.none(), _TOKENS), max_size=50))
@example([0, 1, 2, 67_108_864, 67_108_865, 2**63 - 1, None])
@hypothesis_settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_tokens_are_counted_up_to_their_boundary(
    connection: psycopg.Connection[Any], tokens: list[int | None]
) -> None:
    (histogram,) = connection.execute(
        "SELECT coalesce(sum(histogram_of(token_bucket_of(tokens))), 0)"
        " FROM unnest(%s::bigint[]) AS tokens",
        (tokens,),
    ).fetchone() or (None,)

    assert _token_counts(histogram) == _count_tokens(tokens)


async def test_a_rebuild_gives_what_was_kept(services: Services) -> None:
    owners = [uuid7() for _ in range(5)]
    events = _events(1500, 3, owners)
    # Several at once, with what was delivered twice, and what came late.
    await publish_all(services.queue, events[:1000] + events[:50])
    reports = await asyncio.gather(*(ingest(services) for _ in range(3)))
    await publish_all(services.queue, events[1000:])
    reports.append(await ingest(services))
    assert sum(report.inserted for report in reports) == len(events)
    kept = await rolled_up(services)
    async with connect(services.pool) as spoiler:
        await spoiler.execute("UPDATE rollups SET requests = requests - 1, errors = 7")
        await spoiler.execute("DELETE FROM rollup_reasons WHERE tier = 'day'")
        await spoiler.execute(
            "DELETE FROM rollups WHERE tier = 'minute' AND starts_at < '2026-11-21'"
        )
        # What is spoilt in a day is taken from all time as it is.
        await spoiler.execute(
            "UPDATE rollups AS total SET requests = day.requests, errors = day.errors"
            " FROM (SELECT provider_name, request_model, kind, status,"
            "       sum(requests) AS requests, sum(errors) AS errors"
            "       FROM rollups WHERE tier = 'day' GROUP BY 1, 2, 3, 4) AS day"
            " WHERE total.tier = 'all_time' AND total.provider_name = day.provider_name"
            " AND total.request_model = day.request_model AND total.kind = day.kind"
            " AND total.status = day.status"
        )

    report = await rebuild(services)

    assert report == RebuildReport(days=3, requests=len(events), kept=[])
    assert await rolled_up(services) == kept


async def test_every_tier_counts_every_call_once(services: Services) -> None:
    owners = [uuid7() for _ in range(3)]
    events = _events(400, 4, owners)
    await publish_all(services.queue, events + events[:100])
    await ingest(services)
    await publish_all(services.queue, events)
    await ingest(services)

    owned = sum(event.owner_id is not None and event.kind != "guest" for event in events)
    totals = ("minute", "minute_total", "hour", "hour_total", "day", "day_total", "all_time")
    assert await _counted(services) == dict.fromkeys(totals, len(events)) | {"owner_day": owned}
    by_minute = Counter(event.started_at.replace(second=0, microsecond=0) for event in events)
    found = await rows(
        services, "SELECT starts_at, requests FROM rollups WHERE tier = 'minute_total'"
    )
    assert {row["starts_at"]: row["requests"] for row in found} == by_minute
    for column in ("input_tokens", "output_tokens"):
        found = await rows(
            services, f"SELECT tier, sum({column}_histogram) AS n FROM rollups GROUP BY tier"
        )
        expected = _count_tokens([getattr(event, column) for event in events])
        assert {row["tier"]: _token_counts(row["n"]) for row in found} == {
            tier: Counter() if tier.startswith(("minute", "owner")) else expected
            for tier in (*totals, "owner_day")
        }
    reasons = await rows(
        services,
        "SELECT reason, sum(requests)::int AS n FROM rollup_reasons"
        " WHERE tier = 'hour' GROUP BY reason",
    )
    expected = Counter(
        reason[:64]
        for event in events
        for reason in (*event.finish_reasons, *([event.error_type] if event.error_type else []))
    )
    assert {row["reason"]: row["n"] for row in reasons} == expected


async def test_whoever_writes_a_row_has_it_counted(services: Services) -> None:
    async with connect(services.pool) as writer:
        await writer.execute(
            "INSERT INTO inference_log (id, started_at, kind, status, operation_name,"
            " provider_name, request_model, duration)"
            " SELECT gen_random_uuid(), %s, 'chat', 'ok', 'chat', 'p', 'm', 1"
            " FROM generate_series(1, 3)",
            (_DAY,),
        )
        await writer.execute("UPDATE inference_log SET input_preview = 'x'")

    assert (await _counted(services))["day_total"] == 3


async def test_what_is_rolled_back_was_never_counted(services: Services) -> None:
    async with connect(services.pool) as writer, writer.transaction(force_rollback=True):
        await writer.execute(
            "INSERT INTO inference_log (id, started_at, kind, status, operation_name,"
            " provider_name, request_model, duration)"
            " VALUES (gen_random_uuid(), now(), 'chat', 'ok', 'chat', 'p', 'm', 1)"
        )

    assert await _counted(services) == {}


async def test_ingesters_at_once_wait_for_each_other_but_never_in_a_circle(
    services: Services,
) -> None:
    services.settings.__dict__["ingest_batch_size"] = 50
    owners = [uuid7() for _ in range(20)]
    events = _events(1200, 5, owners)
    # The same days in ever another order.
    random.Random(1).shuffle(events)
    await publish_all(services.queue, events)

    reports = await asyncio.gather(*(ingest(services) for _ in range(4)))

    assert sum(report.inserted for report in reports) == len(events)
    assert (await _counted(services))["day_total"] == len(events)


async def test_a_day_that_the_log_no_longer_holds_is_kept(services: Services) -> None:
    await publish_all(services.queue, _events(300, 6, []))
    await ingest(services)
    kept = await rolled_up(services)
    async with connect(services.pool) as retention:
        await retention.execute("DELETE FROM inference_log WHERE started_at < '2026-11-21'")

    report = await rebuild(services)

    assert report.kept == ["2026-11-20"]
    assert await rolled_up(services) == kept
    forced = await rebuild(services, force=True)
    assert forced.kept == []
    assert (await _counted(services))["day_total"] == await value(
        services, "SELECT count(*) FROM inference_log"
    )


async def test_only_the_days_asked_for_are_rebuilt(services: Services) -> None:
    await publish_all(services.queue, _events(100, 7, []))
    await ingest(services)

    report = await rebuild(services, _DAY + timedelta(days=1), _DAY + timedelta(days=2))

    assert report.days == 1


async def test_a_deleted_user_takes_the_name_along_and_leaves_the_sums(services: Services) -> None:
    user = uuid7()
    async with connect(services.pool) as connection:
        await connection.execute(
            "INSERT INTO users (id, email, role) VALUES (%s, 'u@example.org', 'user')", (user,)
        )
    await publish_all(services.queue, [make_event(owner_id=user) for _ in range(3)])
    await ingest(services)
    assert (await _counted(services))["owner_day"] == 3

    async with connect(services.pool) as connection:
        await connection.execute("INSERT INTO erased_owners (owner_id) VALUES (%s)", (user,))
        await connection.execute("DELETE FROM users WHERE id = %s", (user,))
    counted = await _counted(services)
    assert "owner_day" not in counted
    assert counted["day_total"] == 3

    # What was on its way when they went.
    await publish_all(services.queue, [make_event(owner_id=user)])
    await ingest(services)
    await forget_late_events(services)
    counted = await _counted(services)
    assert "owner_day" not in counted
    assert counted["day_total"] == 4


async def test_an_operator_rebuilds_from_the_command_line(services: Services) -> None:
    await publish_all(services.queue, _events(50, 8, []))
    await ingest(services)
    settings = services.settings
    environment = {
        "PATH": os.environ["PATH"],
        "TAILRACE_DATABASE_URL": settings.database_url.get_secret_value(),
        "TAILRACE_REDIS_URL": settings.redis_url.get_secret_value(),
        "TAILRACE_SECRET_KEY": settings.secret_key.get_secret_value(),
    }

    async def run(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tailrace", "rollups", "rebuild", *arguments),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode, output.decode()

    code, output = await run("--from", "2026-11-20", "--to", "2026-11-21")
    assert (code, json.loads(output)["days"]) == (0, 2)
    code, output = await run("--from", "yesterday")
    assert code == 2
    assert "yesterday" in output


async def test_what_was_logged_before_there_were_rollups_is_counted(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate_up_to(empty_database_url, "0011", monkeypatch)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO inference_log (id, started_at, kind, status, operation_name,"
            " provider_name, request_model, duration)"
            " SELECT gen_random_uuid(), '2026-11-20'::timestamptz + number * interval '1 hour',"
            " 'chat', 'ok', 'chat', 'p', 'm', number FROM generate_series(1, 40) AS number"
        )

        await migrate.migrate(empty_database_url)

        found = connection.execute(
            "SELECT starts_at, requests, duration_sum FROM rollups WHERE tier = 'day_total'"
            " ORDER BY starts_at"
        ).fetchall()
    assert found == [
        (_DAY, 23, sum(range(1, 24))),
        (_DAY + timedelta(days=1), 17, sum(range(24, 41))),
    ]


async def test_what_was_logged_before_tokens_were_counted_is_counted(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate_up_to(empty_database_url, "0014", monkeypatch)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO inference_log (id, started_at, kind, status, operation_name,"
            " provider_name, request_model, duration, input_tokens)"
            " SELECT gen_random_uuid(), '2026-11-20'::timestamptz + number * interval '1 hour',"
            " 'chat', 'ok', 'chat', 'p', 'm', 1, nullif(number, 30)"
            " FROM generate_series(0, 47) AS number"
        )
        # Retention has been there.
        connection.execute("DELETE FROM inference_log WHERE started_at < '2026-11-21'")

        await migrate.migrate(empty_database_url)

        query = (
            "SELECT tier, starts_at::text, input_tokens_histogram, output_tokens_histogram"
            " FROM rollups WHERE tier NOT LIKE 'minute%' ORDER BY tier, starts_at"
        )
        migrated = connection.execute(query).fetchall()
        rebuilt = connection.execute(
            "SELECT rebuild_rollups(day, false) FROM unnest(%s::timestamptz[]) AS day",
            ([_DAY, _DAY + timedelta(days=1)],),
        ).fetchall()
        assert rebuilt == [(None,), (24,)]
        assert connection.execute(query).fetchall() == migrated
    gone = Counter({_UNKNOWN: 24})
    logged = _count_tokens([number for number in range(24, 48) if number != 30])
    counts = {
        (tier, start[:10]): (_token_counts(inputs), _token_counts(outputs))
        for tier, start, inputs, outputs in migrated
        if not tier.startswith("hour")
    }
    assert counts == {
        ("all_time", "1970-01-01"): (gone + logged, gone),
        ("day", "2026-11-20"): (gone, gone),
        ("day", "2026-11-21"): (logged, Counter()),
        ("day_total", "2026-11-20"): (gone, gone),
        ("day_total", "2026-11-21"): (logged, Counter()),
    }
    by_hour = [(row[0], row[2]) for row in migrated if row[0].startswith("hour")]
    for tier in ("hour", "hour_total"):
        hours = sum((_token_counts(value) for each, value in by_hour if each == tier), Counter())
        assert hours == gone + logged
