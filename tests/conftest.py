"""Fixtures every test may use: real servers started once, fresh data for each test.

The servers are the ones behind ``make up`` (`localstack.embedded`). A test that breaks a server
takes a private one, so that no other test feels it.
"""

import asyncio
import io
import itertools
import os
import platform
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import SecretStr
from xdist.scheduler import LoadScopeScheduling

from localstack.embedded.postgres import Postgres
from localstack.embedded.valkey import Valkey
from tailrace.db.migrate import migrate
from tailrace.runs import engine
from tailrace.services import Services
from tailrace.settings import ProviderSettings, Settings
from tailrace.telemetry import capture
from tests.support.model_server import ModelServer
from tests.support.patience import PATIENT

_PACKAGES = ("aiohttp", "fastapi", "msgspec", "psycopg", "pydantic", "redis", "starlette")
_TEMPLATE = "tailrace_template"

_names = (f"test_{number}" for number in itertools.count(1))


def pytest_report_header() -> list[str]:
    """Name the versions that a failure may hang on."""
    servers = f"PostgreSQL {Postgres.version()}, Valkey {Valkey.version()}"
    return [
        f"servers: {servers}, Python {platform.python_version()}",
        "packages: " + ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
    ]


class _ByFile(LoadScopeScheduling):
    """Gives each process whole files, and one of them all that builds functions."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return "functions" if file.startswith("tests/acceptance/aws/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Deal the tests out to the processes of ``--numprocesses``."""
    return _ByFile(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell what each task waited for when a test took too long."""
    report = yield
    loop = item.config.stash.get(_loop, None)
    if call.excinfo is not None and "Timeout (>" in str(call.excinfo.value) and loop is not None:
        stacks = io.StringIO()
        for task in asyncio.all_tasks(loop):
            task.print_stack(file=stacks)
        report.sections.append(("Tasks", stacks.getvalue()))
    return report


_loop = pytest.StashKey[asyncio.AbstractEventLoop]()


@pytest.fixture(scope="session", autouse=True)
async def _known_loop(pytestconfig: pytest.Config) -> None:
    """Keep the tests' event loop where a report finds it."""
    pytestconfig.stash[_loop] = asyncio.get_running_loop()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what tests recorded as ``measured``, whichever process ran them."""
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in report.user_properties:
            if name == "measured":
                terminalreporter.write_line(value)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Hide the developer's own TAILRACE_* variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("TAILRACE_")]:
            patch.delenv(name)
        # A server that a busy machine makes wait is not down.
        for name, seconds in PATIENT.items():
            patch.setenv(name, seconds)
        patch.setattr(capture, "_PATIENCE", 30.0)
        patch.setattr(engine, "_TITLE_PATIENCE", 60.0)
        yield


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Data of the session's servers; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="tailrace-tests-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[Postgres]:
    """The session's PostgreSQL; tests share it and must not stop it."""
    server = Postgres(server_folder / "postgres", durable=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey(server_folder: Path) -> Iterator[Valkey]:
    """The session's Valkey; tests share it and must not stop it."""
    server = Valkey(server_folder / "valkey", durable=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_url(postgres: Postgres) -> str:
    """URL of the administrative database, for tests that make databases of their own."""
    return postgres.url("postgres")


@pytest.fixture(scope="session")
async def migrated_template(postgres: Postgres) -> str:
    """Name of a migrated database that nobody connects to; copying it beats migrating again."""
    postgres.create_database(_TEMPLATE)
    await migrate(postgres.url(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture
def empty_database_url(postgres: Postgres) -> Iterator[str]:
    """URL of a fresh database without any schema."""
    with _database(postgres, "template1") as url:
        yield url


@pytest.fixture
def database_url(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    """URL of a fresh migrated database, for this test alone."""
    with _database(postgres, migrated_template) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    """URL of a fresh migrated database that the tests of one module share."""
    with _database(postgres, migrated_template) as url:
        yield url


@pytest.fixture
def valkey_url(valkey: Valkey) -> str:
    """URL of the session's Valkey, emptied for this test."""
    return _emptied(valkey)


@pytest.fixture(scope="module")
def module_valkey_url(valkey: Valkey) -> str:
    """URL of the session's Valkey, emptied for the tests of one module."""
    return _emptied(valkey)


def _emptied(valkey: Valkey) -> str:
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    return valkey.url


@pytest.fixture
def settings(database_url: str, valkey_url: str) -> Settings:
    """Settings over fresh data, with the scripted provider."""
    return Settings(
        database_url=SecretStr(database_url),
        redis_url=SecretStr(valkey_url),
        secret_key=SecretStr("a secret key that only tests use"),
        secure_cookies=False,
        providers=(ProviderSettings(name="scripted", kind="scripted"),),
        default_model="scripted/echo",
    )


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    """Opened services over `settings`."""
    opened = Services(settings)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def private_postgres(tmp_path: Path) -> Iterator[Postgres]:
    """A running PostgreSQL of this test's own, to stop, kill and start; URLs stay the same."""
    server = Postgres(tmp_path / "postgres", durable=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def private_database_url(private_postgres: Postgres) -> str:
    """URL of a migrated database in `private_postgres`."""
    private_postgres.create_database("tailrace")
    url = private_postgres.url("tailrace")
    await migrate(url)
    return url


@pytest.fixture
def private_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A running Valkey of this test's own, to stop, kill, wipe and start; the URL stays the same.

    It keeps its data over a stop, as a managed server with persistence does; `wipe` loses it.
    """
    server = Valkey(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@contextmanager
def _database(postgres: Postgres, template: str) -> Iterator[str]:
    name = next(_names)
    postgres.create_database(name, template=template)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
async def model_server() -> AsyncIterator[ModelServer]:
    """A running server that speaks a model API as the test scripts it."""
    server = ModelServer()
    await server.start()
    yield server
    await server.stop()
