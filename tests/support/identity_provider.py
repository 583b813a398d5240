"""A real OpenID provider on a loopback port, that holds clients to PKCE as well."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import oidc_provider_mock
from werkzeug.serving import BaseWSGIServer

Environment = dict[str, Any]


class IdentityProvider:
    """The provider as a test drives it.

    Attributes
    ----------
    issuer
        Its address.
    token_requests
        The forms that it was sent for tokens.
    """

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.token_requests: list[dict[str, str]] = []
        self._challenges: dict[str, str] = {}

    async def know(self, subject: str, **claims: Any) -> None:
        """Have it know a person."""
        async with httpx.AsyncClient() as http:
            path = f"{self.issuer}/users/{quote(subject)}"
            (await http.put(path, json=claims)).raise_for_status()

    async def sign_in(self, url: str, subject: str | None) -> str:
        """Sign in on its page, or refuse to; return the address that it sends the browser to."""
        form = {"action": "deny"} if subject is None else {"sub": subject}
        async with httpx.AsyncClient() as http:
            assert (await http.get(url)).status_code == 200
            response = await http.post(url, data=form)
        assert response.status_code == 302, response.text
        return response.headers["location"]

    def hold_to_pkce(self, inner: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """Return the WSGI application around `inner`, which itself asks nobody for a verifier."""

        def app(environment: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
            if environment["PATH_INFO"] == "/oauth2/authorize":
                return inner(environment, self._noting_code(environment, start_response))
            if environment["PATH_INFO"] == "/oauth2/token" and not self._is_proven(environment):
                start_response("400 Bad Request", [("content-type", "application/json")])
                return [b'{"error": "invalid_grant"}']
            return inner(environment, start_response)

        return app

    def _noting_code(
        self, environment: Environment, start_response: Callable[..., Any]
    ) -> Callable[..., Any]:
        query = parse_qs(environment["QUERY_STRING"])

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            location = dict(headers).get("Location", "")
            for code in parse_qs(urlsplit(location).query).get("code", []):
                assert query["code_challenge_method"] == ["S256"]
                self._challenges[code] = query["code_challenge"][0]
            return start_response(status, headers, *rest)

        return start

    def _is_proven(self, environment: Environment) -> bool:
        body = environment["wsgi.input"].read(int(environment["CONTENT_LENGTH"]))
        environment["wsgi.input"] = BytesIO(body)
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.token_requests.append(form)
        digest = sha256(form.get("code_verifier", "").encode()).digest()
        challenge = urlsafe_b64encode(digest).decode().rstrip("=")
        return self._challenges.get(form.get("code", "")) == challenge


@contextmanager
def running() -> Iterator[IdentityProvider]:
    """Run a provider that knows nobody yet."""
    with oidc_provider_mock.run_server_in_thread(require_nonce=True) as server:
        assert isinstance(server, BaseWSGIServer)
        provider = IdentityProvider(f"http://localhost:{server.server_port}")
        server.app = provider.hold_to_pkce(server.app)
        yield provider
