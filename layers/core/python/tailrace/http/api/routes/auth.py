"""Accounts: who am I, register, sign in, sign out."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tailrace.auth import guests, sessions, users
from tailrace.auth.identity import SESSION_COOKIE, Caller, set_session_cookie
from tailrace.http.api.deps import CurrentCaller, CurrentServices
from tailrace.services import Services

router = APIRouter(prefix="/api/auth", tags=["auth"])

# Whether an address exists is for a mail to find out; this only keeps nonsense away.
_EMAIL = r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+$"
_Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254, pattern=_EMAIL)]


class Credentials(BaseModel):
    """An email address and a password."""

    model_config = ConfigDict(extra="forbid")

    email: _Email
    password: str = Field(min_length=12, max_length=1024)


class Me(BaseModel):
    """The caller, and what a guest has left."""

    kind: Literal["user", "guest"]
    id: UUID
    email: str | None
    role: Literal["user", "admin"] | None
    guest_limit: int | None = None
    guest_remaining: int | None = None


@router.get("/me")
async def me(request: Request, services: CurrentServices, caller: CurrentCaller) -> Me:
    """Tell who is calling; somebody without a cookie becomes a guest."""
    if caller.kind == "user":
        return _of(caller)
    address = request.client.host if request.client else ""
    return Me(
        kind="guest",
        id=caller.id,
        email=None,
        role=None,
        guest_limit=services.settings.guest_limit,
        guest_remaining=await guests.remaining(
            services.redis, services.settings, caller.id, address
        ),
    )


@router.post("/register", status_code=201)
async def register(credentials: Credentials, services: CurrentServices, response: Response) -> Me:
    """Make an account and sign in; the first account is the admin's."""
    user = await users.register(services.pool, credentials.email, credentials.password)
    return await _sign_in(services, response, user)


@router.post("/login")
async def login(credentials: Credentials, services: CurrentServices, response: Response) -> Me:
    """Sign in."""
    user = await users.authenticate(services.pool, credentials.email, credentials.password)
    return await _sign_in(services, response, user)


@router.post("/logout", status_code=204)
async def logout(request: Request, services: CurrentServices, response: Response) -> None:
    """End this session."""
    if session_id := request.cookies.get(SESSION_COOKIE):
        await sessions.end(services.pool, session_id)
    response.delete_cookie(SESSION_COOKIE, path="/")


async def _sign_in(services: Services, response: Response, user: dict) -> Me:
    session_id = await sessions.create(services.pool, user["id"], services.settings.session_ttl)
    set_session_cookie(services, response, session_id)
    return _of(Caller("user", user["id"], user["email"], user["role"]))


def _of(caller: Caller) -> Me:
    return Me(kind=caller.kind, id=caller.id, email=caller.email, role=caller.role)
