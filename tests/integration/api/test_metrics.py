"""Numbers over HTTP: what was called shows up, to those who may see it."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from tailrace.services import Services
from tailrace.telemetry.ingest import ingest
from tests.support.chat_client import ChatClient


async def _chat(client: ChatClient, **options: object) -> None:
    async with client.chat("Hi there", **options) as stream:  # pyright: ignore[reportArgumentType]
        await stream.rest()


async def test_every_call_is_counted_for_its_owner_and_for_the_admin(
    http: httpx.AsyncClient, services: Services
) -> None:
    admin = ChatClient(http)
    await admin.register("admin@example.org")
    async with (
        httpx.AsyncClient(base_url=http.base_url) as user_http,
        httpx.AsyncClient(base_url=http.base_url) as guest_http,
    ):
        user, guest = ChatClient(user_http), ChatClient(guest_http)
        await user.register("user@example.org")
        await _chat(user)
        await _chat(user, model="scripted/error")
        await _chat(guest, guest=True, model="scripted/echo")
        await ingest(services)

        seen = {}
        for name, client in (("admin", admin), ("user", user), ("guest", guest)):
            overview = (await client.http.get("/api/metrics/overview")).json()
            calls = (await client.http.get("/api/metrics/calls")).json()["items"]
            assert overview["requests"] == len(calls)
            seen[name] = (overview["errors"], sorted(call["kind"] for call in calls))

    assert seen == {
        "admin": (1, ["chat", "chat", "guest", "title"]),
        "user": (1, ["chat", "chat", "title"]),
        "guest": (0, ["guest"]),
    }


async def test_a_call_is_told_in_full(user: ChatClient, services: Services) -> None:
    conversation_id = uuid4()
    await _chat(user, conversation_id=conversation_id)
    await ingest(services)

    calls = (await user.http.get("/api/metrics/calls")).json()["items"]
    call = next(call for call in calls if call["kind"] == "chat")
    overview = (await user.http.get("/api/metrics/overview")).json()

    assert call["status"] == "ok"
    assert (call["provider_name"], call["request_model"]) == ("local", "m")
    assert call["finish_reasons"] == ["stop"]
    assert (call["input_tokens"], call["output_tokens"]) == (3, 2)
    assert call["conversation_id"] == str(conversation_id)
    assert (call["input_preview"], call["output_preview"]) == ("Hi there", "Hello there")
    assert (call["cost_usd"], call["unpriced"]) == (None, True)
    assert 0 < call["time_to_first_chunk"] <= call["duration"]
    assert overview["input_tokens"] == 3 * len(calls)
    assert overview["cost_usd"] is None
    assert overview["unpriced_requests"] == len(calls)
    assert overview["duration"]["p50"] <= overview["duration"]["p99"]
    assert sum(bucket["requests"] for bucket in overview["series"]) == len(calls)


async def test_calls_are_paged_without_gap_or_repetition(
    user: ChatClient, services: Services
) -> None:
    for _ in range(4):
        await _chat(user, model="scripted/error")
    await ingest(services)

    seen, cursor = [], None
    while True:
        params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await user.http.get("/api/metrics/calls", params=params)).json()
        seen += [(call["started_at"], call["id"]) for call in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert len(seen) == len(set(seen)) == 4
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("view", ["overview", "calls"])
async def test_an_impossible_span_is_refused(http: httpx.AsyncClient, view: str) -> None:
    now = datetime.now(UTC)
    for span, field in (
        ({"from": now, "to": now - timedelta(hours=1)}, "from"),
        ({"from": now - timedelta(days=400), "to": now}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-01-01T00:00:00"}, "to"),
        ({"to": "0001-01-01T00:00:00Z"}, "to"),
    ):
        params = {name: str(value) for name, value in span.items()}
        response = await http.get(f"/api/metrics/{view}", params=params)
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == field


async def test_the_api_describes_itself(http: httpx.AsyncClient) -> None:
    paths = (await http.get("/api/openapi.json")).json()["paths"]

    assert {"/api/auth/me", "/api/models", "/api/conversations", "/api/metrics/overview"} <= set(
        paths
    )
