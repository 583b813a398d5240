"""Requests that another site made: refused in both applications."""

from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tailrace.settings import Settings
from tests.integration.conftest import site
from tests.support.chat_client import ChatClient, user_message

PUBLIC = "https://chat.example.org"


def _own(http: httpx.AsyncClient) -> str:
    return str(http.base_url).rstrip("/")


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin", "origin": "{own}"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site", "origin": "http://evil.localhost"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, False),
        # What the browser says of the site wins over what it says of the origin.
        ({"sec-fetch-site": "cross-site", "origin": "{own}"}, False),
        ({"origin": "{own}"}, True),
        ({"origin": PUBLIC}, True),
        ({"origin": PUBLIC.upper()}, True),
        ({"origin": PUBLIC + ".evil.example"}, False),
        ({"origin": "http://127.0.0.1"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
    ],
)
async def test_only_our_own_page_changes_anything(
    settings: Settings, web_root: Path, headers: dict[str, str], allowed: bool
) -> None:
    async with site(settings.model_copy(update={"public_url": PUBLIC}), web_root) as http:
        await ChatClient(http).register()
        sent = {name: value.format(own=_own(http)) for name, value in headers.items()}
        body = {"id": str(uuid4()), "message": user_message("Hi"), "model": "scripted/echo"}
        chatted = await http.post("/api/chat", json=body, headers=sent)
        logged_out = await http.post("/api/auth/logout", headers=sent)
        # Reading is open to links from anywhere.
        assert (await http.get("/api/auth/me", headers=sent)).status_code == 200

    for response, status in ((chatted, 200), (logged_out, 204)):
        assert response.status_code == (status if allowed else 403)
        if not allowed:
            assert response.headers["content-type"] == "application/problem+json"


async def test_nobody_is_signed_in_by_another_site(user: ChatClient) -> None:
    """A browser sends no cookies of ours from another site, but would take the new one."""
    body = {"email": "ada@example.org", "password": "correct horse battery"}
    async with httpx.AsyncClient(base_url=user.http.base_url) as victim:
        response = await victim.post(
            "/api/auth/login", json=body, headers={"sec-fetch-site": "cross-site"}
        )
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


async def test_a_program_with_a_key_may_be_anywhere(user: ChatClient) -> None:
    key = (await user.http.post("/api/keys", json={"name": "k", "scopes": ["chat"]})).json()["key"]
    headers = {"authorization": f"Bearer {key}", "origin": "https://app.example"}
    body = {"id": str(uuid4()), "message": user_message("Hi"), "model": "scripted/echo"}
    response = await user.http.post("/api/chat", json=body, headers=headers)
    assert response.status_code == 200
