"""Accounts through the site."""

import asyncio

import httpx
import pytest

from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient

ADA = {"email": "ada@example.org", "password": "correct horse battery"}


async def test_the_first_user_is_the_admin_and_signs_in_again(
    http: httpx.AsyncClient, database: Database
) -> None:
    me = await ChatClient(http).register()
    assert (me["kind"], me["email"], me["role"]) == ("user", ADA["email"], "admin")

    assert (await http.post("/api/auth/logout")).status_code == 204
    assert (await http.get("/api/auth/me")).json()["kind"] == "guest"
    signed_in = await http.post("/api/auth/login", json=ADA | {"email": "ADA@example.org"})
    assert signed_in.status_code == 200
    assert (await http.get("/api/auth/me")).json()["id"] == me["id"]

    cookie = signed_in.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    stored = await database.rows("SELECT password_hash, id_hash FROM users, sessions")
    assert stored[0]["password_hash"].startswith("$argon2id$")
    assert http.cookies["tailrace_session"].encode() not in bytes(stored[0]["id_hash"])


async def test_a_session_that_was_ended_opens_nothing(http: httpx.AsyncClient) -> None:
    await ChatClient(http).register()
    stolen = http.cookies["tailrace_session"]
    await http.post("/api/auth/logout")

    async with httpx.AsyncClient(
        base_url=http.base_url, cookies={"tailrace_session": stolen}
    ) as thief:
        assert (await thief.get("/api/auth/me")).json()["kind"] == "guest"


async def test_of_several_first_users_one_is_admin(http: httpx.AsyncClient) -> None:
    async def register(number: int) -> str:
        body = {"email": f"user{number}@example.org", "password": ADA["password"]}
        return (await http.post("/api/auth/register", json=body)).json()["role"]

    roles = await asyncio.gather(*(register(number) for number in range(4)))

    assert sorted(roles) == ["admin", "user", "user", "user"]


async def test_a_wrong_password_and_an_unknown_email_are_told_alike(
    http: httpx.AsyncClient,
) -> None:
    await ChatClient(http).register()
    wrong = await http.post("/api/auth/login", json=ADA | {"password": "wrong horse battery"})
    unknown = await http.post("/api/auth/login", json=ADA | {"email": "eve@example.org"})

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "no-at"}, "email"),
        ({"email": "a\0@b.c"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 1025}, "password"),
        ({"role": "admin"}, "role"),
    ],
)
async def test_bad_credentials_are_named(
    http: httpx.AsyncClient, change: dict[str, str], field: str
) -> None:
    response = await http.post("/api/auth/register", json=ADA | change)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field


async def test_an_email_is_registered_once(http: httpx.AsyncClient) -> None:
    await ChatClient(http).register()
    again = await http.post("/api/auth/register", json=ADA | {"email": "Ada@Example.org"})

    assert again.status_code == 409
    assert again.json()["errors"][0]["field"] == "email"
