"""Events a second that one ingestion lands, beside plain COPY of the same rows.

Run by ``make bench`` or ``python -m bench.ingest``. Every side writes into the real table with its
indexes, on one server, into a database of its own, in binary. Ours starts from a loaded stream and
does all that ingestion does: read, check, price, merge, acknowledge. COPY makes nothing of its
rows: it has them ready, once as Python values that psycopg writes row by row, and once as the
finished bytes, which is as fast as the server can take them. Prints a Markdown table.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from redis.asyncio import Redis

from localstack.embedded.postgres import Postgres
from localstack.embedded.valkey import Valkey
from tailrace.db.migrate import migrate
from tailrace.ids import uuid7
from tailrace.maintenance import maintain
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry.event import InferenceEvent, Kind, encode
from tailrace.telemetry.ingest import ingest

_SIDES = {
    "ingestion": "ingestion, from the stream to the table",
    "copy_rows": "plain COPY, rows from Python",
    "copy_bytes": "plain COPY, finished bytes",
}

_DAYS = 3
_MODELS = (
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("gemini", "gemini-2.5-flash", "gemini-2.5-flash"),
    ("local", "smollm2-135m-instruct", "smollm2-135m-instruct"),
)
_KINDS: tuple[Kind, ...] = ("chat", "chat", "chat", "title", "guest")
_WORDS = [
    "the",
    "model",
    "answers",
    "questions",
    "about",
    "trains",
    "water",
    "tides",
    "and",
    "every",
    "token",
    "it",
    "counts",
]


def events(count: int, seed: int = 7) -> Iterator[InferenceEvent]:
    """Yield calls spread over three days from today: previews, 3 % errors, cached prompts."""
    rng = random.Random(seed)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    owners = [uuid7() for _ in range(500)]
    for number in range(count):
        provider, model, answering = rng.choice(_MODELS)
        started_at = midnight + timedelta(days=_DAYS) * (number / count)
        failed = rng.random() < 0.03
        read, written = rng.randint(20, 4000), rng.randint(1, 900)
        event = InferenceEvent(
            id=_uuid7_at(started_at, rng),
            kind=rng.choice(_KINDS),
            status="error" if failed else "ok",
            started_at=started_at,
            duration=rng.lognormvariate(1, 0.6),
            provider_name=provider,
            request_model=model,
            owner_id=rng.choice(owners),
            conversation_id=UUID(int=rng.getrandbits(128)),
            request_id=f"{rng.getrandbits(128):032x}",
            input_preview=" ".join(rng.choices(_WORDS, k=rng.randint(5, 40))),
        )
        if failed:
            event.error_type, event.error_message = "overloaded", "The engine is overloaded"
        else:
            event.response_model = answering
            event.response_id = f"chatcmpl-{rng.getrandbits(128):032x}"
            event.finish_reasons = ["stop"]
            event.time_to_first_chunk = rng.lognormvariate(-1, 0.5)
            event.time_per_output_chunk = rng.random() / 50
            event.input_tokens, event.output_tokens = read, written
            event.cache_read_input_tokens = rng.choice((0, read // 2))
            event.reasoning_output_tokens = 0
            event.output_preview = " ".join(rng.choices(_WORDS, k=rng.randint(5, 60)))
        yield event


def _uuid7_at(moment: datetime, rng: random.Random) -> UUID:
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(
        int=milliseconds << 80 | 7 << 76 | rng.getrandbits(12) << 64 | 2 << 62 | rng.getrandbits(62)
    )


async def _load(redis: Redis, count: int) -> None:
    """Fill the stream without waiting for each event, which is not what is measured."""
    pipeline = redis.pipeline(transaction=False)
    for event in events(count):
        pipeline.xadd("tailrace:inference-events", {"payload": encode(event)})
        if len(pipeline) == 1000:
            await pipeline.execute()
    await pipeline.execute()


async def _ingest(services: Services, count: int) -> float:
    async with services.pool.connection() as connection:
        await connection.execute("CHECKPOINT")
    start = time.perf_counter()
    report = await ingest(services)
    seconds = time.perf_counter() - start
    assert report.inserted == count, report
    assert await services.queue.depth() == 0
    return seconds


async def _copy_rows(source: str, target: str, count: int) -> float:
    async with await psycopg.AsyncConnection.connect(source) as connection:
        cursor = connection.cursor(binary=True)
        await cursor.execute("TABLE inference_log")
        types = [column.type_code for column in cursor.description or ()]
        rows = [
            tuple(Jsonb(value) if isinstance(value, dict) else value for value in row)
            for row in await cursor.fetchall()
        ]

    async def write(copy: psycopg.AsyncCopy) -> None:
        copy.set_types(types)
        for row in rows:
            await copy.write_row(row)

    return await _copy(target, write, count)


async def _copy_bytes(source: str, target: str, count: int) -> float:
    async with await psycopg.AsyncConnection.connect(source) as connection:
        cursor = connection.cursor()
        async with cursor.copy("COPY (TABLE inference_log) TO STDOUT (FORMAT binary)") as rows:
            data = b"".join([bytes(block) async for block in rows])
    return await _copy(target, lambda copy: copy.write(data), count)


async def _copy(
    target: str, write: Callable[[psycopg.AsyncCopy], Awaitable[None]], count: int
) -> float:
    async with await psycopg.AsyncConnection.connect(target, autocommit=True) as connection:
        await connection.execute("CHECKPOINT")
        cursor = connection.cursor()
        start = time.perf_counter()
        async with cursor.copy("COPY inference_log FROM STDIN (FORMAT binary)") as copy:
            await write(copy)
        seconds = time.perf_counter() - start
        assert cursor.rowcount == count
    return seconds


async def _round(postgres: Postgres, valkey: Valkey, count: int) -> dict[str, float]:
    """Return the seconds that each side takes, each into an empty table."""
    services: dict[str, Services] = {}
    for name in _SIDES:
        postgres.create_database(name)
        await migrate(postgres.url(name))
        services[name] = Services(
            Settings(
                database_url=SecretStr(postgres.url(name)),
                redis_url=SecretStr(valkey.url),
                secret_key=SecretStr("a secret key for benchmarks only!"),
                # What is read into a timeout comes again only after a minute.
                redis_timeout=10,
            )
        )
        await services[name].open()
        await maintain(services[name])
    await _load(services["ingestion"].redis, count)
    source = postgres.url("ingestion")
    seconds = {
        "ingestion": await _ingest(services["ingestion"], count),
        "copy_rows": await _copy_rows(source, postgres.url("copy_rows"), count),
        "copy_bytes": await _copy_bytes(source, postgres.url("copy_bytes"), count),
    }
    for name, opened in services.items():
        await opened.close()
        postgres.drop_database(name)
    return seconds


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure ingestion beside COPY.")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as folder:
        postgres = Postgres(Path(folder) / "postgres")
        valkey = Valkey(Path(folder) / "valkey", durable=False)
        postgres.start()
        valkey.start()
        try:
            rounds = [
                await _round(postgres, valkey, arguments.events) for _ in range(arguments.rounds)
            ]
        finally:
            valkey.stop()
            postgres.stop()
    print(f"{arguments.events:,} events, median of {arguments.rounds} rounds\n")
    print("| | events/s | ingestion is of it |")
    print("|---|---:|---:|")
    for side, label in _SIDES.items():
        rate = statistics.median(arguments.events / seconds[side] for seconds in rounds)
        share = statistics.median(seconds[side] / seconds["ingestion"] for seconds in rounds)
        print(f"| {label} | {rate:,.0f} | {share:.2f} |")


if __name__ == "__main__":
    asyncio.run(main())
