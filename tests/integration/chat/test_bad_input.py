"""Requests that cannot be accepted: a problem that names the field, and no row written."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient, user_message

ID = str(uuid4())
NOBODYS = "00000000-0000-4000-8000-000000000000"
MESSAGE = user_message("Hi", "m1")


def _with(**changes: Any) -> dict[str, Any]:
    return {"id": ID, "message": MESSAGE | changes}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"message": MESSAGE}, "id"),
        ({"id": "no-uuid", "message": MESSAGE}, "id"),
        ({"id": ID}, "message"),
        ({"id": ID, "message": MESSAGE, "messages": [MESSAGE]}, "message"),
        ({"id": ID, "messages": []}, "messages"),
        ({"id": ID, "message": MESSAGE, "model": "local/unknown"}, "model"),
        ({"id": ID, "message": MESSAGE, "model": "nowhere/m"}, "model"),
        ({"id": ID, "message": MESSAGE, "model": 3}, "model"),
        ({"id": ID, "message": MESSAGE, "parentId": None}, "parentId"),
        ({"id": ID, "message": MESSAGE, "trigger": "again"}, "trigger"),
        (_with(createdAt="now"), "message.createdAt"),
        (_with(id=""), "message.id"),
        (_with(id="x" * 65), "message.id"),
        (_with(role="system"), "message.role"),
        (_with(role="assistant"), "message.role"),
        (_with(parts=[]), "message.parts"),
        (_with(parts=[{"type": "text", "text": " \n "}]), "message.parts"),
        (_with(parts=[{"type": "text", "text": "x" * 32_001}]), "message.parts"),
        (_with(parts=[{"type": "text", "text": "a\0b"}]), "message.parts.0.text"),
        (_with(parts=[{"type": "tool-x"}]), "message.parts.0.type"),
        (_with(parts=[{"type": "text", "text": 5}]), "message.parts.0.text"),
        (_with(parts=[{"text": "no type"}]), "message.parts.0.type"),
        ([], "body"),
    ],
)
async def test_a_field_that_cannot_be_accepted_is_named(
    user: ChatClient, database: Database, body: Any, field: str
) -> None:
    response = await user.http.post("/api/chat", json=body)

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["status"] == 422
    await _assert_nothing_written(database)


async def test_a_message_that_no_model_can_read_costs_a_guest_nothing(guest: ChatClient) -> None:
    long = user_message("word " * 400)
    earlier = [user_message("Hi"), {**user_message("Hello"), "role": "assistant"}]
    body = {"id": ID, "messages": [*earlier, long], "model": "scripted/small"}

    refused = await guest.http.post("/api/chat", json=body)

    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["messages.2.parts"]
    me = (await guest.http.get("/api/auth/me")).json()
    assert me["guest_remaining"] == me["guest_limit"]


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b'{"id": ', "application/json", 400),
        (b'{"model": "\xff"}', "application/json", 400),
        (b'{"message": {"id": "a", "metadata": ' + b"[" * 100_000, "application/json", 400),
        (b"", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b" " * ((6 << 20) + 1), "application/json", 413),
    ],
)
async def test_a_body_that_is_no_json_is_refused(
    user: ChatClient, database: Database, content: bytes, content_type: str, status: int
) -> None:
    response = await user.http.post(
        "/api/chat", content=content, headers={"content-type": content_type}
    )

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    await _assert_nothing_written(database)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/api/chat/{NOBODYS}/stream", 404),
        ("GET", "/api/chat/no-uuid/stream", 404),
        ("POST", f"/api/chat/{NOBODYS}/stop", 404),
        ("POST", "/api/chat/no-uuid/stop", 404),
        ("GET", "/api/chat", 405),
        ("GET", "/api/chat/x/y/z", 404),
        ("GET", f"/api/conversations/{NOBODYS}", 404),
        ("GET", "/api/conversations/no-uuid", 404),
        ("GET", "/api/conversations?cursor=nonsense", 422),
        ("GET", "/api/conversations?limit=0", 422),
        ("GET", "/api/nothing-here", 404),
    ],
)
async def test_what_does_not_exist_is_a_problem(
    user: ChatClient, method: str, path: str, status: int
) -> None:
    response = await user.http.request(method, path)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status


async def test_a_run_that_is_misnamed_stops_no_other(user: ChatClient) -> None:
    conversation_id = uuid4()
    async with user.chat(conversation_id=conversation_id, model="scripted/story") as stream:
        await stream.until("text-delta")
        refused = await user.stop(conversation_id, runId=str(uuid4()))
        assert refused.status_code == 422
        assert (await user.stop(conversation_id)).status_code == 202
        await stream.rest()


@pytest.mark.parametrize("last_event_id", ["x", "-1", "1" * 20, "²"])
async def test_a_wrong_last_event_id_is_refused(user: ChatClient, last_event_id: str) -> None:
    response = await user.http.get(
        f"/api/chat/{NOBODYS}/stream",
        headers={"last-event-id": last_event_id.encode()},  # pyright: ignore[reportArgumentType]
    )

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "Last-Event-ID"


async def test_forged_cookies_make_a_stranger(http: httpx.AsyncClient, user: ChatClient) -> None:
    for name in ("tailrace_session", "tailrace_guest"):
        response = await httpx.AsyncClient(base_url=http.base_url, cookies={name: "x.y.z"}).get(
            "/api/auth/me"
        )
        assert response.json()["kind"] == "guest"
        assert "tailrace_guest" in response.cookies


async def _assert_nothing_written(database: Database) -> None:
    for table in ("conversations", "messages", "runs", "telemetry_outbox"):
        assert await database.value(f"SELECT count(*) FROM {table}") == 0


async def test_a_message_may_carry_the_metadata_of_ai_sdk(user: ChatClient) -> None:
    body = _with(metadata={"createdAt": 1}) | {"trigger": "submit-message"}

    assert (await user.http.post("/api/chat", json=body)).status_code == 200
