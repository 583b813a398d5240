"""Accounts through the site."""

import asyncio
import statistics
import threading
import time
from pathlib import Path

import httpx
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import SecretStr

from localstack.embedded.valkey import Valkey
from tailrace.auth import passwords
from tailrace.settings import Settings
from tests.integration.conftest import Database, site
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


async def test_an_address_is_one_however_it_is_composed(http: httpx.AsyncClient) -> None:
    await ChatClient(http).register("\u00e9va@example.org")

    again = await http.post("/api/auth/register", json=ADA | {"email": "e\u0301va@example.org"})
    assert again.status_code == 409
    there = await http.post("/api/auth/login", json=ADA | {"email": " E\u0301va@example.org "})
    assert there.status_code == 200


@pytest.mark.parametrize(
    "email",
    [
        "ada",
        "ada@example",
        "ada\u200b@example.org",
        "\u202eada@example.org",
        "ada@exam\u00adple.org",
        "ada@example.org\r\nBcc: eve@example.org",
        "<ada@example.org>",
        "ada,eve@example.org",
        "x" * 254 + "@example.org",
    ],
)
async def test_what_would_pass_for_another_address_is_none(
    http: httpx.AsyncClient, email: str
) -> None:
    for path in ("register", "login"):
        refused = await http.post(f"/api/auth/{path}", json=ADA | {"email": email})
        assert refused.status_code == 422
        assert refused.json()["errors"] == [
            {"field": "email", "detail": "This is not an email address."}
        ]


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


async def test_closed_registration_lets_in_the_first_user_alone(
    settings: Settings, web_root: Path
) -> None:
    closed = settings.model_copy(update={"registration": "closed"})
    async with site(closed, web_root) as http:
        assert (await http.get("/api/auth/options")).json()["registration"] == "closed"
        first = await ChatClient(http).register()
        second = await http.post("/api/auth/register", json=ADA | {"email": "bob@example.org"})

    assert first["role"] == "admin"
    assert second.status_code == 403
    assert second.json()["title"] == "Registration closed"


async def test_of_first_users_at_a_closed_door_one_gets_in(
    settings: Settings, web_root: Path
) -> None:
    async def register(number: int) -> int:
        body = {"email": f"user{number}@example.org", "password": ADA["password"]}
        return (await http.post("/api/auth/register", json=body)).status_code

    async with site(settings.model_copy(update={"registration": "closed"}), web_root) as http:
        answers = await asyncio.gather(*(register(number) for number in range(4)))

    assert sorted(answers) == [201, 403, 403, 403]


async def test_sessions_are_listed_and_end_one_by_one(http: httpx.AsyncClient) -> None:
    await ChatClient(http).register()
    async with _browser(http, "Firefox") as laptop, _browser(http, "Safari") as phone:
        for browser in (laptop, phone):
            await browser.post("/api/auth/login", json=ADA)
        first = (await laptop.get("/api/auth/sessions?limit=2")).json()
        rest = (
            await laptop.get(
                "/api/auth/sessions", params={"limit": 2, "cursor": first["next_cursor"]}
            )
        ).json()
        assert [item["user_agent"] for item in first["items"]] == ["Safari", "Firefox"]
        assert [item["current"] for item in first["items"]] == [False, True]
        assert len(rest["items"]) == 1
        assert rest["next_cursor"] is None

        on_phone = first["items"][0]["id"]
        assert (await laptop.delete(f"/api/auth/sessions/{on_phone}")).status_code == 204
        assert (await laptop.delete(f"/api/auth/sessions/{on_phone}")).status_code == 404
        assert (await phone.get("/api/auth/me")).json()["kind"] == "guest"
        assert (await laptop.get("/api/auth/me")).json()["kind"] == "user"


async def test_the_use_of_a_session_is_noted_once_a_minute(
    user: ChatClient, database: Database
) -> None:
    async def last_used() -> object:
        return await database.value("SELECT last_used_at FROM sessions")

    before = await last_used()
    await user.http.get("/api/auth/me")
    assert await last_used() == before

    await database.rows(
        "UPDATE sessions SET last_used_at = now() - interval '61 seconds' RETURNING 1"
    )
    await user.http.get("/api/auth/me")
    assert await last_used() > before  # pyright: ignore[reportOperatorIssue]


async def test_signing_out_everywhere_ends_every_session(http: httpx.AsyncClient) -> None:
    await ChatClient(http).register()
    async with _browser(http, "phone") as phone:
        await phone.post("/api/auth/login", json=ADA)
        assert (await http.post("/api/auth/logout-everywhere")).status_code == 204
        assert (await phone.get("/api/auth/me")).json()["kind"] == "guest"
    assert (await http.get("/api/auth/me")).json()["kind"] == "guest"


async def test_a_changed_password_ends_the_other_sessions(http: httpx.AsyncClient) -> None:
    await ChatClient(http).register()
    new = "staple battery horse"
    async with _browser(http, "phone") as phone:
        await phone.post("/api/auth/login", json=ADA)
        wrong = await http.put(
            "/api/auth/password", json={"current_password": "wrong", "new_password": new}
        )
        assert wrong.status_code == 422
        assert wrong.json()["errors"][0]["field"] == "current_password"
        changed = await http.put(
            "/api/auth/password", json={"current_password": ADA["password"], "new_password": new}
        )
        assert changed.status_code == 204
        assert (await http.get("/api/auth/me")).json()["kind"] == "user"
        assert (await phone.get("/api/auth/me")).json()["kind"] == "guest"
        assert (await phone.post("/api/auth/login", json=ADA)).status_code == 401
        again = await phone.post("/api/auth/login", json=ADA | {"password": new})
        assert again.status_code == 200


async def test_nobody_tries_passwords_for_long(settings: Settings, web_root: Path) -> None:
    few = settings.model_copy(update={"sign_in_limit": 3, "sign_in_address_limit": 5})
    async with site(few, web_root) as http:
        await ChatClient(http).register()
        tries = [
            await http.post("/api/auth/login", json=ADA | {"password": f"wrong password {n}"})
            for n in range(4)
        ]
        # The right one too: what a guesser learns must not depend on what was guessed.
        tries.append(await http.post("/api/auth/login", json=ADA))
        assert [each.status_code for each in tries] == [401, 401, 401, 429, 429]
        assert 0 < int(tries[3].headers["retry-after"]) <= few.sign_in_window

        # Another account may be tried from here, until the address has had its share.
        others = [
            await http.post("/api/auth/login", json=ADA | {"email": f"{n}@example.org"})
            for n in range(3)
        ]
        assert [each.status_code for each in others] == [401, 401, 429]


async def test_a_hash_of_older_parameters_is_renewed_at_sign_in(
    user: ChatClient, database: Database
) -> None:
    weak = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64),)).hash(ADA["password"])
    await database.rows("UPDATE users SET password_hash = %s RETURNING 1", weak)

    for _ in range(2):
        assert (await user.http.post("/api/auth/login", json=ADA)).status_code == 200
        renewed = await database.value("SELECT password_hash FROM users")
        assert renewed.startswith("$argon2id$")
        assert "m=64," not in renewed


async def test_without_valkey_people_still_sign_in(
    settings: Settings, web_root: Path, private_valkey: Valkey
) -> None:
    alone = settings.model_copy(update={"redis_url": SecretStr(private_valkey.url)})
    async with site(alone, web_root) as http:
        await ChatClient(http).register()
        private_valkey.stop()
        assert (await http.post("/api/auth/login", json=ADA)).status_code == 200


async def test_an_unknown_email_takes_as_long_as_a_wrong_password(
    settings: Settings, web_root: Path
) -> None:
    many = settings.model_copy(update={"sign_in_limit": 1000, "sign_in_address_limit": 1000})

    async def seconds(http: httpx.AsyncClient, email: str) -> float:
        # The server's own, whatever else the machine is busy with: it runs in this process.
        began = time.process_time()
        await http.post("/api/auth/login", json={"email": email, "password": "wrong password"})
        return time.process_time() - began

    async with site(many, web_root) as http:
        await ChatClient(http).register()
        known, unknown = [], []
        for _ in range(15):
            known.append(await seconds(http, ADA["email"]))
            unknown.append(await seconds(http, "eve@example.org"))

    assert 0.5 < statistics.median(unknown) / statistics.median(known) < 2


async def test_a_hash_does_not_hold_up_other_requests(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password takes a core for some 50 ms; the event loop must go on meanwhile."""
    begun, answered = asyncio.Event(), threading.Event()
    loop, compute = asyncio.get_running_loop(), passwords._hasher.hash

    class Hasher:
        def hash(self, password: str) -> str:
            loop.call_soon_threadsafe(begun.set)
            assert answered.wait(60)
            return compute(password)

    monkeypatch.setattr(passwords, "_hasher", Hasher())
    registering = asyncio.create_task(http.post("/api/auth/register", json=ADA))
    await begun.wait()
    assert (await http.get("/healthz")).status_code == 200
    answered.set()

    assert (await registering).status_code == 201


def _browser(http: httpx.AsyncClient, name: str) -> httpx.AsyncClient:
    """Return another browser, with cookies of its own."""
    return httpx.AsyncClient(base_url=http.base_url, headers={"user-agent": name}, timeout=120)
