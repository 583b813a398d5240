"""Time of the numbers' views over five million calls, beside percentile_cont over the log.

Run by ``make bench`` or ``python -m bench.dashboard``. The calls of 30 days are made up by the
server, day by day, in statements of 10,000 as ingestion would write them, so that rollups come to
be as they always do: by the log's own trigger. Each view is the api's own, without HTTP, of the
last 30 days; beside it stands one statement that reckons the same from the log: sums, and
percentiles by percentile_cont. Half of the views are narrowed, one is of a single user. Prints
Markdown tables.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from localstack.embedded.postgres import Postgres
from tailrace.db.migrate import migrate
from tailrace.db.pool import Pool, connect
from tailrace.maintenance.partitions import create_partitions
from tailrace.metrics.breakdown import breakdown
from tailrace.metrics.calls import top
from tailrace.metrics.overview import histogram, overview, series
from tailrace.metrics.spans import Span
from tailrace.metrics.summary import Selection
from tailrace.services import Services
from tailrace.settings import Settings

_END = datetime(2026, 11, 1, tzinfo=UTC)
_DAYS = 30
_STATEMENT = 10_000
_UTC, _BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")

# 40 models and kinds, some much busier than others; 1,000 users, likewise; 4 % go wrong.
_GENERATE = """
INSERT INTO inference_log
    (id, started_at, kind, status, owner_id, conversation_id, request_id, operation_name,
     provider_name, request_model, response_model, finish_reasons, error_type, duration,
     time_to_first_chunk, time_per_output_chunk, input_tokens, cache_read_input_tokens,
     output_tokens, cost_usd, unpriced, price_version, input_preview, output_preview)
SELECT
    gen_random_uuid(), started_at,
    (ARRAY['chat', 'chat', 'chat', 'title', 'gateway'])[1 + mod(luck, 5)],
    CASE WHEN luck < 960 THEN 'ok' WHEN luck < 985 THEN 'error' ELSE 'cancelled' END,
    md5((power(random(), 2) * 1000)::integer::text)::uuid, gen_random_uuid(), md5(luck::text),
    'chat', 'provider-' || mod(model, 4), 'model-' || model, 'model-' || model,
    CASE WHEN luck < 960 THEN ARRAY['stop'] ELSE '{}' END,
    CASE WHEN luck BETWEEN 960 AND 984 THEN 'overloaded' END,
    exp(random_normal(1, 0.6)), CASE WHEN luck < 960 THEN exp(random_normal(-1, 0.5)) END,
    CASE WHEN luck < 960 THEN random() / 50 END, 20 + (random() * 4000)::integer,
    CASE WHEN mod(luck, 2) = 0 THEN (random() * 1000)::integer ELSE 0 END,
    1 + (random() * 900)::integer, (random() * 0.02)::numeric(20, 12), false, 'bench',
    repeat('what does the model say ', 1 + mod(luck, 8)),
    repeat('it says what it counts ', 1 + mod(luck, 12))
FROM (
    SELECT %(start)s::timestamptz + number * %(step)s::interval AS started_at,
           (random() * 999)::integer AS luck, (power(random(), 2) * 8)::integer AS model
    FROM generate_series(0, %(count)s - 1) AS number
) AS calls
"""

_SUMS = """
    count(*) AS requests,
    count(*) FILTER (WHERE status IN ('error', 'timeout', 'interrupted')) AS errors,
    sum(input_tokens), sum(output_tokens), sum(cost_usd),
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration),
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY time_to_first_chunk)
"""
_BUCKET = "date_bin('1 day', started_at, 'epoch')"
_BY_DAY = "date_trunc('day', started_at, 'Europe/Berlin')"
_OF_MODEL = "request_model = 'model-2'"
_OF_ERRORS = "provider_name = 'provider-1' AND status = 'error'"
_OF_TITLES = "kind = 'title'"

_Read = Callable[[Pool, Span, UUID], Awaitable[Any]]


class _View(NamedTuple):
    """A view, and the statement that reckons the same; `target` is how much faster it is to be."""

    name: str
    target: int | None
    read: _Read
    raw: str


def _raw(group: str, where: str = "true") -> str:
    return f"SELECT {_SUMS} FROM inference_log WHERE {{span}} AND {where} GROUP BY {group}"


_VIEWS = (
    _View(
        "overview: sums, by model, over time, and the period before",
        100,
        lambda pool, span, _: overview(pool, Selection(), span, _UTC),
        _raw(f"GROUPING SETS ((), (provider_name, request_model), ({_BUCKET}))"),
    ),
    _View(
        "series of days in another time zone",
        100,
        lambda pool, span, _: series(pool, Selection(), span, "day", _BERLIN),
        _raw(_BY_DAY),
    ),
    _View(
        "breakdown by model",
        100,
        lambda pool, span, _: breakdown(pool, Selection(), span, "model"),
        _raw("provider_name, request_model"),
    ),
    _View(
        "breakdown by status",
        100,
        lambda pool, span, _: breakdown(pool, Selection(), span, "status"),
        _raw("status"),
    ),
    _View(
        "histogram and percentiles of the duration",
        100,
        lambda pool, span, _: histogram(pool, Selection(), span, "duration"),
        _raw("()"),
    ),
    _View(
        "overview of one model",
        20,
        lambda pool, span, _: overview(pool, Selection(request_model="model-2"), span, _UTC),
        _raw(f"GROUPING SETS ((), (provider_name, request_model), ({_BUCKET}))", _OF_MODEL),
    ),
    _View(
        "series of one provider's errors",
        20,
        lambda pool, span, _: series(
            pool, Selection(provider_name="provider-1", status="error"), span, "day", _UTC
        ),
        _raw(_BY_DAY, _OF_ERRORS),
    ),
    _View(
        "breakdown of titles by model",
        20,
        lambda pool, span, _: breakdown(pool, Selection(kind="title"), span, "model"),
        _raw("provider_name, request_model", _OF_TITLES),
    ),
    _View(
        "the 20 slowest",
        None,
        lambda pool, span, _: top(pool, Selection(), span, "duration", 20),
        "SELECT * FROM inference_log WHERE {span} ORDER BY duration DESC LIMIT 20",
    ),
    _View(
        "breakdown by user",
        None,
        lambda pool, span, _: breakdown(pool, Selection(), span, "user"),
        _raw("owner_id"),
    ),
    _View(
        "overview of one user",
        None,
        lambda pool, span, owner: overview(pool, Selection(owner), span, _UTC),
        _raw(f"GROUPING SETS ((), (provider_name, request_model), ({_BUCKET}))", "{owner}"),
    ),
)


async def _load(pool: Pool, events: int) -> float:
    """Write the calls and return the seconds that it took."""
    first = _END - timedelta(days=_DAYS)
    await create_partitions(pool, _DAYS - 1, first.date())
    step = timedelta(days=_DAYS) / events
    begun = time.perf_counter()
    async with connect(pool) as connection:
        for number in range(0, events, _STATEMENT):
            count = min(_STATEMENT, events - number)
            await connection.execute(
                _GENERATE, {"start": first + number * step, "step": step, "count": count}
            )
    seconds = time.perf_counter() - begun
    async with connect(pool) as connection:
        await connection.execute("VACUUM ANALYZE")
    return seconds


async def _time(read: Callable[[], Awaitable[Any]], times: int) -> list[float]:
    """Return the milliseconds of each reading."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        await read()
        taken.append((time.perf_counter() - begun) * 1000)
    return taken


async def _measure(pool: Pool, view: _View, span: Span, owner: UUID, times: int) -> str:
    await view.read(pool, span, owner)
    ours = await _time(lambda: view.read(pool, span, owner), times)
    statement = view.raw.format(
        span=f"started_at >= '{span.start}' AND started_at < '{span.end}'",
        owner=f"owner_id = '{owner}'",
    )

    async def read_log() -> None:
        async with connect(pool) as connection:
            # As much memory as it likes: this is about the work, not about its files.
            await connection.execute("SET work_mem = '1GB'")
            await (await connection.execute(statement.encode())).fetchall()
            await connection.execute("RESET work_mem")

    raw = statistics.median(await _time(read_log, 3))
    p50 = statistics.median(ours)
    p95 = statistics.quantiles(ours, n=20)[-1]
    target = f"{view.target}" if view.target else ""
    return f"| {view.name} | {p50:.1f} | {p95:.1f} | {raw:,.0f} | {raw / p50:,.0f} | {target} |"


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the views of the numbers.")
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--times", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as folder:
        postgres = Postgres(Path(folder) / "postgres", durable=False)
        postgres.start()
        try:
            postgres.create_database("dashboard")
            url = postgres.url("dashboard")
            await migrate(url)
            services = Services(
                Settings(
                    database_url=SecretStr(url),
                    redis_url=SecretStr("redis://127.0.0.1"),
                    secret_key=SecretStr("a secret key for benchmarks only!"),
                )
            )
            await services.open()
            await _report(services.pool, arguments.events, arguments.times)
            await services.close()
        finally:
            postgres.stop()


async def _report(pool: Pool, events: int, times: int) -> None:
    seconds = await _load(pool, events)
    print(f"{events:,} calls of {_DAYS} days, written with their rollups in {seconds:.0f} s\n")
    # A span that ends within a minute, an hour and a day has rollups of each tier at both ends.
    end = _END - timedelta(hours=7, minutes=23, seconds=11)
    span = Span.of(end - timedelta(days=_DAYS) + timedelta(hours=8), end)
    async with connect(pool) as connection:
        cursor = await connection.execute(
            "SELECT owner_id FROM inference_log WHERE started_at >= %s"
            " GROUP BY 1 ORDER BY count(*) DESC OFFSET 100 LIMIT 1",
            (_END - timedelta(days=1),),
        )
        owner = (await cursor.fetchone() or {})["owner_id"]
    print("| view | p50 ms | p95 ms | log, ms | times faster | target |")
    print("|---|---:|---:|---:|---:|---:|")
    for view in _VIEWS:
        print(await _measure(pool, view, span, owner, times), flush=True)
    async with connect(pool) as connection:
        cursor = await connection.execute(
            "SELECT tier, count(*) AS rows, avg(pg_column_size(rollups.*))::integer AS bytes"
            " FROM rollups GROUP BY tier ORDER BY tier"
        )
        print("\n| tier | rows | bytes a row |\n|---|---:|---:|")
        for row in await cursor.fetchall():
            print(f"| {row['tier']} | {row['rows']:,} | {row['bytes']:,} |")


if __name__ == "__main__":
    asyncio.run(main())
