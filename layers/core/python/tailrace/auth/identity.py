"""The caller of a request: a user by session cookie or API key, or a guest by signed cookie.

Used by both HTTP applications; never by anything below them.
"""

from typing import Literal, NamedTuple
from uuid import UUID

from starlette.requests import HTTPConnection
from starlette.responses import Response

from tailrace.auth import guests, keys, sessions
from tailrace.auth.keys import Scope
from tailrace.problems import Problem
from tailrace.services import Services

#: Where a key is told to whatever keeps ``Authorization`` for itself, as a distribution does that
#: signs its requests to a function URL.
KEY_HEADER = "x-tailrace-key"

SESSION_COOKIE = "tailrace_session"
GUEST_COOKIE = "tailrace_guest"


class Caller(NamedTuple):
    """Who is calling.

    Attributes
    ----------
    id
        The user's or the guest's id: the owner of whatever the caller makes.
    email
        ``None`` for a guest.
    role
        ``None`` for a guest; ``admin`` through a key only if the key has that scope as well.
    new_guest_cookie
        Value to set when this request made the guest.
    scopes
        What a key may do; ``None`` in a browser, where a user may do whatever the role may.
    key_id, session_id
        What the user called with.
    """

    kind: Literal["user", "guest"]
    id: UUID
    email: str | None = None
    role: Literal["user", "admin"] | None = None
    new_guest_cookie: str | None = None
    scopes: frozenset[str] | None = None
    key_id: UUID | None = None
    session_id: UUID | None = None


async def identify(services: Services, request: HTTPConnection) -> Caller:
    """Return the caller, at the price of one query; without a key or cookie that is a new guest.

    Raises
    ------
    Problem
        401 when a key is not valid, 503 when a key or session cannot be checked because the
        database is down.
    """
    key = bearer(request)
    if key is not None:
        return await _of_key(services, key)
    secret = request.cookies.get(SESSION_COOKIE)
    if secret:
        user = await sessions.find_user(services.pool, secret)
        if user is not None:
            return Caller(
                "user", user["id"], user["email"], user["role"], session_id=user["session_id"]
            )
    settings = services.settings
    guest_id = guests.read(settings, request.cookies.get(GUEST_COOKIE))
    if guest_id is not None:
        return Caller("guest", guest_id)
    guest_id, cookie = guests.issue(settings)
    return Caller("guest", guest_id, new_guest_cookie=cookie)


def require_scope(caller: Caller, scope: Scope) -> None:
    """Let a caller pass who may do what the scope names; whoever has no key may.

    Raises
    ------
    Problem
        403 when the caller's key lacks the scope.
    """
    if caller.scopes is not None and scope not in caller.scopes:
        raise Problem(
            403,
            "Not permitted",
            f"This API key lacks the scope {scope}.",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
        )


def has_bearer(request: HTTPConnection) -> bool:
    """Tell whether the caller is known by a key, so that cookies count for nothing."""
    return bearer(request) is not None


def bearer(request: HTTPConnection) -> str | None:
    """Return the key or token that a program calls with, ``None`` where there is none."""
    key = request.headers.get(KEY_HEADER)
    if key is not None:
        return key.strip()
    # Other schemes are not for us: a distribution signs its requests in this header as well.
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else None


def client_address(request: HTTPConnection) -> str:
    """Return the address that the request came from, empty when it is not known."""
    return request.client.host if request.client else ""


def set_guest_cookie(services: Services, response: Response, caller: Caller) -> None:
    """Hand a new guest its cookie; do nothing for anyone else."""
    if caller.new_guest_cookie is not None:
        settings = services.settings
        set_cookie(services, response, GUEST_COOKIE, caller.new_guest_cookie, settings.guest_ttl)


def set_session_cookie(services: Services, response: Response, secret: str) -> None:
    """Hand a user the cookie of a new session."""
    set_cookie(services, response, SESSION_COOKIE, secret, services.settings.session_ttl)


def set_cookie(
    services: Services, response: Response, name: str, value: str, max_age: int, path: str = "/"
) -> None:
    """Set a cookie that scripts cannot read and other sites cannot send along with a POST."""
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path=path,
        httponly=True,
        samesite="lax",
        secure=services.settings.secure_cookies,
    )


async def _of_key(services: Services, key: str) -> Caller:
    user = await keys.find_user(services.pool, key)
    if user is None:
        raise Problem(
            401,
            "Not signed in",
            "The API key is not valid, was revoked or has expired.",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )
    scopes = frozenset(user["scopes"])
    role = "admin" if user["role"] == "admin" and "admin" in scopes else "user"
    return Caller("user", user["id"], user["email"], role, scopes=scopes, key_id=user["key_id"])
