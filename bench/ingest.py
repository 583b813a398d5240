"""Events a second that one ingestion lands, beside plain COPY of the same rows, and its memory.

Run by ``make bench`` or ``python -m bench.ingest``. Every side writes into the real table with its
indexes, on one server, into a database of its own, in binary. Ours starts from a loaded queue and
does all that ingestion does: read, check, price, merge, acknowledge. COPY makes nothing of its
rows: it has them ready, once as Python values that psycopg writes row by row, and once as the
finished bytes, which is as fast as the server can take them. Prints Markdown tables.

SQS is moto's, in a process of its own, whose requests take it far longer than the real ones do: its
row says what our own process would be able to, by the processor time that it takes.

Memory is the high-water mark of a process of its own, ``tailrace ingest``, over a backlog of many
events, and one of large ones.
"""

import argparse
import asyncio
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
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
from tailrace.queue.base import Queue
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry.event import InferenceEvent, Kind, encode
from tailrace.telemetry.ingest import ingest

_SIDES = {
    "ingestion": "ingestion, from the stream to the table",
    "copy_rows": "plain COPY, rows from Python",
    "copy_bytes": "plain COPY, finished bytes",
    "copy_bare": "plain COPY, rows from Python, nothing counted",
}

# A process's ru_maxrss begins with that of the process it was forked from; this does not.
_MEASURED = """
from tailrace.__main__ import main
code = main()
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(status["VmHWM"].split()[0])
raise SystemExit(code)
"""

# One request at a time: two at once might be given the same message.
_SQS_SERVER = """
import sys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
app = DomainDispatcherApplication(create_backend_app)
make_server("127.0.0.1", int(sys.argv[1]), app, threaded=False).serve_forever()
"""

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


# With the other fields, nearly the most that an event may take: a word of four bytes a character.
_TEXT = "\N{GRINNING FACE}" * 20_000


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


async def _load(redis: Redis, count: int, **fields: Any) -> None:
    """Fill the stream without waiting for each event, which is not what is measured."""
    pipeline = redis.pipeline(transaction=False)
    for event in events(count):
        for name, value in fields.items():
            setattr(event, name, value)
        pipeline.xadd("tailrace:inference-events", {"payload": encode(event)})
        if len(pipeline) == 1000:
            await pipeline.execute()
    await pipeline.execute()


async def _publish(queue: Queue, count: int) -> None:
    payloads = [encode(event) for event in events(count)]
    for start in range(0, count, 8):
        await asyncio.gather(*map(queue.publish, payloads[start : start + 8]))


class _Taken(NamedTuple):
    """What an ingestion took: seconds by the clock, and of this process's processor."""

    seconds: float
    processor: float


async def _ingest(services: Services, count: int) -> _Taken:
    async with services.pool.connection() as connection:
        await connection.execute("CHECKPOINT")
    start, processor = time.perf_counter(), time.process_time()
    report = await ingest(services)
    taken = _Taken(time.perf_counter() - start, time.process_time() - processor)
    assert report.inserted == count, report
    assert await services.queue.depth() == 0
    return taken


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


async def _copy_bare(source: str, target: str, count: int) -> float:
    """The same without rollups and counters, which triggers keep."""
    async with await psycopg.AsyncConnection.connect(target, autocommit=True) as connection:
        await connection.execute("ALTER TABLE inference_log DISABLE TRIGGER USER")
    return await _copy_rows(source, target, count)


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


def _settings(postgres: Postgres, name: str, valkey: Valkey, **more: Any) -> Settings:
    return Settings(
        database_url=SecretStr(postgres.url(name)),
        redis_url=SecretStr(valkey.url),
        secret_key=SecretStr("a secret key for benchmarks only!"),
        # What is read into a timeout comes again only after a minute.
        redis_timeout=10,
        **more,
    )


@asynccontextmanager
async def _database(
    postgres: Postgres, name: str, valkey: Valkey, **more: Any
) -> AsyncIterator[Services]:
    """Yield services over a database with its partitions, dropped at the end."""
    postgres.create_database(name)
    await migrate(postgres.url(name))
    services = Services(_settings(postgres, name, valkey, **more))
    await services.open()
    try:
        await maintain(services)
        yield services
    finally:
        await services.close()
        postgres.drop_database(name)


async def _round(postgres: Postgres, valkey: Valkey, count: int) -> dict[str, float]:
    """Return the seconds that each side takes, each into an empty table."""
    async with AsyncExitStack() as stack:
        services = {
            name: await stack.enter_async_context(_database(postgres, name, valkey))
            for name in _SIDES
        }
        await _load(services["ingestion"].redis, count)
        source = postgres.url("ingestion")
        return {
            "ingestion": (await _ingest(services["ingestion"], count)).seconds,
            "copy_rows": await _copy_rows(source, postgres.url("copy_rows"), count),
            "copy_bytes": await _copy_bytes(source, postgres.url("copy_bytes"), count),
            "copy_bare": await _copy_bare(source, postgres.url("copy_bare"), count),
        }


async def _sqs_round(
    postgres: Postgres, valkey: Valkey, url: str, count: int
) -> tuple[_Taken, float]:
    """Return what ingestion from SQS takes, and the seconds of COPY of the same rows."""
    async with AsyncExitStack() as stack:
        queue_url = SecretStr(url)
        services = await stack.enter_async_context(
            _database(postgres, "sqs", valkey, queue_url=queue_url)
        )
        await stack.enter_async_context(_database(postgres, "copy_rows", valkey))
        await _publish(services.queue, count)
        taken = await _ingest(services, count)
        return taken, await _copy_rows(postgres.url("sqs"), postgres.url("copy_rows"), count)


@contextmanager
def _sqs() -> Iterator[str]:
    """Run a server of SQS and yield the URL of a queue."""
    import boto3

    os.environ |= {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-c", _SQS_SERVER, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        client = boto3.client("sqs", endpoint_url=f"http://127.0.0.1:{port}")
        yield client.create_queue(QueueName="events")["QueueUrl"]
    finally:
        server.kill()
        server.wait()


async def _memory(postgres: Postgres, valkey: Valkey, count: int, **fields: Any) -> float:
    """Return the most memory, in MB, that an ingestion of such a backlog takes."""
    async with _database(postgres, "memory", valkey) as services:
        await _load(services.redis, count, **fields)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _MEASURED, "ingest"),
            stdout=asyncio.subprocess.PIPE,
            env={
                "PATH": os.environ["PATH"],
                "TAILRACE_DATABASE_URL": services.settings.database_url.get_secret_value(),
                "TAILRACE_REDIS_URL": services.settings.redis_url.get_secret_value(),
                "TAILRACE_SECRET_KEY": services.settings.secret_key.get_secret_value(),
                "TAILRACE_REDIS_TIMEOUT": "10",
            },
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        assert await services.queue.depth() == 0
        async with services.pool.connection() as connection:
            row = await (await connection.execute("SELECT count(*) FROM inference_log")).fetchone()
        assert row is not None
        assert row["count"] == count
    return int(output.split()[-1]) / 1024


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure ingestion beside COPY.")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sqs-events", type=int, default=2_000)
    parser.add_argument("--backlog", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, default=2_000, help="events of 240 KB")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as folder:
        postgres = Postgres(Path(folder) / "postgres")
        valkey = Valkey(Path(folder) / "valkey", durable=False)
        postgres.start()
        valkey.start()
        try:
            if arguments.events:
                _print_rounds(
                    [
                        await _round(postgres, valkey, arguments.events)
                        for _ in range(arguments.rounds)
                    ],
                    arguments.events,
                )
            if arguments.sqs_events:
                with _sqs() as url:
                    taken, copied = await _sqs_round(postgres, valkey, url, arguments.sqs_events)
                _print_sqs(taken, copied, arguments.sqs_events)
            print("\n| backlog | memory of the ingestion, at most |\n|---|---:|")
            for label, count, fields in (
                ("events", arguments.backlog, {}),
                # As large as an event may be.
                (
                    "events of 240 KB",
                    arguments.large,
                    {"input_preview": _TEXT, "output_preview": _TEXT, "error_message": _TEXT},
                ),
            ):
                if count:
                    most = await _memory(postgres, valkey, count, **fields)
                    print(f"| {count:,} {label} | {most:,.0f} MB |")
        finally:
            valkey.stop()
            postgres.stop()


def _print_rounds(rounds: list[dict[str, float]], count: int) -> None:
    print(f"{count:,} events, median of {len(rounds)} rounds\n")
    print("| | events/s | ingestion is of it |")
    print("|---|---:|---:|")
    for side, label in _SIDES.items():
        rate = statistics.median(count / seconds[side] for seconds in rounds)
        share = statistics.median(seconds[side] / seconds["ingestion"] for seconds in rounds)
        print(f"| {label} | {rate:,.0f} | {share:.2f} |")


def _print_sqs(taken: _Taken, copied: float, count: int) -> None:
    print(f"\n{count:,} events over an emulated SQS\n")
    print("| | events/s | of plain COPY, rows from Python |")
    print("|---|---:|---:|")
    for label, seconds in (
        ("ingestion, from SQS to the table", taken.seconds),
        ("the same, by our process's processor time", taken.processor),
    ):
        print(f"| {label} | {count / seconds:,.0f} | {copied / seconds:.3f} |")


if __name__ == "__main__":
    asyncio.run(main())
