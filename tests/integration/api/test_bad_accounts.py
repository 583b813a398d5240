"""Bad input to the routes of accounts: every answer is a problem that names what is wrong."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.chat_client import ChatClient

ROUTES = [
    ("POST", "/api/auth/register"),
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/password-reset"),
    ("POST", "/api/auth/password-reset/confirm"),
    ("PUT", "/api/auth/password"),
    ("POST", "/api/keys"),
    ("PATCH", "/api/keys/01890000-0000-7000-8000-000000000000"),
    ("PATCH", "/api/admin/users/01890000-0000-7000-8000-000000000000"),
]

BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"1e999",
    b"{}\0",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"email": "a\\ud800@b.c", "password": "correct horse battery", "name": "\\ud800"}',
    b'{"\\ud800": 1}',
    b'{"email": "a\\u0000@b.c", "password": "\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000'
    b'\\u0000\\u0000\\u0000\\u0000\\u0000\\u0000", "name": "\\u0000", "token": "\\u0000"}',
    b'{"email": {"$gt": ""}, "password": [], "name": 1, "scopes": {"0": "read"}, "token": true}',
    b'{"name": "k", "scopes": ["read"], "expires_at": "9999-12-31T23:59:59-23:59"}',
    b'{"name": "k", "scopes": ["read"], "expires_at": 1e18}',
    b'{"name": "k", "scopes": ["read"], "expires_at": -1e308}',
    b'{"name": "' + b"x" * 100_000 + b'"}',
    b'{"disabled": "maybe", "role": "owner"}',
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_body_is_too_odd(user: ChatClient, method: str, path: str) -> None:
    for body in BODIES:
        response = await user.http.request(
            method, path, content=body, headers={"content-type": "application/json"}
        )
        _assert_told(response, body)


async def test_a_body_is_refused_whether_or_not_its_length_is_told(
    http: httpx.AsyncClient,
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(32):
            yield b" " * (1 << 16)

    headers = {"content-type": "application/json"}
    for content in (b" " * (2 << 20), pieces()):
        refused = await http.post("/api/auth/login", content=content, headers=headers)
        assert refused.status_code == 413
        assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "x"])
async def test_only_json_is_read(user: ChatClient, media_type: str) -> None:
    """A form of another site could send these without asking the browser first."""
    body = json.dumps({"email": "ada@example.org", "password": "correct horse battery"})
    for method, path in ROUTES[:2]:
        response = await user.http.request(
            method, path, content=body, headers={"content-type": media_type}
        )
        assert response.status_code in (415, 422)


@pytest.mark.parametrize("id", ["x", "%00", "01890000", "\u2028", "0" * 5000])
async def test_no_id_is_too_odd(user: ChatClient, id: str) -> None:
    for method, path in (
        ("DELETE", "/api/auth/sessions/"),
        ("PATCH", "/api/keys/"),
        ("DELETE", "/api/keys/"),
        ("PATCH", "/api/admin/users/"),
    ):
        response = await user.http.request(method, path + id, json={})
        assert response.status_code == 404


@pytest.mark.parametrize("path", ["/api/auth/sessions", "/api/keys", "/api/admin/users"])
@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "cursor=x", "cursor=" + "A" * 300]
)
async def test_no_page_is_too_odd(user: ChatClient, path: str, query: str) -> None:
    response = await user.http.get(f"{path}?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == query.partition("=")[0]


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cookie=st.text(
        st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=200
    ),
    header=st.sampled_from(["cookie", "authorization"]),
)
async def test_no_credential_is_too_odd(http: httpx.AsyncClient, cookie: str, header: str) -> None:
    value = f"tailrace_session={cookie}" if header == "cookie" else f"Bearer {cookie}"
    # No client sends a header that ends in spaces.
    value = value.strip()
    headers = {header: value.encode("latin-1")}
    response = await http.get("/api/auth/me", headers=headers)  # pyright: ignore[reportArgumentType]
    if header == "cookie":
        assert response.json()["kind"] == "guest"
    else:
        assert response.status_code == 401


def _assert_told(response: httpx.Response, body: bytes) -> None:
    assert 400 <= response.status_code < 500, (body[:80], response.text)
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    if response.status_code == 422:
        assert problem["errors"][0]["field"]


async def test_what_is_wrong_is_told_in_a_sentence(http: httpx.AsyncClient) -> None:
    response = await http.post(
        "/api/auth/register", json={"email": "a@example.com", "password": "short", "age": 7}
    )

    assert response.status_code == 422
    assert response.json()["errors"] == [
        {"field": "password", "detail": "This must have at least 12 characters."},
        {"field": "age", "detail": "There is no such field."},
    ]
