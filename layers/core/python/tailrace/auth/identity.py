"""The caller of a request: a signed-in user or a guest, found from the request's cookies.

Used by both HTTP applications; never by anything below them.
"""

from typing import Literal, NamedTuple
from uuid import UUID

from starlette.requests import HTTPConnection
from starlette.responses import Response

from tailrace.auth import guests, sessions
from tailrace.services import Services

SESSION_COOKIE = "tailrace_session"
GUEST_COOKIE = "tailrace_guest"


class Caller(NamedTuple):
    """Who is calling.

    Attributes
    ----------
    id
        The user's or the guest's id: the owner of whatever the caller makes.
    email, role
        ``None`` for a guest.
    new_guest_cookie
        Value to set when this request made the guest.
    """

    kind: Literal["user", "guest"]
    id: UUID
    email: str | None = None
    role: Literal["user", "admin"] | None = None
    new_guest_cookie: str | None = None


async def identify(services: Services, request: HTTPConnection) -> Caller:
    """Return the caller; without a valid cookie that is a new guest.

    Raises
    ------
    Problem
        503 when a session cookie cannot be checked because the database is down.
    """
    session_id = request.cookies.get(SESSION_COOKIE)
    if session_id:
        user = await sessions.find_user(services.pool, session_id)
        if user is not None:
            return Caller("user", user["id"], user["email"], user["role"])
    settings = services.settings
    guest_id = guests.read(settings, request.cookies.get(GUEST_COOKIE))
    if guest_id is not None:
        return Caller("guest", guest_id)
    guest_id, cookie = guests.issue(settings)
    return Caller("guest", guest_id, new_guest_cookie=cookie)


def set_guest_cookie(services: Services, response: Response, caller: Caller) -> None:
    """Hand a new guest its cookie; do nothing for anyone else."""
    if caller.new_guest_cookie is not None:
        settings = services.settings
        _set(services, response, GUEST_COOKIE, caller.new_guest_cookie, settings.guest_ttl)


def set_session_cookie(services: Services, response: Response, session_id: str) -> None:
    """Hand a user the cookie of a new session."""
    _set(services, response, SESSION_COOKIE, session_id, services.settings.session_ttl)


def _set(services: Services, response: Response, name: str, value: str, max_age: int) -> None:
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path="/",
        httponly=True,
        samesite="lax",
        secure=services.settings.secure_cookies,
    )
