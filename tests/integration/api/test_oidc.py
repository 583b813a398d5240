"""Signing in through an identity provider: a real one, over the site."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from tailrace.settings import Settings
from tests.integration.conftest import Database, site
from tests.support.chat_client import ChatClient
from tests.support.identity_provider import IdentityProvider, running

LOGIN = "/api/auth/oidc/login"


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    """The identity provider."""
    with running() as provider:
        yield provider


@pytest.fixture
def settings(settings: Settings, provider: IdentityProvider) -> Settings:
    """Settings with that provider."""
    return settings.model_copy(
        update={
            "public_url": "https://chat.example.org",
            "oidc_issuer": provider.issuer,
            "oidc_client_id": "tailrace",
            "oidc_client_secret": SecretStr("a secret: with+signs&so on"),
            "oidc_name": "Example",
        }
    )


@pytest.fixture
async def http(settings: Settings, web_root: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with site(settings, web_root) as client:
        yield client


def _browser(http: httpx.AsyncClient) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=http.base_url, timeout=120)


async def _come_back(
    http: httpx.AsyncClient, provider: IdentityProvider, subject: str | None, **query: str
) -> str:
    """Go to the provider and return the path that it sends the browser back to."""
    response = await http.get(LOGIN, params=query)
    assert response.status_code == 303
    url = await provider.sign_in(response.headers["location"], subject)
    assert url.startswith("https://chat.example.org/api/auth/oidc/callback?")
    return url.removeprefix("https://chat.example.org")


async def _sign_in(
    http: httpx.AsyncClient, provider: IdentityProvider, subject: str | None, **query: str
) -> str:
    """Sign in and return where the browser ends up."""
    response = await http.get(await _come_back(http, provider, subject, **query))
    assert response.status_code == 303
    return response.headers["location"]


async def test_a_person_has_one_account_however_often_they_come(
    http: httpx.AsyncClient, provider: IdentityProvider, database: Database
) -> None:
    assert (await http.get("/api/auth/options")).json()["oidc"] == "Example"
    await provider.know("ada-1", email="ada@example.org", email_verified=True)

    assert await _sign_in(http, provider, "ada-1", next="/c/1?x=y") == "/c/1?x=y"
    me = (await http.get("/api/auth/me")).json()
    assert (me["kind"], me["email"], me["role"]) == ("user", "ada@example.org", "admin")

    # The provider's name for a person counts, not the address, which may change.
    await provider.know("ada-1", email="lovelace@example.org", email_verified=True)
    async with _browser(http) as elsewhere:
        await _sign_in(elsewhere, provider, "ada-1")
        assert (await elsewhere.get("/api/auth/me")).json()["id"] == me["id"]
    [user] = await database.rows("SELECT password_hash, email_verified_at FROM users")
    assert user["password_hash"] is None
    assert me["has_password"] is False
    assert user["email_verified_at"] is not None

    # An account without a password cannot be signed in to with one.
    body = {"email": "ada@example.org", "password": "a password that nobody has"}
    assert (await http.post("/api/auth/login", json=body)).status_code == 401


async def test_a_client_proves_that_it_began_the_sign_in(
    http: httpx.AsyncClient, provider: IdentityProvider
) -> None:
    await provider.know("ada-1", email="ada@example.org", email_verified=True)
    await _sign_in(http, provider, "ada-1")

    [form] = provider.token_requests
    assert len(form["code_verifier"]) >= 43
    assert "client_secret" not in form, "it travels in the header"


async def test_a_verified_address_takes_over_an_account_whose_address_was_not(
    http: httpx.AsyncClient, provider: IdentityProvider
) -> None:
    """Whoever registered with somebody else's address must not stay when the owner comes."""
    squatter = ChatClient(http)
    registered = await squatter.register()
    key = (await http.post("/api/keys", json={"name": "k", "scopes": ["read"]})).json()["key"]
    await provider.know("ada-1", email="Ada@example.org", email_verified=True)

    async with _browser(http) as ada:
        assert await _sign_in(ada, provider, "ada-1") == "/"
        assert (await ada.get("/api/auth/me")).json()["id"] == registered["id"]
    assert (await http.get("/api/auth/me")).json()["kind"] == "guest"
    bearer = {"authorization": f"Bearer {key}"}
    assert (await http.get("/api/auth/me", headers=bearer)).status_code == 401
    body = {"email": "ada@example.org", "password": "correct horse battery"}
    assert (await http.post("/api/auth/login", json=body)).status_code == 401


async def test_an_address_that_is_not_verified_takes_no_account(
    http: httpx.AsyncClient, provider: IdentityProvider, database: Database
) -> None:
    await ChatClient(http).register()
    for number, verified in enumerate((False, None, "false")):
        claims = {} if verified is None else {"email_verified": verified}
        await provider.know(f"eve-{number}", email="ada@example.org", **claims)
        async with _browser(http) as eve:
            back = await _sign_in(eve, provider, f"eve-{number}")
            assert back == "/?sign_in_error=unverified_email"
            assert (await eve.get("/api/auth/me")).json()["kind"] == "guest"
    assert await database.rows("SELECT FROM identities") == []
    assert (await http.get("/api/auth/me")).json()["kind"] == "user"


@pytest.mark.parametrize("email", [None, "no-at", "x" * 250 + "@x.org", "a\0@b.c", 1])
async def test_a_person_without_an_address_has_no_account(
    http: httpx.AsyncClient, provider: IdentityProvider, email: object
) -> None:
    await provider.know("ada-1", **({} if email is None else {"email": email}))
    assert await _sign_in(http, provider, "ada-1") == "/?sign_in_error=no_email"


async def test_a_browser_that_did_not_begin_ends_nothing(
    http: httpx.AsyncClient, provider: IdentityProvider
) -> None:
    await provider.know("eve-1", email="eve@example.org", email_verified=True)
    async with _browser(http) as eve, _browser(http) as victim:
        path = await _come_back(eve, provider, "eve-1")
        # Eve has a victim follow her link: with no sign-in of its own, and with one.
        for _ in range(2):
            back = await victim.get(path)
            assert back.headers["location"] == "/?sign_in_error=expired"
            assert (await victim.get("/api/auth/me")).json()["kind"] == "guest"
            await victim.get(LOGIN)
        assert not provider.token_requests


async def test_an_answer_counts_once(http: httpx.AsyncClient, provider: IdentityProvider) -> None:
    await provider.know("ada-1", email="ada@example.org", email_verified=True)
    path = await _come_back(http, provider, "ada-1")
    cookie = http.cookies["tailrace_oidc"]
    assert (await http.get(path)).headers["location"] == "/"
    assert "tailrace_oidc" not in http.cookies

    async with _browser(http) as thief:
        headers = {"cookie": f"tailrace_oidc={cookie}"}
        again = await thief.get(path, headers=headers)
        assert again.headers["location"] == "/?sign_in_error=failed"
        assert "tailrace_session" not in again.headers.get("set-cookie", "")


async def test_a_refusal_is_told_as_one(
    http: httpx.AsyncClient, provider: IdentityProvider
) -> None:
    async def back(**answer: str) -> str:
        begun = await http.get(LOGIN)
        state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
        response = await http.get("/api/auth/oidc/callback", params={"state": state, **answer})
        assert response.status_code == 303
        return response.headers["location"].removeprefix("/?sign_in_error=")

    assert await back(error="access_denied") == "denied"
    assert await back(error="server_error") == "failed"
    assert await back() == "failed"
    assert await back(code="made up") == "failed"
    assert await back(code="x", iss="https://evil.example") == "failed"


async def test_closed_registration_is_closed_here_too(
    settings: Settings, web_root: Path, provider: IdentityProvider
) -> None:
    await provider.know("ada-1", email="ada@example.org", email_verified=True)
    await provider.know("bob-1", email="bob@example.org", email_verified=True)
    async with site(settings.model_copy(update={"registration": "closed"}), web_root) as http:
        assert await _sign_in(http, provider, "ada-1") == "/", "the first user may"
        async with _browser(http) as bob:
            back = await _sign_in(bob, provider, "bob-1")
            assert back == "/?sign_in_error=registration_closed"
        assert await _sign_in(http, provider, "ada-1") == "/", "who has an account may"


async def test_a_disabled_account_stays_so(
    http: httpx.AsyncClient, provider: IdentityProvider, database: Database
) -> None:
    await provider.know("ada-1", email="ada@example.org", email_verified=True)
    await _sign_in(http, provider, "ada-1")
    await database.rows("UPDATE users SET disabled_at = now() RETURNING 1")

    assert await _sign_in(http, provider, "ada-1") == "/?sign_in_error=account_disabled"


async def test_a_new_person_who_comes_twice_at_once_has_one_account(
    http: httpx.AsyncClient, provider: IdentityProvider, database: Database
) -> None:
    await provider.know("ada-1", email="ada@example.org", email_verified=True)
    async with _browser(http) as laptop, _browser(http) as phone:
        paths = [await _come_back(each, provider, "ada-1") for each in (laptop, phone)]
        answers = await asyncio.gather(laptop.get(paths[0]), phone.get(paths[1]))

    assert [answer.headers["location"] for answer in answers] == ["/", "/"]
    assert await database.value("SELECT count(*) FROM users") == 1


@pytest.mark.parametrize(
    "next", ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil", "x", ""]
)
async def test_nobody_is_sent_to_another_site(http: httpx.AsyncClient, next: str) -> None:
    response = await http.get(LOGIN, params={"next": next})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "next"


async def test_a_provider_that_is_down_is_told_to_the_page(
    settings: Settings, web_root: Path
) -> None:
    down = settings.model_copy(update={"oidc_issuer": "http://127.0.0.1:9"})
    async with site(down, web_root) as http:
        response = await http.get(LOGIN)
    assert (response.status_code, response.headers["location"]) == (303, "/?sign_in_error=failed")


async def test_without_a_provider_there_is_nothing_to_sign_in_with(
    settings: Settings, web_root: Path
) -> None:
    none = settings.model_copy(update={"oidc_issuer": None, "oidc_client_id": None})
    async with site(none, web_root) as http:
        for path in (LOGIN, "/api/auth/oidc/callback"):
            assert (await http.get(path)).status_code == 404
        assert (await http.get("/api/auth/options")).json()["oidc"] is None
