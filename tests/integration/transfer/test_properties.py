"""Properties: what goes out comes back the same, and nothing that comes in does harm."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from tailrace.http.site import create_app
from tailrace.services import Services
from tailrace.settings import ProviderSettings, Settings
from tests.integration.conftest import Database
from tests.integration.transfer.test_import import sample
from tests.support.chat_client import ChatClient
from tests.support.serving import serve

TEXT = st.text(max_size=60).filter(lambda text: "\0" not in text)
NAMES = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Any]:
    """A conversation as it is exported: any tree of any messages."""
    count = draw(st.integers(1, 12))
    messages: list[dict[str, Any]] = []
    for number in range(count):
        role = draw(st.sampled_from(["user", "assistant"]))
        kinds = ["text", "reasoning"] if role == "assistant" else ["text"]
        parts: list[dict[str, Any]] = [
            {"type": draw(st.sampled_from(kinds)), "text": draw(TEXT)}
            for _ in range(draw(st.integers(0, 3)))
        ]
        if role == "user" and draw(st.booleans()):
            parts.append({"type": "file", "mediaType": "text/plain", "filename": "a.txt",
                          "url": "data:text/plain;base64,SGk="})  # fmt: skip
        if role == "assistant" and parts and draw(st.booleans()):
            parts[0]["providerMetadata"] = {"p": {"signature": draw(TEXT)}}
        above = draw(st.none() | st.sampled_from(messages)) if messages else None
        messages.append(
            {
                "id": f"m{number}",
                "parent_id": above and above["id"],
                "role": role,
                "status": draw(st.sampled_from(["complete", "cancelled", "interrupted"])),
                "created_at": f"2026-01-01T00:00:{number:02}+00:00",
                "parts": parts,
                "metadata": draw(st.sampled_from([{}, {"model": "m", "duration": 0.25}])),
            }
        )
    parents = {message["parent_id"] for message in messages}
    leaves = [message["id"] for message in messages if message["id"] not in parents]
    return {
        "id": draw(st.uuids().map(str)),
        "title": draw(NAMES.filter(lambda name: name.strip() == name and name)),
        "tags": draw(st.lists(st.sampled_from(["a", "b", "ü"]), unique=True)),
        "active_leaf_id": draw(st.sampled_from(leaves)),
        "messages": messages,
    }


class Account:
    """A user's client, and the database behind it."""

    def __init__(self, client: ChatClient, database: Database) -> None:
        self.client = client
        self.database = database

    async def send(self, content: Any) -> httpx.Response:
        headers = {"content-type": "application/json"}
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        return await self.client.http.post("/api/import", content=content, headers=headers)

    async def counts(self) -> tuple[int, int, int]:
        row = await self.database.rows(
            "SELECT (SELECT count(*) FROM conversations) AS conversations,"
            " (SELECT count(*) FROM messages) AS messages,"
            " (SELECT count(*) FROM imports) AS imports"
        )
        return row[0]["conversations"], row[0]["messages"], row[0]["imports"]


@pytest.fixture(scope="module")
async def account(
    module_database_url: str, module_valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Account]:
    """One account for many examples."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "index.html").touch()
    settings = Settings(
        database_url=SecretStr(module_database_url),
        redis_url=SecretStr(module_valkey_url),
        secret_key=SecretStr("a secret key that only tests use"),
        secure_cookies=False,
        request_rate="1000000/second",
        address_rate="1000000/second",
        providers=(ProviderSettings(name="scripted", kind="scripted"),),
        default_model="scripted/echo",
    )
    async with (
        serve(create_app(Services(settings), folder)) as base_url,
        httpx.AsyncClient(base_url=base_url, timeout=120) as http,
    ):
        client = ChatClient(http)
        await client.register()
        yield Account(client, Database(module_database_url))


def _shape(conversation: dict[str, Any]) -> dict[str, Any]:
    """Return a conversation with places for ids: what has to be the same in every copy."""
    messages = conversation["messages"]
    places: dict[str | None, int | None] = {
        message["id"]: place for place, message in enumerate(messages)
    }
    places[None] = None
    return {
        "title": conversation["title"],
        "tags": conversation["tags"],
        "active": places[conversation["active_leaf_id"]],
        "messages": [
            {**message, "id": places[message["id"]], "parent_id": places[message["parent_id"]]}
            for message in messages
        ],
    }


#: Examples share an account, on purpose.
SHARED = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
async def runner(account: Account) -> Any:
    """Run examples, which hypothesis calls without a loop, on the tests' loop."""
    loop = asyncio.get_running_loop()

    async def run(test: Any) -> None:
        def wait(work: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(work, loop).result(60)

        await asyncio.to_thread(test, wait)

    return run


async def test_what_is_exported_comes_back_the_same(account: Account, runner: Any) -> None:
    async def there_and_back(tree: dict[str, Any]) -> None:
        report = (await account.send(tree)).json()
        if not report["imported"]:
            return
        path = f"/api/conversations/{report['items'][0]['id']}"
        first = (await account.client.http.get(f"{path}/export")).json()
        assert _shape(first) == _shape(tree)
        await account.client.http.delete(path)
        report = (await account.send(first)).json()
        path = f"/api/conversations/{report['items'][0]['id']}"
        second = (await account.client.http.get(f"{path}/export")).json()
        assert _shape(second) == _shape(first)

    def test(wait: Any) -> None:
        @SHARED
        @given(tree=trees())
        def each(tree: dict[str, Any]) -> None:
            wait(there_and_back(tree))

        each()

    await runner(test)


def _damaged(draw: st.DrawFn, value: Any) -> Any:
    """Return a sample with some of it replaced by anything."""
    if draw(st.integers(0, 24)) == 0:
        return draw(JSON)
    if isinstance(value, dict):
        return {key: _damaged(draw, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_damaged(draw, item) for item in value]
    return value


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """An export that something happened to."""
    return _damaged(draw, sample(draw(st.sampled_from(["chatgpt", "claude", "tailrace"]))))


def _holds_whole_conversations(account: Account) -> Any:
    return account.database.value(
        "SELECT count(*) FROM conversations WHERE deleted_at IS NULL AND ("
        " last_sequence <> (SELECT count(*) FROM messages WHERE conversation_id = conversations.id)"
        " OR active_leaf_id IS NULL"
        " OR NOT EXISTS (SELECT FROM imports WHERE conversation_id = conversations.id))"
    )


async def test_nothing_that_is_imported_does_harm(account: Account, runner: Any) -> None:
    async def harmless(content: Any) -> None:
        before = await account.counts()
        response = await account.send(content)
        after = await account.counts()
        assert response.status_code < 500, response.text
        report = response.json()
        if response.status_code != 200:
            assert response.headers["content-type"] == "application/problem+json"
            assert before == after
            return
        assert after[0] - before[0] == report["imported"] == len(report["items"])
        assert after[1] - before[1] == report["messages"]
        assert report["imported"] + len(report["skipped"]) == report["found"]
        assert await _holds_whole_conversations(account) == 0
        for item in report["items"]:
            path = f"/api/conversations/{item['id']}"
            for route in (path, f"{path}/export", f"{path}/export?format=markdown"):
                assert (await account.client.http.get(route)).status_code == 200
            share = await account.client.http.post(f"{path}/shares", json={})
            shown = await account.client.http.get(f"/api/shared/{share.json()['token']}")
            assert shown.status_code == 200
        again = (await account.send(content)).json()
        assert again["imported"] == 0
        assert await account.counts() == after

    def test(wait: Any) -> None:
        @SHARED
        @given(content=damaged() | JSON | st.lists(damaged() | JSON, max_size=3) | st.binary())
        def each(content: Any) -> None:
            wait(harmless(content))

        each()

    await runner(test)
