"""Signing in through an identity provider: two addresses that a browser visits."""

import logging
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from tailrace.auth import attempts, sessions
from tailrace.auth.identity import client_address, set_cookie, set_session_cookie
from tailrace.http.api.deps import CurrentServices
from tailrace.problems import Problem
from tailrace.services import Services

router = APIRouter(prefix="/api/auth/oidc", tags=["auth"])

_log = logging.getLogger(__name__)

_COOKIE = "tailrace_oidc"
_PATH = "/api/auth/oidc"
# A path of this site: two slashes, or a backslash, would lead to another.
_NEXT = r"^/([^/\\\s\x00-\x1f][^\\\s\x00-\x1f]*)?$"


@router.get("/login", status_code=303, response_class=RedirectResponse)
async def login(
    request: Request,
    services: CurrentServices,
    next: Annotated[str, Query(max_length=500, pattern=_NEXT)] = "/",
) -> Response:
    """Send the browser to the identity provider; it comes back to the path `next`."""
    from tailrace.auth.oidc import LOGIN_TTL, SignInRefused

    _require_provider(services)
    address = client_address(request)
    await attempts.take_visit(services.redis, services.settings, "oidc", address)
    try:
        url, cookie = await services.oidc.begin(next)
    except SignInRefused as refused:
        return _back(refused)
    response = RedirectResponse(url, status_code=303, headers={"cache-control": "no-store"})
    set_cookie(services, response, _COOKIE, cookie, LOGIN_TTL, path=_PATH)
    return response


@router.get("/callback", status_code=303, response_class=RedirectResponse)
async def callback(request: Request, services: CurrentServices) -> Response:
    """Take the browser back, signed in; or to ``/?sign_in_error=`` and a word on why it is not."""
    from tailrace.auth import identities
    from tailrace.auth.oidc import SignInRefused

    _require_provider(services)
    settings = services.settings
    await attempts.take_visit(services.redis, settings, "oidc-callback", client_address(request))
    try:
        identity, next = await services.oidc.finish(
            request.cookies.get(_COOKIE), request.query_params
        )
        user = await identities.sign_in(
            services.pool, identity, is_open=settings.registration == "open"
        )
    except SignInRefused as refused:
        return _back(refused)
    secret = await sessions.create(
        services.pool, user["id"], settings.session_ttl, request.headers.get("user-agent")
    )
    response = RedirectResponse(next, status_code=303, headers={"cache-control": "no-store"})
    response.delete_cookie(_COOKIE, path=_PATH)
    set_session_cookie(services, response, secret)
    return response


def _require_provider(services: Services) -> None:
    if services.settings.oidc_issuer is None:
        raise Problem(404, "Not found", "There is no identity provider here.")


def _back(refused: Exception) -> Response:
    from tailrace.auth.oidc import SignInRefused

    assert isinstance(refused, SignInRefused)
    if refused.why == "failed":
        _log.warning("a sign-in failed: %s", refused)
    query = urlencode({"sign_in_error": refused.why})
    response = RedirectResponse(f"/?{query}", status_code=303)
    response.delete_cookie(_COOKIE, path=_PATH)
    return response
