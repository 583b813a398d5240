"""API keys: made, shown once, held to their scopes, revoked."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient, user_message


async def _create(http: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    body = {"name": "ci", "scopes": ["chat", "read"], **changes}
    response = await http.post("/api/keys", json=body)
    assert response.status_code == 201, response.text
    return response.json()


def _program(http: httpx.AsyncClient, key: str) -> httpx.AsyncClient:
    """Return a client without cookies that calls with a key."""
    headers = {"authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=http.base_url, headers=headers, timeout=120)


@pytest.mark.parametrize("name", ["authorization", "x-tailrace-key"])
async def test_a_key_is_told_in_either_header(user: ChatClient, name: str) -> None:
    """CloudFront overwrites the first with a signature of its own."""
    key = (await _create(user.http))["key"]
    headers = {"authorization": "AWS4-HMAC-SHA256 Credential=x"}
    headers[name] = f"Bearer {key}" if name == "authorization" else key
    # As another site's page would: which cannot know a key.
    headers["sec-fetch-site"] = "cross-site"
    async with httpx.AsyncClient(base_url=user.http.base_url, headers=headers) as program:
        body = {"id": str(uuid4()), "message": user_message("Hi"), "model": "scripted/echo"}
        assert (await program.post("/api/chat", json=body)).status_code == 200
        assert (await program.get("/api/conversations")).status_code == 200
        program.headers[name] = program.headers[name] + "x"
        assert (await program.get("/api/conversations")).status_code == 401


async def test_a_key_chats_and_reads_in_its_users_name(
    user: ChatClient, database: Database
) -> None:
    created = await _create(user.http)
    assert created["key"].startswith(created["prefix"] + "_")
    stored = await database.rows("SELECT * FROM api_keys")
    assert created["key"] not in str(stored)
    assert created["key"].rpartition("_")[2].encode() not in bytes(stored[0]["key_hash"])

    id = str(uuid4())
    async with _program(user.http, created["key"]) as program:
        body = {"id": id, "message": user_message("Hi"), "model": "scripted/echo"}
        assert (await program.post("/api/chat", json=body)).status_code == 200
        assert (await program.get(f"/api/conversations/{id}")).status_code == 200
        assert not program.cookies

    listed = (await user.http.get("/api/keys")).json()["items"]
    assert [(item["id"], item["name"]) for item in listed] == [(created["id"], "ci")]
    assert "key" not in listed[0]
    assert listed[0]["last_used_at"] is not None
    assert (await user.http.get(f"/api/conversations/{id}")).status_code == 200


async def test_a_key_is_held_to_its_scopes(user: ChatClient) -> None:
    created = await _create(user.http, scopes=["read"])
    async with _program(user.http, created["key"]) as program:
        body = {"id": str(uuid4()), "message": user_message("Hi")}
        refused = await program.post("/api/chat", json=body)
        assert refused.status_code == 403
        assert 'scope="chat"' in refused.headers["www-authenticate"]
        # Whoever has a key must not get a better one with it.
        assert (await program.post("/api/keys", json={})).status_code == 403
        # The user is an admin, but the key is not.
        assert (await program.get("/api/admin/users")).status_code == 403


async def test_an_admins_key_without_that_scope_sees_its_own_numbers_alone(
    user: ChatClient, http: httpx.AsyncClient
) -> None:
    key = (await _create(http, scopes=["metrics"]))["key"]
    everything = (await _create(http, scopes=["metrics", "admin"]))["key"]
    async with httpx.AsyncClient(base_url=http.base_url, timeout=120) as other:
        await ChatClient(other).register("bob@example.org")
        refused = await other.post("/api/keys", json={"name": "k", "scopes": ["admin"]})
        assert refused.status_code == 403
    async with _program(http, key) as program, _program(http, everything) as admin:
        assert (await program.get("/api/auth/me")).json()["role"] == "user"
        assert (await admin.get("/api/auth/me")).json()["role"] == "admin"


async def test_a_key_ends_when_it_expires_or_is_revoked_or_its_user_is_disabled(
    user: ChatClient, database: Database
) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    keys = [await _create(user.http, name=f"k{n}", expires_at=soon) for n in range(3)]
    expired, revoked, disabled = (key["key"] for key in keys)

    async def status(key: str) -> int:
        async with _program(user.http, key) as program:
            return (await program.get("/api/auth/me")).status_code

    assert [await status(key["key"]) for key in keys] == [200, 200, 200]
    await database.rows(
        "UPDATE api_keys SET expires_at = now() WHERE id = %s RETURNING 1", keys[0]["id"]
    )
    assert await status(expired) == 401
    assert (await user.http.delete(f"/api/keys/{keys[1]['id']}")).status_code == 204
    assert await status(revoked) == 401
    await database.rows("UPDATE users SET disabled_at = now() RETURNING 1")
    assert await status(disabled) == 401


@pytest.mark.parametrize(
    "authorization",
    ["Bearer", "Bearer x", "Bearer tr_abcdefgh_" + "x" * 43, "Bearer \xff", "bearer tr__"],
)
async def test_what_is_no_key_is_never_taken_for_a_guest_or_a_cookie(
    user: ChatClient, authorization: str
) -> None:
    headers = {"authorization": authorization.encode("latin-1")}
    response = await user.http.get("/api/auth/me", headers=headers)  # pyright: ignore[reportArgumentType]

    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["content-type"] == "application/problem+json"


async def test_who_calls_is_found_in_one_query(
    user: ChatClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = (await _create(user.http))["key"]
    queries: list[Any] = []
    execute = psycopg.AsyncConnection.execute

    async def counted(self: Any, query: Any, *rest: Any, **more: Any) -> Any:
        queries.append(query)
        return await execute(self, query, *rest, **more)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", counted)
    for headers in ({}, {"authorization": f"Bearer {key}"}):
        queries.clear()
        assert (await user.http.get("/api/auth/me", headers=headers)).status_code == 200
        # The route's own tells whether there is a password.
        assert len(queries) == 1 + 1


async def test_other_schemes_are_not_for_us(user: ChatClient) -> None:
    """A distribution in front signs its requests in the same header."""
    headers = {"authorization": "AWS4-HMAC-SHA256 Credential=x"}
    assert (await user.http.get("/api/auth/me", headers=headers)).json()["kind"] == "user"


async def test_the_use_of_a_key_is_noted_once_a_minute(
    user: ChatClient, database: Database
) -> None:
    created = await _create(user.http)

    async def used_at() -> Any:
        async with _program(user.http, created["key"]) as program:
            await program.get("/api/auth/me")
        return await database.value("SELECT last_used_at FROM api_keys")

    first = await used_at()
    assert await used_at() == first
    await database.rows(
        "UPDATE api_keys SET last_used_at = now() - interval '61 seconds' RETURNING 1"
    )
    assert await used_at() > first


async def test_a_key_changes(user: ChatClient) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    created = await _create(user.http, expires_at=soon)
    path = f"/api/keys/{created['id']}"

    renamed = (await user.http.patch(path, json={"name": " deploy "})).json()
    assert (renamed["name"], renamed["scopes"]) == ("deploy", ["chat", "read"])
    assert renamed["expires_at"] is not None
    changed = (await user.http.patch(path, json={"scopes": ["write"], "expires_at": None})).json()
    assert (changed["scopes"], changed["expires_at"]) == (["write"], None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes.0"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"secret": "mine"}, "secret"),
    ],
)
async def test_bad_keys_are_named(user: ChatClient, change: dict[str, Any], field: str) -> None:
    body = {"name": "ci", "scopes": ["read"], **change}
    response = await user.http.post("/api/keys", json=body)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field


async def test_keys_have_an_end(user: ChatClient, database: Database) -> None:
    await database.rows(
        "INSERT INTO api_keys (id, user_id, name, prefix, key_hash, scopes)"
        " SELECT gen_random_uuid(), users.id, 'k', 'tr_x', number::text::bytea, '{read}'"
        " FROM users, generate_series(1, 100) AS number RETURNING 1"
    )
    refused = await user.http.post("/api/keys", json={"name": "k", "scopes": ["read"]})

    assert refused.status_code == 409
