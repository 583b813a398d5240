"""Rates as callers meet them: by user, key, guest and address."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from localstack.embedded.valkey import Valkey
from tailrace.limits import limiter
from tailrace.settings import Settings
from tests.integration.conftest import site
from tests.support.chat_client import ChatClient, user_message


@asynccontextmanager
async def _changed(
    settings: Settings, web_root: Path, **changes: Any
) -> AsyncIterator[httpx.AsyncClient]:
    async with site(settings.model_copy(update=changes), web_root) as http:
        yield http


@asynccontextmanager
async def _browser(
    http: httpx.AsyncClient, address: str | None = None
) -> AsyncIterator[ChatClient]:
    """A browser without cookies, elsewhere if an address is given."""
    headers = {} if address is None else {"x-forwarded-for": address}
    async with httpx.AsyncClient(base_url=http.base_url, headers=headers, timeout=120) as client:
        yield ChatClient(client)


async def _send(client: ChatClient, *, guest: bool = False) -> httpx.Response:
    async with client.chat("Hi", guest=guest, model="scripted/echo") as stream:
        await stream.rest()
    return stream.response


async def test_of_parallel_messages_exactly_the_limit_passes(
    settings: Settings, web_root: Path
) -> None:
    async with _changed(settings, web_root, user_rate="5/hour") as http:
        user = ChatClient(http)
        await user.register()
        responses = await asyncio.gather(*(_send(user) for _ in range(12)))

        assert sorted(r.status_code for r in responses) == [200] * 5 + [429] * 7
        refused = next(r for r in responses if r.status_code == 429)
        assert refused.headers["content-type"] == "application/problem+json"
        assert 0 < int(refused.headers["retry-after"]) <= 720
        assert '"user";q=5;w=3600' in refused.headers["ratelimit-policy"]
        assert '"user";r=0;t=' in refused.headers["ratelimit"]
        page = await http.get("/api/conversations")
        assert len(page.json()["items"]) == 5, "what is refused leaves nothing"


async def test_an_accepted_message_tells_what_is_left(user: ChatClient) -> None:
    response = await _send(user)

    assert response.headers["ratelimit-policy"] == '"user";q=60;w=60, "address";q=600;w=60'
    assert response.headers["ratelimit"] == '"user";r=59;t=1, "address";r=599;t=1'


async def test_a_key_has_a_limit_of_its_own_within_its_users(
    settings: Settings, web_root: Path
) -> None:
    async with _changed(settings, web_root, user_rate="4/hour", key_rate="2/hour") as http:
        user = ChatClient(http)
        await user.register()
        keys = []
        for name in ("a", "b", "c"):
            body = {"name": name, "scopes": ["chat"]}
            created = await http.post("/api/keys", json=body)
            assert created.status_code == 201, created.text
            keys.append(created.json())
        statuses = []
        for key in keys:
            secret = next(value for value in key.values() if str(value).count("_") == 2)
            async with _browser(http) as program:
                program.http.headers["authorization"] = f"Bearer {secret}"
                statuses.append([(await _send(program)).status_code for _ in range(3)])

        assert statuses == [[200, 200, 429], [200, 200, 429], [429, 429, 429]]


async def test_a_dropped_cookie_gives_a_guest_nothing_back(
    settings: Settings, web_root: Path
) -> None:
    changes = {"guest_limit": 2, "guest_address_limit": 3, "trusted_proxies": 1}
    async with _changed(settings, web_root, **changes) as http:
        async with _browser(http, "203.0.113.7") as first:
            statuses = [(await _send(first, guest=True)).status_code for _ in range(3)]
            assert statuses == [200, 200, 429]
        async with _browser(http, "203.0.113.99") as neighbour:
            responses = [await _send(neighbour, guest=True) for _ in range(2)]
            assert [r.status_code for r in responses] == [200, 429]
            assert '"guest";r=1' in responses[1].headers["ratelimit"], "its cookie was not charged"
            assert "network" in responses[1].json()["detail"]
            me = (await neighbour.http.get("/api/auth/me")).json()
            assert (me["guest_limit"], me["guest_remaining"]) == (2, 0)
        async with _browser(http, "203.0.114.7") as elsewhere:
            assert (await _send(elsewhere, guest=True)).status_code == 200


async def test_what_a_client_says_of_its_address_counts_for_nothing(
    settings: Settings, web_root: Path
) -> None:
    async with _changed(settings, web_root, guest_address_limit=1) as http:
        statuses = []
        for address in ("203.0.113.7", "198.51.100.7"):
            async with _browser(http, address) as guest:
                statuses.append((await _send(guest, guest=True)).status_code)
        assert statuses == [200, 429]


async def test_a_guests_message_that_cannot_be_sent_is_not_counted(guest: ChatClient) -> None:
    async with guest.chat(" ", guest=True) as refused:
        assert refused.response.status_code == 422

    me = (await guest.http.get("/api/auth/me")).json()
    assert me["guest_remaining"] == me["guest_limit"]


async def test_without_valkey_users_pass_and_guests_do_not_and_nobody_waits(
    settings: Settings, web_root: Path, private_valkey: Valkey
) -> None:
    url = SecretStr(private_valkey.url)
    async with _changed(settings, web_root, redis_url=url, user_rate="1/hour") as http:
        user = ChatClient(http)
        await user.register()
        private_valkey.stop()
        responses = [await _send(user) for _ in range(3)]
        assert [r.status_code for r in responses] == [200] * 3
        assert "ratelimit" not in responses[0].headers
        async with _browser(http) as guest:
            began = time.monotonic()
            assert (await _send(guest, guest=True)).status_code == 503
            assert time.monotonic() - began < settings.redis_timeout
            assert (await guest.http.get("/api/auth/me")).json()["guest_remaining"] is None


async def test_a_valkey_that_hangs_costs_one_message_the_timeout(
    settings: Settings, web_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for all of the messages.
    monkeypatch.setattr(limiter, "_PAUSE", 600.0)
    asked = 0

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        while await reader.read(65_536):
            pass
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        url = SecretStr(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with (
            _changed(settings, web_root, redis_url=url, redis_timeout=0.3) as http,
            _browser(http) as guest,
        ):
            for _ in range(4):
                body = {"id": str(uuid4()), "messages": [user_message("Hi")]}
                refused = await guest.http.post("/api/chat", json=body)
                assert refused.status_code == 503
                assert asked == 2, "the client tries twice; the others are not held up"
