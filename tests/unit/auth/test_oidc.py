"""ID tokens: which ones count, from a provider that answers as the test says."""

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from pydantic import SecretStr

from tailrace.auth import oidc
from tailrace.auth.oidc import Provider, SignInRefused
from tailrace.settings import Settings

CLIENT = "tailrace"
SECRET = "a client secret of enough characters"


class Scripted:
    """A provider whose every answer a test can change."""

    def __init__(self) -> None:
        self.issuer = ""
        self.key: Any = RSAKey.generate_key(2048, {"kid": "a", "use": "sig"}, private=True)
        self.keys: list[Any] = [self.key]
        self.claims: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.algorithm = "RS256"
        self.id_token: str | None = None
        self.token_headers: dict[str, str] = {}
        self.token_form: dict[str, str] = {}
        self.jwks_reads = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/jwks", self._jwks)
        app.router.add_post("/token", self._token)
        app.router.add_get("/userinfo", self._userinfo)
        return app

    def valid_claims(self, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.issuer,
            "sub": "ada-1",
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            "email": "ada@example.org",
            "email_verified": True,
        }

    async def _discovery(self, request: web.Request) -> web.Response:
        answer = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
        }
        return web.json_response(answer | self.metadata)

    async def _jwks(self, request: web.Request) -> web.Response:
        self.jwks_reads += 1
        keys = [key if isinstance(key, dict) else key.as_dict(private=False) for key in self.keys]
        return web.json_response({"keys": keys})

    async def _token(self, request: web.Request) -> web.Response:
        self.token_headers = dict(request.headers)
        self.token_form = {name: str(value) for name, value in (await request.post()).items()}
        id_token = self.id_token or jwt.encode(
            {"alg": self.algorithm, "kid": self.key.kid},
            self.claims,
            self.key,
            algorithms=[self.algorithm],
        )
        return web.json_response({"id_token": id_token, "access_token": "t", "token_type": "B"})

    async def _userinfo(self, request: web.Request) -> web.Response:
        assert request.headers["authorization"] == "Bearer t"
        return web.json_response(self.userinfo)


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    """The provider, running."""
    scripted = Scripted()
    runner = web.AppRunner(scripted.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    scripted.issuer = f"http://127.0.0.1:{port}"
    yield scripted
    await runner.cleanup()


@pytest.fixture
def client(scripted: Scripted) -> Provider:
    """Our side of it."""
    return _client(scripted)


def _client(scripted: Scripted, **changes: Any) -> Provider:
    values: dict[str, Any] = {
        "database_url": SecretStr("postgresql://"),
        "redis_url": SecretStr("redis://"),
        "secret_key": SecretStr("a secret key that only tests use"),
        "public_url": "https://chat.example.org",
        "oidc_issuer": scripted.issuer,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SecretStr(SECRET),
    }
    return Provider(Settings(**values | changes))


async def _begin(client: Provider) -> tuple[dict[str, str], str]:
    """Begin a sign-in; return the query that the provider gets, and the cookie."""
    url, cookie = await client.begin("/")
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}, cookie


async def _finish(client: Provider, scripted: Scripted, **claims: Any) -> oidc.Identity:
    """Sign in; a claim that is `...` is left out."""
    query, cookie = await _begin(client)
    valid = scripted.valid_claims(query["nonce"])
    scripted.claims = {name: value for name, value in (valid | claims).items() if value is not ...}
    identity, _ = await client.finish(cookie, {"state": query["state"], "code": "c"})
    return identity


async def _refusal(client: Provider, scripted: Scripted, **claims: Any) -> str:
    with pytest.raises(SignInRefused) as refused:
        await _finish(client, scripted, **claims)
    assert refused.value.why == "failed"
    return str(refused.value)


async def test_a_token_that_is_right_counts(scripted: Scripted, client: Provider) -> None:
    identity = await _finish(client, scripted)

    assert identity == (scripted.issuer, "ada-1", "ada@example.org", True)


async def test_what_is_asked_is_bound_to_the_browser(scripted: Scripted, client: Provider) -> None:
    first, _ = await _begin(client)
    second, cookie = await _begin(client)

    assert first["tenant"] == "1", "what the address had stays"
    assert first["redirect_uri"] == "https://chat.example.org/api/auth/oidc/callback"
    assert (first["response_type"], first["code_challenge_method"]) == ("code", "S256")
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]
        assert len(first[name]) >= 43
    scripted.claims = scripted.valid_claims(second["nonce"])
    await client.finish(cookie, {"state": second["state"], "code": "c"})
    digest = hashlib.sha256(scripted.token_form["code_verifier"].encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert challenge == second["code_challenge"]


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": ...},
        {"nonce": 1},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": ...},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"iss": "https://evil.example"},
        {"iss": ...},
        {"sub": ...},
        {"sub": ""},
        {"sub": 1},
        {"sub": "x" * 256},
        {"sub": "a\0b"},
        pytest.param({"exp": int(time.time()) - 120}, id="over"),
        {"exp": ...},
        {"exp": "tomorrow"},
        pytest.param({"iat": int(time.time()) + 3600}, id="not yet"),
        {"iat": ...},
    ],
    ids=str,
)
async def test_claims_that_are_not_right_do_not_count(
    scripted: Scripted, client: Provider, claims: dict[str, Any]
) -> None:
    assert await _refusal(client, scripted, **claims)


async def test_an_audience_of_several_counts_when_it_is_for_us(
    scripted: Scripted, client: Provider
) -> None:
    assert await _finish(client, scripted, aud=["another", CLIENT], azp=CLIENT)


@pytest.mark.parametrize("forgery", ["another key", "none", "our secret", "cut", "no token"])
async def test_a_signature_that_is_not_the_providers_does_not_count(
    scripted: Scripted, client: Provider, forgery: str
) -> None:
    query, cookie = await _begin(client)
    claims = scripted.valid_claims(query["nonce"])
    if forgery == "another key":
        key = RSAKey.generate_key(2048, {"kid": "a"}, private=True)
        scripted.id_token = jwt.encode({"alg": "RS256", "kid": "a"}, claims, key)
    elif forgery == "none":
        parts = [_part({"alg": "none", "kid": "a"}), _part(claims), ""]
        scripted.id_token = ".".join(parts)
    elif forgery == "our secret":
        key = OctKey.import_key(SECRET, {"kid": "a"})
        scripted.keys = [scripted.key, key.as_dict(private=True)]
        scripted.id_token = jwt.encode({"alg": "HS256", "kid": "a"}, claims, key)
    elif forgery == "cut":
        whole = jwt.encode({"alg": "RS256", "kid": "a"}, claims, scripted.key)
        scripted.id_token = whole[:-8]
    else:
        scripted.id_token = "x"

    with pytest.raises(SignInRefused, match="signature"):
        await client.finish(cookie, {"state": query["state"], "code": "c"})


async def test_new_keys_are_looked_for_when_none_fits(
    scripted: Scripted, client: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _finish(client, scripted)
    await _finish(client, scripted)
    assert scripted.jwks_reads == 1

    scripted.key = ECKey.generate_key("P-256", {"kid": "b"}, private=True)
    scripted.algorithm = "ES256"
    # One that we do not know stands beside it.
    scripted.keys = [{"kty": "future", "kid": "c"}, {"kty": "EC"}, scripted.key]
    await _refusal(client, scripted)
    assert scripted.jwks_reads == 1, "not at every token that somebody makes up"
    monkeypatch.setattr(oidc, "_KEYS_AGAIN", 0.0)
    await _finish(client, scripted)
    assert scripted.jwks_reads == 2


async def test_an_address_may_be_told_apart_from_the_token(
    scripted: Scripted, client: Provider
) -> None:
    scripted.userinfo = {"sub": "ada-1", "email": "ada@example.com", "email_verified": "true"}
    identity = await _finish(client, scripted, email=..., email_verified=...)
    assert (identity.email, identity.email_verified) == ("ada@example.com", True)

    scripted.userinfo["sub"] = "eve-1"
    assert "another person" in await _refusal(client, scripted, email=..., email_verified=...)


@pytest.mark.parametrize(
    ("metadata", "secret", "in_header", "in_form"),
    [
        ({}, SECRET, True, False),
        ({"token_endpoint_auth_methods_supported": ["client_secret_post"]}, SECRET, False, True),
        ({"token_endpoint_auth_methods_supported": ["none"]}, None, False, False),
    ],
)
async def test_the_secret_is_told_as_the_provider_wants_it(
    scripted: Scripted,
    metadata: dict[str, Any],
    secret: str | None,
    in_header: bool,
    in_form: bool,
) -> None:
    scripted.metadata = metadata
    client = _client(scripted, oidc_client_secret=SecretStr(secret) if secret else None)
    await _finish(client, scripted)

    assert ("Authorization" in scripted.token_headers) == in_header
    assert ("client_secret" in scripted.token_form) == in_form
    assert ("client_id" in scripted.token_form) == (not in_header)


@pytest.mark.parametrize(
    "metadata",
    [{"issuer": "https://evil.example"}, {"token_endpoint": None}, {"jwks_uri": 1}],
)
async def test_a_provider_that_is_another_is_not_visited(
    scripted: Scripted, client: Provider, metadata: dict[str, Any]
) -> None:
    scripted.metadata = metadata
    with pytest.raises(SignInRefused):
        await client.begin("/")


async def test_an_answer_names_its_issuer_where_that_is_promised(
    scripted: Scripted, client: Provider
) -> None:
    scripted.metadata = {"authorization_response_iss_parameter_supported": True}
    query, cookie = await _begin(client)
    scripted.claims = scripted.valid_claims(query["nonce"])
    answer = {"state": query["state"], "code": "c"}

    with pytest.raises(SignInRefused, match="no issuer"):
        await client.finish(cookie, answer)
    assert await client.finish(cookie, answer | {"iss": scripted.issuer})


@pytest.mark.parametrize("change", ["other key", "changed", "old", "none"])
async def test_a_cookie_that_is_not_ours_ends_nothing(
    scripted: Scripted, client: Provider, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie: str | None
    query, cookie = await _begin(client)
    if change == "other key":
        client = _client(scripted, secret_key=SecretStr("another secret key, as long as that"))
    elif change == "changed":
        cookie = cookie[:-1] + ("A" if cookie[-1] != "A" else "B")
    elif change == "old":
        monkeypatch.setattr(oidc, "LOGIN_TTL", -1)
    else:
        cookie = None

    with pytest.raises(SignInRefused) as refused:
        await client.finish(cookie, {"state": query["state"], "code": "c"})
    assert refused.value.why == "expired"


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
