"""Requests that another site made in somebody's name: refused before any route sees them.

Around both HTTP applications. Browsers say where a request comes from; what is no browser says
nothing, and has no cookies of anybody's to abuse.
https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
"""

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from tailrace.auth.identity import has_bearer
from tailrace.http import problems
from tailrace.problems import Problem

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class SameOrigin:
    """Lets a request that changes something pass only from our own page, or from no page at all.

    A request with an API key passes: no other site can make a browser send one.

    Parameters
    ----------
    public_url
        Origin of the page, where that is not the address that requests arrive at.
    """

    def __init__(self, app: ASGIApp, public_url: str | None) -> None:
        self._app = app
        self._public_origin = public_url.lower() if public_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and scope["method"] not in _SAFE:
            request = HTTPConnection(scope)
            if not has_bearer(request) and not self._is_ours(request):
                app = problems.response_of(
                    Problem(403, "Cross-site request", "This request comes from another site.")
                )
        await app(scope, receive, send)

    def _is_ours(self, request: HTTPConnection) -> bool:
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        origin = request.headers.get("origin")
        if origin is None:
            return True
        own = f"{request.url.scheme}://{request.headers.get('host', '')}".lower()
        return origin.lower() in (own, self._public_origin)
