"""The whole site on a loopback port, over the real servers."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from tailrace.http.site import create_app
from tailrace.services import Services
from tailrace.settings import ModelSettings, ProviderSettings, Settings
from tests.support.chat_client import ChatClient
from tests.support.model_server import ModelServer
from tests.support.serving import serve
from tests.support.sqs import Sqs, serve_sqs


@pytest.fixture
def settings(settings: Settings, model_server: ModelServer, tmp_path: Path) -> Settings:
    """Add a provider whose bytes the test decides, as the default, and a folder for files."""
    scripted = settings.providers[0]
    local = ProviderSettings(
        name="local",
        kind="openai_compatible",
        base_url=model_server.base_url,
        models=(ModelSettings(name="m", context_window=100_000, capabilities=frozenset()),),
    )
    return settings.model_copy(
        update={
            "providers": (local, scripted),
            "default_model": "local/m",
            "attachments_url": (tmp_path / "attachments").as_uri(),
        }
    )


@asynccontextmanager
async def site(settings: Settings, web_root: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a site of its own and yield a client of it."""
    async with (
        serve(create_app(Services(settings), web_root)) as base_url,
        httpx.AsyncClient(base_url=base_url, timeout=120) as client,
    ):
        yield client


@pytest.fixture
def web_root(tmp_path: Path) -> Path:
    """A page, for tests that are not about it."""
    (tmp_path / "index.html").write_text("<!doctype html><title>Tailrace</title>")
    return tmp_path


@pytest.fixture
async def http(settings: Settings, web_root: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the site."""
    async with site(settings, web_root) as client:
        yield client


@pytest.fixture
async def user(http: httpx.AsyncClient) -> ChatClient:
    """A signed-in user's client."""
    client = ChatClient(http)
    await client.register()
    return client


@pytest.fixture
def guest(http: httpx.AsyncClient) -> ChatClient:
    """A guest's client."""
    return ChatClient(http)


@pytest.fixture(scope="session")
def sqs() -> Iterator[Sqs]:
    """A server of SQS."""
    with serve_sqs() as server:
        yield server


class Database:
    """Looks into the database behind the site."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def rows(self, query: str, *params: Any) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        connection = await psycopg.AsyncConnection.connect(self._url, row_factory=dict_row)
        async with connection:
            return await (await connection.execute(query.encode(), params)).fetchall()

    async def value(self, query: str, *params: Any) -> Any:
        """Return the one value of a query."""
        return next(iter((await self.rows(query, *params))[0].values()))


@pytest.fixture
def database(settings: Settings) -> Database:
    return Database(settings.database_url.get_secret_value())


@pytest.fixture
async def other(http: httpx.AsyncClient) -> AsyncIterator[ChatClient]:
    """Another user."""
    async with httpx.AsyncClient(base_url=http.base_url, timeout=120) as client:
        other = ChatClient(client)
        await other.register("eve@example.org")
        yield other
