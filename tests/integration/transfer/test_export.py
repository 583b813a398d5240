"""Exports: what they hold, for whom, and how little memory they take."""

import asyncio
import io
import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from psycopg.types.json import Jsonb

from tailrace.auth import sessions
from tailrace.auth.identity import SESSION_COOKIE
from tailrace.db.pool import connect
from tailrace.http import chat
from tailrace.ids import uuid7
from tailrace.problems import Problem
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.transfer import export
from tailrace.transfer.archive import archive
from tailrace_runtime.asgi import StreamingHandler
from tests.integration.conftest import Database, site
from tests.support.chat_client import ChatClient

EVENTS = Path(__file__).parents[2] / "events"

NOBODYS = "00000000-0000-4000-8000-000000000000"


async def _say(user: ChatClient, conversation_id: UUID, text: str, **body: Any) -> str:
    return await user.say(conversation_id, text, model="scripted/echo", **body)


def _opened(content: bytes) -> zipfile.ZipFile:
    packed = zipfile.ZipFile(io.BytesIO(content))
    assert packed.testzip() is None
    return packed


async def _fill(services: Services, conversations: int, messages: int, size: int) -> UUID:
    """Give a new owner conversations whose text does not compress."""
    owner_id = uuid7()
    parts = "jsonb_build_array(jsonb_build_object('type', 'text', 'text', " + (
        "(SELECT string_agg(md5(random()::text || made.id || n || k), '')"
        f" FROM generate_series(1, {size // 32}) AS k)))"
    )
    async with connect(services.pool) as connection:
        await connection.execute(
            "INSERT INTO users (id, email, role) VALUES (%s, %s, 'user')",
            (owner_id, f"{owner_id}@example.org"),
        )
        await connection.execute(
            f"""
            WITH made AS (
                INSERT INTO conversations (id, owner_id, title, title_source, model)
                SELECT unnest(%(ids)s::uuid[]), %(owner_id)s, 'Title', 'user', 'm'
                RETURNING id
            )
            INSERT INTO messages (id, conversation_id, sequence, role, status, parts)
            SELECT gen_random_uuid(), made.id, n, 'user', 'complete', {parts}
            FROM made CROSS JOIN generate_series(1, %(messages)s) AS n
            """.encode(),
            {
                "ids": [uuid7() for _ in range(conversations)],
                "owner_id": owner_id,
                "messages": messages,
            },
        )
    return owner_id


async def test_a_conversation_is_exported_whole_as_json(user: ChatClient) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "First")
    await _say(user, conversation_id, "Edited", parent_id=None)
    await user.http.patch(
        f"/api/conversations/{conversation_id}", json={"tags": ["a"], "system_prompt": "Be brief."}
    )

    response = await user.http.get(f"/api/conversations/{conversation_id}/export")
    exported = response.json()

    assert response.headers["content-disposition"].startswith('attachment; filename="tailrace-')
    assert response.headers["cache-control"] == "private, no-store"
    assert exported["format"] == "tailrace.conversation/1"
    assert (exported["tags"], exported["system_prompt"]) == (["a"], "Be brief.")
    messages = exported["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2
    assert [message["parent_id"] for message in messages] == [
        None, messages[0]["id"], None, messages[2]["id"],
    ]  # fmt: skip
    assert exported["active_leaf_id"] == messages[3]["id"]
    assert messages[2]["parts"] == [{"type": "text", "text": "Edited"}]


async def test_as_markdown_it_is_its_active_branch(user: ChatClient, database: Database) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "First")
    await _say(user, conversation_id, "Edited", parent_id=None)
    await database.rows(
        "UPDATE messages SET parts = %s WHERE role = 'assistant' RETURNING id",
        json.dumps([
            {"type": "reasoning", "text": "Hm\n\nso", "providerMetadata": {"p": {"s": "x"}}},
            {"type": "text", "text": "# Answer"},
            {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,SECRETBYTES"},
        ]),
    )  # fmt: skip
    await user.http.patch(f"/api/conversations/{conversation_id}", json={"title": "A title"})

    response = await user.http.get(f"/api/conversations/{conversation_id}/export?format=markdown")

    assert response.headers["content-type"].startswith("text/markdown")
    lines = [line for line in response.text.splitlines() if line]
    assert lines[0] == "# A title"
    assert lines[1].endswith("UTC · scripted/echo")
    assert lines[2:] == [
        "## User", "Edited", "## Assistant (scripted/echo)", "> Hm", ">", "> so", "# Answer",
        "[File: image/png]",
    ]  # fmt: skip


async def test_an_account_is_exported_as_a_zip(user: ChatClient, http: httpx.AsyncClient) -> None:
    ids = [uuid4() for _ in range(3)]
    for id in ids:
        await _say(user, id, f"Hello / {id}")
    await user.http.delete(f"/api/conversations/{ids[1]}")
    async with httpx.AsyncClient(base_url=http.base_url) as other_http:
        other = ChatClient(other_http)
        await other.register("eve@example.org")
        await _say(other, uuid4(), "Mine")

    response = await user.http.get("/api/export")
    packed = _opened(response.content)

    assert response.headers["content-type"] == "application/zip"
    assert "link" not in response.headers
    names = packed.namelist()
    assert names[0] == "conversations.json"
    assert len(names) == 3
    assert all(name.startswith("markdown/20") and name.endswith(".md") for name in names[1:])
    assert all(name.count("/") == 1 for name in names[1:])
    conversations = json.loads(packed.read("conversations.json"))
    assert sorted(found["id"] for found in conversations) == sorted(map(str, (ids[0], ids[2])))
    for found in conversations:
        alone = await user.http.get(f"/api/conversations/{found['id']}/export")
        assert alone.json() == found
        markdown = await user.http.get(f"/api/conversations/{found['id']}/export?format=markdown")
        assert markdown.content in [packed.read(name) for name in names[1:]]


async def test_an_account_without_conversations_is_exported_as_well(user: ChatClient) -> None:
    packed = _opened((await user.http.get("/api/export")).content)

    assert packed.namelist() == ["conversations.json"]
    assert json.loads(packed.read("conversations.json")) == []


async def test_an_export_that_is_large_comes_in_volumes(settings: Settings, web_root: Any) -> None:
    small = settings.model_copy(update={"export_volume_bytes": 1500})
    async with site(small, web_root) as http:
        user = ChatClient(http)
        await user.register()
        ids = [uuid4() for _ in range(7)]
        for id in ids:
            await _say(user, id, f"{id}" * 20)

        found, sizes, path = [], [], "/api/export"
        while path:
            response = await user.http.get(path)
            volume = json.loads(_opened(response.content).read("conversations.json"))
            found += [conversation["id"] for conversation in volume]
            sizes.append(len(volume))
            path = response.links.get("next", {}).get("url")

    assert len(sizes) > 1
    assert all(sizes)
    assert sorted(found) == sorted(map(str, ids))


async def test_memory_does_not_grow_with_the_account(services: Services) -> None:
    """Sixteen times the account, and no more memory than a few of its rows."""
    peaks = []
    for conversations in (10, 160):
        owner_id = await _fill(services, conversations, messages=10, size=32_000)
        volume = await export.plan(services.pool, owner_id, None, 1 << 30)
        tracemalloc.start()
        length = 0
        async for piece in archive(services.pool, services.files, owner_id, volume):
            length += len(piece)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert length > conversations * 10 * 16_000

    assert peaks[1] < peaks[0] + 1_000_000


async def test_one_export_of_an_account_at_a_time(services: Services) -> None:
    owner_id = await _fill(services, conversations=3, messages=10, size=64_000)
    other_id = await _fill(services, conversations=1, messages=1, size=32)
    volume = await export.plan(services.pool, owner_id, None, 1 << 30)
    first = archive(services.pool, services.files, owner_id, volume)
    begun = await anext(first)

    with pytest.raises(Problem) as refused:
        await anext(archive(services.pool, services.files, owner_id, volume))
    assert refused.value.status == 409
    assert await anext(archive(services.pool, services.files, other_id, volume))

    rest = b"".join([piece async for piece in first])
    _opened(begun + rest)
    # The connection is back, and so is the lock.
    again = archive(services.pool, services.files, owner_id, volume)
    assert await anext(again)
    await again.aclose()


async def test_an_export_is_of_one_moment(services: Services) -> None:
    owner_id = await _fill(services, conversations=5, messages=10, size=64_000)
    volume = await export.plan(services.pool, owner_id, None, 1 << 30)
    pieces = archive(services.pool, services.files, owner_id, volume)
    begun = await anext(pieces)
    async with connect(services.pool) as connection:
        await connection.execute(
            "UPDATE messages SET parts = %s", (Jsonb([{"type": "text", "text": "changed"}]),)
        )
        await connection.execute("UPDATE conversations SET deleted_at = now()")

    packed = _opened(begun + b"".join([piece async for piece in pieces]))

    assert b"changed" not in packed.read("conversations.json")
    assert len(packed.namelist()) == 6


async def test_who_goes_away_gives_the_connection_back(
    settings: Settings, web_root: Any, services: Services
) -> None:
    narrow = settings.model_copy(update={"database_pool_size": 1})
    async with site(narrow, web_root) as http:
        user = ChatClient(http)
        me = await user.register()
        filled = await _fill(services, conversations=40, messages=10, size=64_000)
        async with connect(services.pool) as connection:
            await connection.execute(
                "UPDATE conversations SET owner_id = %s WHERE owner_id = %s", (me["id"], filled)
            )
        for _ in range(3):
            async with http.stream("GET", "/api/export") as response:
                assert response.status_code == 200
                await anext(response.aiter_raw())
        async with asyncio.timeout(120):
            assert (await http.get("/api/conversations")).status_code == 200


async def test_the_streaming_function_sends_an_export_as_it_is_made(
    services: Services, settings: Settings
) -> None:
    """As on AWS: the chat function, behind a function URL that streams."""

    class Response:
        started = False

        async def start(self, status: int, headers: Any) -> None:
            self.started = True
            self.status, self.headers = status, dict(headers)
            self.pieces: list[bytes] = []

        async def write(self, data: bytes) -> None:
            self.pieces.append(data)

    owner_id = await _fill(services, conversations=10, messages=10, size=64_000)
    secret = await sessions.create(services.pool, owner_id, 3600)
    event = json.loads((EVENTS / "function_url_get.json").read_bytes())
    event |= {"rawPath": "/api/export", "cookies": [f"{SESSION_COOKIE}={secret}"]}
    response = Response()
    own = Services(settings)
    await own.open()
    await StreamingHandler(chat.create_app(own, lifespan=False)).stream(event, None, response)
    await own.close()

    assert response.status == 200
    assert response.headers[b"content-type"] == b"application/zip"
    assert len(response.pieces) > 20
    packed = _opened(b"".join(response.pieces))
    assert len(json.loads(packed.read("conversations.json"))) == 10


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/export?after=x", 422),
        (f"/api/conversations/{NOBODYS}/export", 404),
        (f"/api/conversations/{NOBODYS}/export?format=markdown", 404),
        ("/api/conversations/x/export", 404),
        (f"/api/conversations/{NOBODYS}/export?format=pdf", 422),
    ],
)
async def test_what_cannot_be_exported_is_a_problem(
    user: ChatClient, path: str, status: int
) -> None:
    response = await user.http.get(path)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


async def test_deleted_and_foreign_conversations_are_not_exported(
    user: ChatClient, http: httpx.AsyncClient
) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "Mine")
    path = f"/api/conversations/{conversation_id}/export"
    async with httpx.AsyncClient(base_url=http.base_url) as other_http:
        await ChatClient(other_http).register("eve@example.org")
        assert (await other_http.get(path)).status_code == 404
    await user.http.delete(f"/api/conversations/{conversation_id}")
    assert (await user.http.get(path)).status_code == 404
