"""Servers that the chaos tests break, and a fresh world over them for each schedule."""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
import redis
from pydantic import SecretStr

from localstack.embedded.postgres import Postgres
from localstack.embedded.valkey import Valkey
from tailrace.db.migrate import migrate
from tailrace.ids import uuid7
from tailrace.settings import ProviderSettings, Settings
from tests.acceptance.chaos.world import MANY_DELIVERIES, World
from tests.support.sqs import Sqs, serve_sqs

_TEMPLATE = "chaos_template"

#: Whether to try everything, as `make chaos` does.
EVERYTHING = "CHAOS_SCHEDULES" in os.environ

MakeWorld = Callable[..., AbstractAsyncContextManager[World]]


def tried(*values: Any, here: Sequence[Any] = ()) -> Sequence[Any]:
    """Return what a test is tried with: all values, or those that `make test` has time for."""
    return values if EVERYTHING else here or values[:1]


@pytest.fixture(scope="session")
async def breakable_postgres(server_folder: Path) -> AsyncIterator[Postgres]:
    """A PostgreSQL for these tests alone."""
    server = Postgres(server_folder / "chaos-postgres", durable=False)
    server.start()
    server.create_database(_TEMPLATE)
    await migrate(server.url(_TEMPLATE))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def breakable_valkey(server_folder: Path) -> Iterator[Valkey]:
    """A Valkey for these tests alone, which keeps its data."""
    server = Valkey(server_folder / "chaos-valkey")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sqs() -> Iterator[Sqs]:
    """A server of SQS."""
    with serve_sqs() as server:
        yield server


@pytest.fixture(scope="session")
def make_world(breakable_postgres: Postgres, breakable_valkey: Valkey) -> MakeWorld:
    """Make worlds over a database of their own, one after the other."""
    numbers = count(1)

    @asynccontextmanager
    async def make(**settings: Any) -> AsyncIterator[World]:
        name = f"chaos_{next(numbers)}"
        breakable_postgres.create_database(name, template=_TEMPLATE)
        owners = [uuid7() for _ in range(3)]
        with psycopg.connect(breakable_postgres.url(name)) as connection:
            for number, owner in enumerate(owners[:2]):
                connection.execute(
                    "INSERT INTO users (id, email, role) VALUES (%s, %s, 'user')",
                    (owner, f"user-{number}@example.org"),
                )
        with redis.Redis.from_url(breakable_valkey.url) as client:
            client.flushall()
            client.config_set("appendfsync", "always")
        defaults = Settings(
            database_url=SecretStr(breakable_postgres.url(name)),
            redis_url=SecretStr(breakable_valkey.url),
            secret_key=SecretStr("a secret key that only tests use"),
            secure_cookies=False,
            providers=(ProviderSettings(name="scripted", kind="scripted"),),
            default_model="scripted/echo",
            # Those who wait for a server that is down need not do so for long...
            database_timeout=2.0,
            # ... and a server that writes everything at once, on a busy machine, may take a while.
            redis_timeout=2.0,
            queue_max_deliveries=MANY_DELIVERIES,
        )
        with TemporaryDirectory(prefix="tailrace-chaos-") as folder:
            world = World(
                breakable_postgres,
                breakable_valkey,
                defaults.model_copy(update=settings),
                owners,
                Path(folder),
            )
            try:
                yield world
            finally:
                world.end()
                world.start_valkey()
                world.start_postgres()
        breakable_postgres.drop_database(name)

    return make
