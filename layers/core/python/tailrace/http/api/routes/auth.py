"""Accounts: who am I, register, sign in and out, passwords, sessions."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from tailrace.auth import attempts, emails, resets, sessions, users
from tailrace.auth.identity import (
    SESSION_COOKIE,
    Caller,
    client_address,
    set_session_cookie,
)
from tailrace.http.api.deps import CurrentCaller, CurrentServices, PageCursor, PageSize, Person
from tailrace.http.api.paths import id_of
from tailrace.problems import Problem
from tailrace.services import Services

router = APIRouter(prefix="/api/auth", tags=["auth"])


def _normal(email: str) -> str:
    address = emails.normal(email)
    if address is None:
        raise PydanticCustomError("email", "This is not an email address.")
    return address


_Email = Annotated[
    str, Field(max_length=1024, json_schema_extra={"format": "email"}), AfterValidator(_normal)
]
_Password = Annotated[str, Field(min_length=12, max_length=1024)]


class Credentials(BaseModel):
    """An email address and a password."""

    model_config = ConfigDict(extra="forbid")

    email: _Email
    password: _Password


class PasswordChange(BaseModel):
    """The password that is, and the one that is to be."""

    model_config = ConfigDict(extra="forbid")

    current_password: str = Field(min_length=1, max_length=1024)
    new_password: _Password


class ResetRequest(BaseModel):
    """Whose password was lost."""

    model_config = ConfigDict(extra="forbid")

    email: _Email


class Reset(BaseModel):
    """The token of a reset link, and a new password."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(min_length=1, max_length=200)
    password: _Password


class Me(BaseModel):
    """The caller, and what a guest has left."""

    kind: Literal["user", "guest"]
    id: UUID
    email: str | None
    role: Literal["user", "admin"] | None
    has_password: bool | None = Field(
        default=None, description="Whether a user can sign in with a password."
    )
    guest_limit: int | None = None
    guest_remaining: int | None = None


class Options(BaseModel):
    """How people get in: what the page has to offer."""

    registration: Literal["open", "closed"]
    password_reset: bool
    oidc: str | None = Field(description="What to call the identity provider, if there is one.")


class SessionItem(BaseModel):
    """A browser that somebody signed in with."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    user_agent: str | None
    current: bool


class SessionPage(BaseModel):
    """A page of sessions."""

    items: list[SessionItem]
    next_cursor: str | None


@router.get("/me")
async def me(request: Request, services: CurrentServices, caller: CurrentCaller) -> Me:
    """Tell who is calling; somebody without a cookie becomes a guest."""
    if caller.kind == "user":
        return _of(caller, has_password=await users.has_password(services.pool, caller.id))
    return Me(
        kind="guest",
        id=caller.id,
        email=None,
        role=None,
        guest_limit=services.settings.guest_limit,
        guest_remaining=await services.limiter.guest_remaining(caller, client_address(request)),
    )


@router.get("/options")
async def options(services: CurrentServices) -> Options:
    """Tell how people get in here."""
    settings = services.settings
    return Options(
        registration=settings.registration,
        password_reset=_can_reset(services),
        oidc=settings.oidc_name if settings.oidc_issuer else None,
    )


@router.post("/register", status_code=201)
async def register(
    credentials: Credentials, request: Request, services: CurrentServices, response: Response
) -> Me:
    """Make an account and sign in; the first account is the admin's."""
    settings = services.settings
    await attempts.take_visit(services.redis, settings, "register", client_address(request))
    user = await users.register(
        services.pool,
        credentials.email,
        credentials.password,
        is_open=settings.registration == "open",
    )
    return await _sign_in(services, request, response, user)


@router.post("/login")
async def login(
    credentials: Credentials, request: Request, services: CurrentServices, response: Response
) -> Me:
    """Sign in."""
    address = client_address(request)
    await attempts.take_sign_in(services.redis, services.settings, address, credentials.email)
    user = await users.authenticate(services.pool, credentials.email, credentials.password)
    return await _sign_in(services, request, response, user)


@router.post("/logout", status_code=204)
async def logout(request: Request, services: CurrentServices, response: Response) -> None:
    """End this session."""
    if secret := request.cookies.get(SESSION_COOKIE):
        await sessions.end(services.pool, secret)
    response.delete_cookie(SESSION_COOKIE, path="/")


@router.post("/logout-everywhere", status_code=204)
async def logout_everywhere(services: CurrentServices, caller: Person, response: Response) -> None:
    """End every session of the caller, this one too."""
    await sessions.end_all(services.pool, caller.id)
    response.delete_cookie(SESSION_COOKIE, path="/")


@router.put("/password", status_code=204)
async def change_password(
    change: PasswordChange, services: CurrentServices, caller: Person
) -> None:
    """Change the caller's password; every other session ends."""
    await attempts.take_password(services.redis, services.settings, str(caller.id))
    await users.change_password(
        services.pool, caller.id, caller.session_id, change.current_password, change.new_password
    )


@router.post("/password-reset", status_code=202)
async def request_reset(
    body: ResetRequest, request: Request, services: CurrentServices
) -> dict[str, str]:
    """Ask for a link by mail; the answer is the same whether or not anybody has the address."""
    if not _can_reset(services):
        raise Problem(
            403, "No mail", "Passwords cannot be reset by mail here. Ask whoever runs this."
        )
    address = client_address(request)
    await attempts.take_mail(services.redis, services.settings, address, body.email)
    await resets.request(services.pool, body.email)
    return {"status": "accepted"}


@router.post("/password-reset/confirm", status_code=204)
async def confirm_reset(body: Reset, request: Request, services: CurrentServices) -> None:
    """Set a new password with the token of a link; every session ends."""
    address = client_address(request)
    await attempts.take_visit(services.redis, services.settings, "reset", address)
    await users.reset_password(services.pool, body.token, body.password)


@router.get("/sessions")
async def list_sessions(
    services: CurrentServices,
    caller: Person,
    limit: PageSize = 30,
    cursor: PageCursor = None,
) -> SessionPage:
    """List where the caller is signed in, the newest first."""
    rows = await sessions.list_page(
        services.pool, caller.id, limit + 1, services.cursors.decode(cursor)
    )
    page, next_cursor = services.cursors.page(rows, limit)
    items = [SessionItem(**row, current=row["id"] == caller.session_id) for row in page]
    return SessionPage(items=items, next_cursor=next_cursor)


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(session_id: str, services: CurrentServices, caller: Person) -> None:
    """Sign out somewhere else."""
    await sessions.end_one(services.pool, caller.id, id_of("session", session_id))


def _can_reset(services: Services) -> bool:
    settings = services.settings
    return settings.mail_url is not None and settings.public_url is not None


async def _sign_in(services: Services, request: Request, response: Response, user: dict) -> Me:
    secret = await sessions.create(
        services.pool,
        user["id"],
        services.settings.session_ttl,
        request.headers.get("user-agent"),
    )
    set_session_cookie(services, response, secret)
    return _of(Caller("user", user["id"], user["email"], user["role"]), has_password=True)


def _of(caller: Caller, *, has_password: bool) -> Me:
    return Me(
        kind=caller.kind,
        id=caller.id,
        email=caller.email,
        role=caller.role,
        has_password=has_password,
    )
