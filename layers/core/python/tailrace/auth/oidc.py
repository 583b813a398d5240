"""OpenID Connect: signing in through one identity provider of the settings.

The authorization code flow with PKCE, state and nonce; an ID token counts only with its signature,
issuer, audience, times and nonce verified. What has to be remembered between the two requests of
the browser travels in a signed cookie, so that any instance can take the second one.
https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth

Imported by the api function, when somebody signs in this way. Who the person is here, is
`tailrace.auth.identities`' to say.
"""

import hashlib
import hmac
import logging
import secrets
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import quote_plus, urlencode, urlsplit

import aiohttp
import msgspec
from itsdangerous import BadData, URLSafeTimedSerializer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, import_key

if TYPE_CHECKING:
    from tailrace.settings import Settings

_log = logging.getLogger(__name__)

Refusal = Literal[
    "denied",
    "expired",
    "failed",
    "no_email",
    "unverified_email",
    "registration_closed",
    "account_disabled",
]

#: Seconds between leaving for the provider and coming back.
LOGIN_TTL = 600

# Asymmetric ones only: a token signed with what a client knows proves nothing.
_ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    "Ed25519",
)  # fmt: skip
# Seconds by which clocks may differ.
_LEEWAY = 60
# Seconds for which the provider's metadata and keys are kept, and between two looks for a new key.
_FRESH = 3600.0
_KEYS_AGAIN = 60.0
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_MAX_ANSWER = 1 << 20


class SignInRefused(Exception):
    """Nobody is signed in; `why` is a word for the page, the text one line for the log."""

    def __init__(self, why: Refusal, detail: str = "") -> None:
        super().__init__(detail or why)
        self.why: Refusal = why


class Identity(NamedTuple):
    """A person as a provider knows them.

    Attributes
    ----------
    subject
        The provider's name for the person, never given to anybody else.
    email
        ``None`` when the provider told none.
    """

    issuer: str
    subject: str
    email: str | None
    email_verified: bool


class _Metadata(msgspec.Struct):
    """What of the discovery document is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class _Tokens(msgspec.Struct):
    id_token: str
    access_token: str | None = None


class _Login(msgspec.Struct):
    """What is remembered while somebody is at the provider."""

    state: str
    nonce: str
    verifier: str
    next: str


class Provider:
    """The identity provider of the settings, which must name one."""

    def __init__(self, settings: "Settings") -> None:
        assert settings.oidc_issuer is not None
        assert settings.oidc_client_id is not None
        self.issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        secret = settings.oidc_client_secret
        self._client_secret = secret.get_secret_value() if secret else None
        self._redirect_uri = f"{settings.public_url}/api/auth/oidc/callback"
        self._signer = URLSafeTimedSerializer(
            settings.secret_key.get_secret_value(), salt="tailrace.oidc"
        )
        self._metadata: tuple[float, _Metadata] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def begin(self, next: str) -> tuple[str, str]:
        """Begin a sign-in that ends at the path `next`.

        Returns
        -------
        tuple
            The address to send the browser to, and the cookie to give it along.

        Raises
        ------
        SignInRefused
            When the provider cannot be reached, or is not the one of the settings.
        """
        metadata = await self._discover()
        login = _Login(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            next=next,
        )
        challenge = hashlib.sha256(login.verifier.encode()).digest()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._client_id,
                "redirect_uri": self._redirect_uri,
                "scope": "openid email",
                "state": login.state,
                "nonce": login.nonce,
                "code_challenge": urlsafe_b64encode(challenge).decode().rstrip("="),
                "code_challenge_method": "S256",
            }
        )
        separator = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
        cookie = self._signer.dumps(msgspec.to_builtins(login))
        return f"{metadata.authorization_endpoint}{separator}{query}", str(cookie)

    async def finish(self, cookie: str | None, answer: Mapping[str, str]) -> tuple[Identity, str]:
        """Take what the browser brings back.

        Parameters
        ----------
        cookie
            The cookie of `begin`.
        answer
            The query of the request.

        Returns
        -------
        tuple
            Who signed in, and the path that `begin` was given.

        Raises
        ------
        SignInRefused
            When anything is not as it has to be.
        """
        login = self._read(cookie)
        if not _same(answer.get("state", ""), login.state):
            raise SignInRefused("expired", "the state is another's")
        metadata = await self._discover()
        # One provider must not pass off another's answer as its own (RFC 9207).
        told = answer.get("iss")
        if told is None and metadata.authorization_response_iss_parameter_supported:
            raise SignInRefused("failed", "the answer names no issuer")
        if told is not None and told != self.issuer:
            raise SignInRefused("failed", "the answer is another issuer's")
        if "error" in answer:
            denied = answer["error"] == "access_denied"
            raise SignInRefused("denied" if denied else "failed", "the provider refused")
        if not answer.get("code"):
            raise SignInRefused("failed", "the answer holds no code")
        tokens = await self._redeem(metadata, answer["code"], login.verifier)
        claims = await self._verify(metadata, tokens.id_token, login.nonce)
        if "email" not in claims and metadata.userinfo_endpoint and tokens.access_token:
            claims |= await self._userinfo(
                metadata.userinfo_endpoint, tokens.access_token, claims["sub"]
            )
        email = claims.get("email")
        identity = Identity(
            issuer=self.issuer,
            subject=claims["sub"],
            email=email if isinstance(email, str) else None,
            # Some providers send it as text.
            email_verified=claims.get("email_verified") in (True, "true"),
        )
        return identity, login.next

    def _read(self, cookie: str | None) -> _Login:
        if not cookie:
            raise SignInRefused("expired", "the cookie is missing")
        try:
            return msgspec.convert(self._signer.loads(cookie, max_age=LOGIN_TTL), _Login)
        except (BadData, msgspec.ValidationError):
            raise SignInRefused("expired", "the cookie is not ours, or too old") from None

    async def _discover(self) -> _Metadata:
        if self._metadata is not None and time.monotonic() - self._metadata[0] < _FRESH:
            return self._metadata[1]
        url = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
        metadata = _decode(await _ask("GET", url), _Metadata)
        if metadata.issuer != self.issuer:
            raise SignInRefused("failed", f"{url} is another issuer's")
        if self.issuer.startswith("https:"):
            used = (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri)
            if not all(url.startswith("https:") for url in used):
                raise SignInRefused("failed", f"{url} names an address without TLS")
        self._metadata = (time.monotonic(), metadata)
        return metadata

    async def _redeem(self, metadata: _Metadata, code: str, verifier: str) -> _Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        if self._client_secret is None:
            form["client_id"] = self._client_id
        elif "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            # RFC 6749, 2.3.1: both parts are form-encoded first.
            credentials = f"{quote_plus(self._client_id)}:{quote_plus(self._client_secret)}"
            headers["Authorization"] = f"Basic {b64encode(credentials.encode()).decode()}"
        else:
            form |= {"client_id": self._client_id, "client_secret": self._client_secret}
        answer = await _ask("POST", metadata.token_endpoint, data=form, headers=headers)
        return _decode(answer, _Tokens)

    async def _verify(self, metadata: _Metadata, id_token: str, nonce: str) -> dict[str, Any]:
        claims = await self._decode(metadata, id_token)
        registry = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self._client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            registry.validate(claims)
        except (JoseError, TypeError, ValueError) as error:
            raise SignInRefused("failed", f"the ID token is not valid: {error}") from None
        told = claims.get("nonce")
        if not isinstance(told, str) or not _same(told, nonce):
            raise SignInRefused("failed", "the ID token is of another sign-in")
        if claims.get("azp", self._client_id) != self._client_id:
            raise SignInRefused("failed", "the ID token is for another client")
        if len(claims["sub"]) > 255 or "\0" in claims["sub"]:
            raise SignInRefused("failed", "the subject cannot be kept")
        return claims

    async def _decode(self, metadata: _Metadata, id_token: str) -> dict[str, Any]:
        """Return the claims of a token whose signature is right."""
        for again in (False, True):
            keys = await self._find_keys(metadata.jwks_uri, again=again)
            try:
                return jwt.decode(id_token, keys, algorithms=_ALGORITHMS).claims
            except (JoseError, TypeError, ValueError, KeyError) as error:
                failure = error
        # The provider may have changed its keys since we read them, but not twice.
        raise SignInRefused("failed", f"the ID token's signature is not valid: {failure}")

    async def _find_keys(self, url: str, *, again: bool) -> KeySet:
        patience = _KEYS_AGAIN if again else _FRESH
        if self._keys is not None and time.monotonic() - self._keys[0] < patience:
            return self._keys[1]
        answer = _decode(await _ask("GET", url), dict[str, Any])
        keys = []
        for key in answer.get("keys", []):
            # A set may hold keys of kinds that we do not know, or that are not for signatures.
            try:
                if key.get("kty") != "oct" and key.get("use", "sig") == "sig":
                    keys.append(import_key(key))
            except (JoseError, AttributeError, TypeError, ValueError, KeyError):
                continue
        self._keys = (time.monotonic(), KeySet(keys))
        return self._keys[1]

    async def _userinfo(self, url: str, access_token: str, subject: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {access_token}"}
        told = _decode(await _ask("GET", url, headers=headers), dict[str, Any])
        if told.get("sub") != subject:
            raise SignInRefused("failed", "the userinfo is another person's")
        return {name: told[name] for name in ("email", "email_verified") if name in told}


async def _ask(method: str, url: str, **how: Any) -> bytes:
    """Return the body of a successful answer; redirects are not followed."""
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.request(method, url, allow_redirects=False, **how) as response,
        ):
            body = await response.content.read(_MAX_ANSWER)
            while not response.content.at_eof():
                body += await response.content.read(_MAX_ANSWER)
                if len(body) > _MAX_ANSWER:
                    raise SignInRefused("failed", f"{url} answered at too great a length")
            status = response.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise SignInRefused("failed", f"{url}: {type(error).__name__}") from error
    if status != 200:
        raise SignInRefused("failed", f"{url} answered {status}")
    return body


def _decode(body: bytes, shape: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SignInRefused("failed", f"an answer is not as it should be: {error}") from None


def _same(told: str, kept: str) -> bool:
    return hmac.compare_digest(told.encode("utf-8", "surrogatepass"), kept.encode())
