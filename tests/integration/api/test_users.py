"""Users, as an admin changes them."""

import asyncio

import httpx

from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient


async def test_an_admin_lists_everybody_page_by_page(user: ChatClient) -> None:
    for name in ("bob", "eve"):
        async with _browser(user.http) as other:
            await ChatClient(other).register(f"{name}@example.org")

    first = (await user.http.get("/api/admin/users?limit=2")).json()
    rest = (
        await user.http.get("/api/admin/users", params={"limit": 2, "cursor": first["next_cursor"]})
    ).json()

    emails = [item["email"] for item in first["items"] + rest["items"]]
    assert emails == ["eve@example.org", "bob@example.org", "ada@example.org"]
    assert rest["items"][0]["role"] == "admin"
    assert "password_hash" not in first["items"][0]


async def test_a_disabled_user_is_out_until_enabled_again(user: ChatClient) -> None:
    async with _browser(user.http) as bob:
        id = (await ChatClient(bob).register("bob@example.org"))["id"]
        key = (await bob.post("/api/keys", json={"name": "k", "scopes": ["read"]})).json()["key"]
        bearer = {"authorization": f"Bearer {key}"}
        login = {"email": "bob@example.org", "password": "correct horse battery"}

        disabled = await user.http.patch(f"/api/admin/users/{id}", json={"disabled": True})
        assert disabled.json()["disabled_at"] is not None
        assert (await bob.get("/api/auth/me")).json()["kind"] == "guest"
        assert (await bob.get("/api/auth/me", headers=bearer)).status_code == 401
        assert (await bob.post("/api/auth/login", json=login)).status_code == 403
        # Only who knows the password learns that there is an account.
        wrong = await bob.post("/api/auth/login", json=login | {"password": "wrong password"})
        assert wrong.status_code == 401

        enabled = await user.http.patch(f"/api/admin/users/{id}", json={"disabled": False})
        assert enabled.json()["disabled_at"] is None
        assert (await bob.get("/api/auth/me", headers=bearer)).status_code == 200
        assert (await bob.post("/api/auth/login", json=login)).status_code == 200


async def test_a_role_takes_effect_at_once(user: ChatClient) -> None:
    async with _browser(user.http) as bob:
        id = (await ChatClient(bob).register("bob@example.org"))["id"]
        assert (await bob.get("/api/admin/users")).status_code == 403
        await user.http.patch(f"/api/admin/users/{id}", json={"role": "admin"})
        assert (await bob.get("/api/admin/users")).status_code == 200


async def test_of_two_admins_who_step_down_at_once_one_stays(
    user: ChatClient, database: Database
) -> None:
    async with _browser(user.http) as bob:
        me = (await user.http.get("/api/auth/me")).json()["id"]
        id = (await ChatClient(bob).register("bob@example.org"))["id"]
        await user.http.patch(f"/api/admin/users/{id}", json={"role": "admin"})

        answers = await asyncio.gather(
            user.http.patch(f"/api/admin/users/{me}", json={"role": "user"}),
            bob.patch(f"/api/admin/users/{id}", json={"disabled": True}),
        )

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    admins = "SELECT count(*) FROM users WHERE role = 'admin' AND disabled_at IS NULL"
    assert await database.value(admins) == 1


async def test_nobody_unknown_is_changed(user: ChatClient) -> None:
    for id in ("01890000-0000-7000-8000-000000000000", "nobody"):
        response = await user.http.patch(f"/api/admin/users/{id}", json={"disabled": True})
        assert response.status_code == 404


def _browser(http: httpx.AsyncClient) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=http.base_url, timeout=120)
