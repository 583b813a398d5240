"""What a guest said, taken over at sign-in: once, whole, and by nobody else."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tailrace.auth import sessions, users
from tailrace.auth.identity import SESSION_COOKIE
from tailrace.services import Services
from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient

PATH = "/api/guests/import"


def _said(role: str, text: str, **more: Any) -> dict[str, Any]:
    return {"id": str(uuid4()), "role": role, "parts": [{"type": "text", "text": text}], **more}


def _conversation(*texts: str, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [_said(roles[number % 2], text) for number, text in enumerate(texts)]
    return {"id": str(uuid4()), "messages": messages, **more}


async def _import(client: ChatClient, *conversations: dict[str, Any]) -> dict[str, Any]:
    response = await client.http.post(PATH, json={"conversations": conversations})
    assert response.status_code == 200, response.text
    return response.json()


def _texts(conversation: dict[str, Any]) -> list[str]:
    return ["".join(part["text"] for part in m["parts"]) for m in conversation["messages"]]


async def test_a_guests_conversation_goes_on_in_the_account(
    http: httpx.AsyncClient, guest: ChatClient
) -> None:
    conversation_id, question = uuid4(), str(uuid4())
    async with guest.chat(
        "Hi", conversation_id=conversation_id, message_id=question, guest=True
    ) as stream:
        await stream.rest()
    parts = [frame.part for frame in stream.frames if "messageMetadata" in frame.part]
    start, end = stream.frames[0].part, parts[-1]
    answer = {
        "id": start["messageId"],
        "role": "assistant",
        "parts": [{"type": "step-start"}, {"type": "text", "text": stream.text, "state": "done"}],
        "metadata": {**end["messageMetadata"], "status": "complete"},
    }
    asked = {"id": question, "role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    kept = {
        "id": str(conversation_id),
        "title": "Greetings",
        "model": "local/m",
        "messages": [asked, answer],
        "created_at": "2026-01-02T03:04:05.678Z",
        "updated_at": "2026-01-03T03:04:05.678Z",
    }
    await guest.register()

    report = await _import(guest, kept)

    assert report == {
        "items": [{"id": kept["id"], "status": "imported", "messages": 2, "reason": None}],
        "left_out": {},
    }
    conversation = await guest.conversation(conversation_id)
    assert (conversation["title"], conversation["model"]) == ("Greetings", "local/m")
    assert conversation["updated_at"].startswith("2026-01-03")
    assert [m["id"] for m in conversation["messages"]] == [question, start["messageId"]]
    assert _texts(conversation) == ["Hi", "Hello there"]
    metadata = conversation["messages"][1]["metadata"]
    assert metadata["usage"]["output_tokens"] == 2
    assert "run_id" not in metadata, "the run was the guest's"
    async with guest.chat("And now?", conversation_id=conversation_id) as stream:
        await stream.rest()
    assert len((await guest.conversation(conversation_id))["messages"]) == 4


async def test_a_prompt_that_signing_in_interrupted_is_answered(user: ChatClient) -> None:
    kept = _conversation("Hi", "Hello", "What is the sea?")
    await _import(user, kept)
    last = kept["messages"][-1]

    async with user.chat(
        "What is the sea?", conversation_id=UUID(kept["id"]), message_id=last["id"]
    ) as stream:
        await stream.rest()

    conversation = await user.conversation(UUID(kept["id"]))
    assert _texts(conversation) == ["Hi", "Hello", "What is the sea?", "Hello there"]


async def test_the_same_import_twice_and_at_once_makes_one(
    user: ChatClient, database: Database
) -> None:
    kept = [_conversation("Hi", "Hello"), _conversation("Ho", "Hey", "Ha")]

    reports = await asyncio.gather(
        *(_import(user, *(kept if n % 2 else kept[::-1])) for n in range(6))
    )
    again = await _import(user, *kept)

    statuses = sorted(item["status"] for report in reports for item in report["items"])
    assert statuses == ["imported"] * 2 + ["unchanged"] * 10
    assert [item["status"] for item in again["items"]] == ["unchanged"] * 2
    assert await database.value("SELECT count(*) FROM messages") == 5
    for conversation in kept:
        stored = await user.conversation(UUID(conversation["id"]))
        assert _texts(stored) == _texts(conversation)


async def test_what_was_said_since_is_added(user: ChatClient) -> None:
    kept = _conversation("Hi", "Hello", "More", "Here")
    await _import(user, {**kept, "messages": kept["messages"][:2]})

    report = await _import(user, kept)

    assert report["items"][0] == {
        "id": kept["id"], "status": "updated", "messages": 2, "reason": None,
    }  # fmt: skip
    assert _texts(await user.conversation(UUID(kept["id"]))) == ["Hi", "Hello", "More", "Here"]


async def test_what_the_account_said_meanwhile_stays(user: ChatClient) -> None:
    kept = _conversation("Hi", "Hello")
    await _import(user, kept)
    async with user.chat("From the account", conversation_id=UUID(kept["id"])) as stream:
        await stream.rest()

    report = await _import(user, kept)

    assert report["items"][0]["status"] == "unchanged"
    stored = _texts(await user.conversation(UUID(kept["id"])))
    assert stored == ["Hi", "Hello", "From the account", "Hello there"]


async def test_an_id_of_somebody_else_tells_and_changes_nothing(
    http: httpx.AsyncClient, services: Services, database: Database
) -> None:
    first = ChatClient(http)
    await first.register()
    theirs, deleted = _conversation("A secret", "Kept"), _conversation("Gone", "Away")
    await _import(first, theirs)
    async with httpx.AsyncClient(base_url=http.base_url) as other:
        thief = ChatClient(other)
        await thief.register("eve@example.org")
        await _import(thief, deleted)
        assert (await other.delete(f"/api/conversations/{deleted['id']}")).status_code == 204
        mine = _conversation("Mine", "Yours")
        stolen = {**theirs, "messages": [*theirs["messages"], _said("user", "Injected")]}

        report = await _import(thief, stolen, mine, deleted)

        assert [item["status"] for item in report["items"]] == ["refused", "imported", "refused"]
        assert report["items"][0]["reason"] == report["items"][2]["reason"], "which is not told"
        assert (await other.get(f"/api/conversations/{theirs['id']}")).status_code == 404
    assert _texts(await first.conversation(UUID(theirs["id"]))) == ["A secret", "Kept"]
    assert await database.value("SELECT count(*) FROM messages") == 6


async def test_what_cannot_be_kept_is_told_and_the_rest_is(user: ChatClient) -> None:
    png = "data:image/png;base64,iVBORw0KGgo="
    file = {"type": "file", "mediaType": "image/png", "filename": "a.png", "url": png}
    messages = [
        {"id": "q", "role": "user", "parts": [
            file, {**file, "url": ""}, {**file, "url": "https://example.org/a.png"},
            {"type": "text", "text": "a\0b \ud83d c"}, {"type": "tool-x"},
        ]},
        {"id": "a", "role": "assistant", "parts": [
            {"type": "reasoning", "text": "hm", "providerMetadata": {"p": {"s": "\0\ud83d"}}},
            {"type": "text", "text": "no"}, file,
        ], "metadata": {"status": "streaming", "model": "m\0", "usage": {"input_tokens": 3}}},
        {"id": "b", "role": "assistant", "parts": [{"type": "text", "text": "x"}],
         "metadata": {"status": "error", "usage": "lies"}},
        {"id": "e", "role": "assistant", "parts": []},
    ]  # fmt: skip
    sent = {"id": str(uuid4()), "title": "\0 cut \ud83d", "model": "no/such", "messages": messages}
    empty = {"id": str(uuid4()), "messages": []}
    body = json.dumps({"conversations": [sent, empty]})
    headers = {"content-type": "application/json"}

    response = await user.http.post(PATH, content=body, headers=headers)

    assert response.status_code == 200, response.text
    report = response.json()
    assert [item["status"] for item in report["items"]] == ["imported", "refused"]
    assert report["left_out"] == {"files": 3, "parts": 1}
    stored = await user.conversation(UUID(sent["id"]))
    assert stored["model"] == "local/m"
    assert [m["status"] for m in stored["messages"]] == ["complete", "interrupted", "complete"]
    assert stored["messages"][0]["parts"][1]["text"] == "a\ufffdb \ufffd c"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ([], 422, "body"),
        ({}, 422, "conversations"),
        ({"conversations": [], "colour": 1}, 422, "body"),
        ({"conversations": [{"id": "x", "messages": []}]}, 422, "conversations.0.id"),
        ({"conversations": [{"id": str(uuid4())}]}, 422, "conversations.0.messages"),
        ({"conversations": [_conversation("a", owner_id="me")]}, 422, "conversations.0"),
        ({"conversations": [_conversation() for _ in range(101)]}, 422, "conversations"),
        (
            {"conversations": [_conversation(*["a"] * 1001)]},
            422,
            "conversations.0.messages",
        ),
        (
            {"conversations": [{"id": str(uuid4()), "messages": [_said("system", "a")]}]},
            422,
            "conversations.0.messages.0.role",
        ),
        (
            {"conversations": [{"id": str(uuid4()), "messages": [_said("user", "a", id="\n")]}]},
            422,
            "conversations.0.messages.0.id",
        ),
        (
            {"conversations": [{"id": str(uuid4()), "messages": [_said("user", "a")] * 2}]},
            422,
            "conversations.0.messages.1.id",
        ),
        ({"conversations": [_conversation("a")] * 1 and [c := _conversation("a"), c]}, 422,
         "conversations.1.id"),
    ],
)  # fmt: skip
async def test_a_body_that_is_none_is_refused_whole(
    user: ChatClient, database: Database, body: Any, status: int, field: str
) -> None:
    response = await user.http.post(PATH, json=body)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    if field != "body":
        assert response.json()["errors"][0]["field"].startswith(field)
    assert await database.value("SELECT count(*) FROM conversations") == 0


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 422),
        (b'{"conversations":' + b"[" * 100_000, "application/json", 422),
        (b"x" * (6 << 20) + b"x", "application/json", 413),
        (b"{}", "text/plain", 415),
    ],
)
async def test_bytes_that_are_no_body_are_refused(
    user: ChatClient, content: bytes, media_type: str, status: int
) -> None:
    response = await user.http.post(PATH, content=content, headers={"content-type": media_type})

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


async def test_what_a_provider_nested_too_deep_is_left_behind(user: ChatClient) -> None:
    deep: Any = "bottom"
    for _ in range(600):
        deep = {"down": deep}
    part = {"type": "text", "text": "Hello", "providerMetadata": {"p": deep}}
    kept = _conversation("Hi", "")
    kept["messages"][1]["parts"] = [part]

    await _import(user, kept)

    stored = await user.conversation(UUID(kept["id"]))
    assert stored["messages"][1]["parts"] == [{"type": "text", "text": "Hello"}]


async def test_a_guest_imports_nothing(guest: ChatClient) -> None:
    response = await guest.http.post(PATH, json={"conversations": [_conversation("a")]})

    assert response.status_code == 401


_sayings = st.lists(st.integers(0, 5), min_size=1, max_size=8, unique=True)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(branches=st.lists(_sayings, min_size=1, max_size=4))
async def test_any_imports_make_a_tree_that_holds_every_message_once(
    http: httpx.AsyncClient, services: Services, database: Database, branches: list[list[int]]
) -> None:
    email = f"{uuid4()}@example.org"
    account = await users.register(services.pool, email, "correct horse battery", is_open=True)
    secret = await sessions.create(services.pool, account["id"], 600)
    conversation_id = uuid4()
    for branch in branches:
        messages = [
            {"id": f"m{name}", "role": "user", "parts": [{"type": "text", "text": str(name)}]}
            for name in branch
        ]
        body = {"conversations": [{"id": str(conversation_id), "messages": messages}]}
        headers = {"cookie": f"{SESSION_COOKIE}={secret}"}
        response = await http.post(PATH, json=body, headers=headers)
        assert response.status_code == 200, response.text

    rows = await database.rows(
        "SELECT id, parent_id, sequence, client_message_id FROM messages"
        " WHERE conversation_id = %s ORDER BY sequence",
        conversation_id,
    )
    assert {row["client_message_id"] for row in rows} == {f"m{n}" for b in branches for n in b}
    assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
    places = {row["id"]: number for number, row in enumerate(rows)}
    assert all(row["parent_id"] is None or row["parent_id"] in places for row in rows), (
        "nobody's parent is elsewhere"
    )
    leaf = await database.value(
        "SELECT active_leaf_id FROM conversations WHERE id = %s", conversation_id
    )
    assert leaf in places
    assert leaf not in {row["parent_id"] for row in rows}, "the active leaf is a leaf"
