"""Maintenance killed by SIGKILL, wherever it is: the next one goes on, and nothing is lost."""

import asyncio
import os
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tailrace.maintenance import maintain
from tailrace.services import Services
from tests.support.events import rows, value

COUNT = 3000
_MAINTAIN = """
import asyncio, sys
from tailrace.maintenance import partitions, retention
from tailrace.maintenance.archive import parquet
from tailrace.services import Services
from tailrace.settings import Settings

parquet.ROWS = 100

async def main():
    services = Services(Settings.load())
    await services.open()
    print("begun", flush=True)
    await partitions.sweep(services.pool, 7, piece=200)
    await retention.apply_retention(services)
    await services.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(3))
async def test_killed_again_and_again_it_gets_done(
    services: Services, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    now = datetime.now(UTC)
    await rows(
        services,
        "INSERT INTO inference_log (id, started_at, kind, status, operation_name, provider_name,"
        " request_model, duration, input_preview)"
        " SELECT gen_random_uuid(), %s - n * interval '4 minutes', 'chat', 'ok', 'chat', 'p', 'm',"
        " 1, 'x' FROM generate_series(1, %s) AS n RETURNING 1",
        now,
        COUNT,
    )
    settings = services.settings
    kept = {
        "events_kept_for": 4 * 86_400.0,
        "previews_kept_for": 2 * 86_400.0,
        "archive_url": (tmp_path / "archives").as_uri(),
    }
    settings.__dict__.update(kept)
    environment = os.environ | {
        "TAILRACE_DATABASE_URL": settings.database_url.get_secret_value(),
        "TAILRACE_REDIS_URL": settings.redis_url.get_secret_value(),
        "TAILRACE_SECRET_KEY": settings.secret_key.get_secret_value(),
        **{f"TAILRACE_{name.upper()}": str(value) for name, value in kept.items()},
    }
    for _ in range(5):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _MAINTAIN, env=environment, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"begun\n"
        try:
            await asyncio.wait_for(process.wait(), chance.uniform(0.05, 0.8))
        except TimeoutError:
            process.kill()
            await process.wait()

    cutoff = (now - timedelta(days=4)).replace(hour=0, minute=0, second=0, microsecond=0)
    async with asyncio.timeout(300):
        # A killed process holds its locks until PostgreSQL has noticed.
        while await value(services, "SELECT min(started_at) FROM inference_log") < cutoff:
            await maintain(services)
    await maintain(services)

    in_log = {str(row["id"]) for row in await rows(services, "SELECT id FROM inference_log")}
    archived: list[str] = []
    for file in (tmp_path / "archives").rglob("*.parquet"):
        archived += pq.ParquetFile(file).read(columns=["id"])["id"].to_pylist()
    assert len(archived) == len(set(archived))
    assert len(in_log | set(archived)) == len(in_log) + len(archived) == COUNT
    assert await value(services, "SELECT sum(calls) FROM total_usage") == COUNT
    old = "SELECT count(*) FROM inference_log WHERE input_preview = 'x' AND started_at < %s"
    assert await value(services, old, now - timedelta(days=2)) == 0
    assert list((tmp_path / "archives").rglob("*.part")) == []
