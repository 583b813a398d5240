"""Who may call what: for every route of both applications and every kind of caller, the answer.

A new route needs a row in `TABLE`; a new path parameter needs a maker in `MAKERS`. Each call is
made against people and things of its own, so that a row may delete what it names.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from tailrace.alerts import store as alerts
from tailrace.alerts.rules import RuleFields
from tailrace.auth import guests, keys, sessions
from tailrace.auth.identity import GUEST_COOKIE, SESSION_COOKIE
from tailrace.db.pool import connect
from tailrace.http import api, chat
from tailrace.ids import uuid7
from tailrace.services import Services
from tailrace.telemetry.ingest import ingest
from tests.integration.api.conftest import generous_settings
from tests.support.attachments import announcement
from tests.support.chat_client import user_message


class Row(NamedTuple):
    """What each kind of caller is answered, as a status.

    Attributes
    ----------
    scope
        The scope that a key needs; ``None`` where no scope helps or none is needed.
    none, guest, other, owner, admin
        Nobody, a guest, a user, the user whom the things in the path belong to, an admin.
    lacking, holding
        The owner's key with every scope but this one, and with this one alone. Where the scope is
        ``admin`` the keys are the admin's.
    json
        The body, or what makes it for the people and things of the call.
    query
        Query parameters.
    before
        What the owner calls first, as ``(route, body)``.
    """

    scope: keys.Scope | None
    none: int
    guest: int
    other: int
    owner: int
    admin: int
    lacking: int
    holding: int
    json: Any = None
    query: dict[str, str] | None = None
    before: tuple[str, Any] | None = None


def _everybody(status: int, **more: Any) -> Row:
    return Row(None, *(status,) * 7, **more)


def _person(status: int, **more: Any) -> Row:
    """A row of somebody signed in with a browser, about nothing but themselves."""
    return Row(None, 401, 401, status, status, status, 403, 403, **more)


def _owned(scope: keys.Scope, status: int, **more: Any) -> Row:
    """A row of something in the path that has an owner, told by guests' 404 not to exist."""
    return Row(scope, 404, 404, 404, status, 404, 403, status, **more)


def _admin(status: int, **more: Any) -> Row:
    """A row of what only an admin may do, about nothing that has an owner."""
    return Row("admin", 401, 401, 403, 403, status, 403, status, **more)


PASSWORD = "correct horse battery"
NEW = {"email": "new@example.org", "password": PASSWORD}
KEY = {"name": "k", "scopes": ["read"]}
CHANGE = {"current_password": PASSWORD, "new_password": PASSWORD}
RULE = {"kind": "error_rate", "threshold": 0.2}
CONVERSATION = "/api/conversations/{conversation_id}"
ATTACHMENT = "/api/attachments/{attachment_id}"
FILE = announcement(b"words", "text/plain")
MESSAGE = CONVERSATION + "/messages/{message_id}"

# Order of the numbers: none, guest, other, owner, admin, key lacking the scope, key holding it.
TABLE: dict[str, Row] = {
    "GET /healthz": _everybody(200),
    "GET /readyz": _everybody(200),
    "GET /api/openapi.json": _everybody(200),
    "GET /api/auth/me": _everybody(200),
    "GET /api/auth/options": _everybody(200),
    "POST /api/auth/register": _everybody(201, json=lambda _: NEW | {"email": f"{uuid4()}@x.org"}),
    "POST /api/auth/login": _everybody(401, json=NEW),
    "POST /api/auth/logout": _everybody(204),
    "POST /api/auth/logout-everywhere": _person(204),
    "PUT /api/auth/password": _person(409, json=CHANGE),
    "DELETE /api/auth/me": _person(204, json={}),
    "POST /api/auth/password-reset": _everybody(202, json=lambda _: {"email": f"{uuid4()}@x.org"}),
    "POST /api/auth/password-reset/confirm": _everybody(
        422, json={"token": "x", "password": PASSWORD}
    ),
    "GET /api/auth/sessions": _person(200),
    "DELETE /api/auth/sessions/{session_id}": Row(None, 401, 401, 404, 204, 404, 403, 403),
    "GET /api/auth/oidc/login": _everybody(303),
    "GET /api/auth/oidc/callback": _everybody(303),
    "GET /api/keys": _person(200),
    "POST /api/keys": _person(201, json=KEY),
    "PATCH /api/keys/{key_id}": Row(None, 401, 401, 404, 200, 404, 403, 403, json={"name": "n"}),
    "DELETE /api/keys/{key_id}": Row(None, 401, 401, 404, 204, 404, 403, 403),
    "GET /api/admin/users": Row("admin", 401, 401, 403, 403, 200, 403, 200),
    "PATCH /api/admin/users/{user_id}": Row(
        "admin", 401, 401, 403, 403, 200, 403, 200, json={"disabled": True}
    ),
    "GET /api/admin/users/{user_id}/quota": Row("admin", 401, 401, 403, 403, 200, 403, 200),
    "PUT /api/admin/users/{user_id}/quota": Row(
        "admin", 401, 401, 403, 403, 200, 403, 200, json={}
    ),
    "GET /api/admin/dead-letters": Row("admin", 401, 401, 403, 403, 200, 403, 200),
    "GET /api/admin/dead-letters/{letter_id}": Row("admin", 401, 401, 403, 403, 200, 403, 200),
    "POST /api/admin/dead-letters/replay": Row(
        "admin", 401, 401, 403, 403, 202, 403, 202, json={"ids": [1]}
    ),
    "POST /api/admin/dead-letters/purge": Row(
        "admin", 401, 401, 403, 403, 200, 403, 200, json={"ids": [1]}
    ),
    "GET /api/admin/queue": _admin(200),
    "GET /api/admin/alerts": _admin(200),
    "POST /api/admin/alerts": _admin(201, json=lambda _: RULE | {"name": str(uuid4())}),
    "GET /api/admin/alerts/history": _admin(200),
    "PATCH /api/admin/alerts/{alert_id}": _admin(200, json={"threshold": 0.5}),
    "DELETE /api/admin/alerts/{alert_id}": _admin(204),
    "PUT /api/admin/alerts/{alert_id}/silence": _admin(
        200, json=lambda _: {"until": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    ),
    "DELETE /api/admin/alerts/{alert_id}/silence": _admin(200),
    "GET /api/usage": Row("read", 200, 200, 200, 200, 200, 403, 200),
    "POST /api/guests/import": Row(
        "write", 401, 401, 200, 200, 200, 403, 200, json={"conversations": []}
    ),
    "GET /api/models": _everybody(200),
    "GET /api/metrics/overview": Row("metrics", 200, 200, 200, 200, 200, 403, 200),
    "GET /api/metrics/calls": Row("metrics", 200, 200, 200, 200, 200, 403, 200),
    "GET /api/metrics/series": Row("metrics", 200, 200, 200, 200, 200, 403, 200),
    "GET /api/metrics/breakdown": Row(
        "metrics", 200, 200, 200, 200, 200, 403, 200, query={"by": "model"}
    ),
    "GET /api/metrics/histogram": Row("metrics", 200, 200, 200, 200, 200, 403, 200),
    "GET /api/metrics/top": Row("metrics", 200, 200, 200, 200, 200, 403, 200),
    "GET /api/metrics/calls/{call_id}": Row("metrics", 404, 404, 404, 200, 200, 403, 200),
    "GET /api/metrics/export": Row("metrics", 200, 200, 200, 200, 200, 403, 200),
    "GET /api/metrics/live": Row(
        "metrics", 200, 200, 200, 200, 200, 403, 200, query={"seconds": "1"}
    ),
    # No token is set; with one it is for whoever has it.
    "GET /metrics": _everybody(404),
    "GET /api/conversations": Row("read", 200, 200, 200, 200, 200, 403, 200),
    "GET /api/tags": Row("read", 200, 200, 200, 200, 200, 403, 200),
    "GET /api/search": Row("read", 200, 200, 200, 200, 200, 403, 200, query={"q": "words"}),
    f"GET {CONVERSATION}": _owned("read", 200),
    f"PATCH {CONVERSATION}": _owned("write", 200, json={"title": "t"}),
    f"DELETE {CONVERSATION}": _owned("write", 204),
    f"POST {CONVERSATION}/restore": _owned("write", 200),
    f"PUT {CONVERSATION}/active-leaf": _owned(
        "write", 200, json=lambda world: {"message_id": world.made["message_id"]}
    ),
    f"GET {CONVERSATION}/head": _owned("read", 200),
    f"GET {MESSAGE}/branch": _owned("read", 200),
    f"DELETE {MESSAGE}": _owned("write", 200),
    f"GET {CONVERSATION}/export": _owned("read", 200),
    f"GET {CONVERSATION}/shares": _owned("read", 200),
    f"POST {CONVERSATION}/shares": _owned("write", 201, json={}),
    f"DELETE {CONVERSATION}/shares": _owned("write", 204),
    f"DELETE {CONVERSATION}/shares/{{share_id}}": _owned("write", 204),
    "GET /api/shared/{token}": _everybody(200),
    # The message holds no file.
    "GET /api/shared/{token}/files/{place}/{number}": _everybody(404),
    "POST /api/attachments": Row("chat", 401, 401, 201, 201, 201, 403, 201, json=FILE),
    f"GET {ATTACHMENT}": _owned("read", 200),
    f"GET {ATTACHMENT}/content": _owned("read", 200),
    # It is here already.
    f"PUT {ATTACHMENT}/upload": _owned("chat", 409),
    f"POST {ATTACHMENT}/complete": _owned("chat", 200),
    f"DELETE {ATTACHMENT}": _owned("chat", 204),
    "GET /api/export": Row("read", 401, 401, 200, 200, 200, 403, 200),
    "POST /api/import": Row("write", 401, 401, 200, 200, 200, 403, 200, json=[]),
    f"PUT {MESSAGE}/feedback": _owned("write", 200, json={"rating": "up"}),
    f"DELETE {MESSAGE}/feedback": _owned(
        "write", 204, before=(f"PUT {MESSAGE}/feedback", {"rating": "up"})
    ),
    "POST /api/chat": Row(
        "chat", 200, 200, 200, 200, 200, 403, 200,
        json=lambda _: {"id": str(uuid4()), "message": user_message("Hi")},
    ),
    "GET /api/chat/{conversation_id}/stream": Row("chat", 204, 204, 404, 204, 404, 403, 204),
    "POST /api/chat/{conversation_id}/stop": Row("chat", 204, 204, 404, 204, 404, 403, 204),
}  # fmt: skip


class Account(NamedTuple):
    """A user, signed in."""

    id: UUID
    secret: str


class World:
    """The people of one call, and what the owner has.

    Attributes
    ----------
    made
        By name of path parameter: the ids of what the makers made.
    """

    def __init__(self, services: Services, http: httpx.AsyncClient) -> None:
        self.services = services
        self.http = http
        self.made: dict[str, str] = {}

    async def populate(self) -> None:
        """Make the people."""
        self.owner = await self._sign_in("user")
        self.other = await self._sign_in("user")
        self.admin = await self._sign_in("admin")

    async def make(self, route: str, row: Row) -> None:
        """Make what the path of a route names."""
        for name in _parameters(route):
            self.made[name] = await MAKERS[name](self)
        if row.before is not None:
            before, body = row.before
            method, template = before.split()
            await self.as_owner(method, template.format_map(self.made), json=body)

    async def send(self, caller: str, route: str, row: Row) -> httpx.Response:
        """Call a route as a kind of caller."""
        method, template = route.split()
        path = template.format_map(self.made)
        body = row.json(self) if callable(row.json) else row.json
        headers = await self.headers(caller, row.scope)
        # What an earlier answer set must not speak for this caller.
        self.http.cookies.clear()
        return await self.http.request(method, path, params=row.query, headers=headers, json=body)

    async def headers(self, caller: str, scope: keys.Scope | None) -> dict[str, str]:
        """Return what tells who is calling."""
        if caller == "none":
            return {}
        if caller == "guest":
            _, cookie = guests.issue(self.services.settings)
            return {"cookie": f"{GUEST_COOKIE}={cookie}"}
        if caller in ("lacking", "holding"):
            user = self.admin if scope == "admin" else self.owner
            scopes = [each for each in keys.SCOPES if (each == scope) == (caller == "holding")]
            key = await self.key_of(user, scopes or ["read"])
            return {"authorization": f"Bearer {key}"}
        account: Account = getattr(self, caller)
        return {"cookie": f"{SESSION_COOKIE}={account.secret}"}

    async def key_of(self, user: Account, scopes: list[keys.Scope]) -> str:
        """Return a new key of a user."""
        in_an_hour = datetime.now(UTC) + timedelta(hours=1)
        _, key = await keys.create(self.services.pool, user.id, "k", scopes, in_an_hour)
        return key

    async def as_owner(self, method: str, path: str, **body: Any) -> httpx.Response:
        """Call as the owner, to make something."""
        headers = await self.headers("owner", None)
        self.http.cookies.clear()
        response = await self.http.request(method, path, headers=headers, **body)
        assert response.is_success, response.text
        return response

    async def _sign_in(self, role: str) -> Account:
        id = uuid7()
        async with connect(self.services.pool) as connection:
            await connection.execute(
                "INSERT INTO users (id, email, role) VALUES (%s, %s, %s)",
                (id, f"{id}@example.org", role),
            )
        return Account(id, await sessions.create(self.services.pool, id, 3600))


async def _conversation(world: World) -> str:
    id = str(uuid4())
    body = {"id": id, "message": user_message("Hi")}
    answer = await world.as_owner("POST", "/api/chat", json=body)
    world.made["message_id"] = answer.headers["x-tailrace-run-id"]
    return id


async def _message(world: World) -> str:
    # Made together with its conversation, which stands before it in every path.
    return world.made["message_id"]


async def _call(world: World) -> str:
    await _conversation(world)
    await ingest(world.services)
    return world.made["message_id"]


async def _share(world: World) -> str:
    id = world.made.get("conversation_id") or await _conversation(world)
    share = await world.as_owner("POST", f"/api/conversations/{id}/shares", json={})
    world.made["token"] = share.json()["token"]
    return share.json()["id"]


async def _token(world: World) -> str:
    await _share(world)
    return world.made["token"]


async def _attachment(world: World) -> str:
    begun = (await world.as_owner("POST", "/api/attachments", json=FILE)).json()
    await world.as_owner("PUT", begun["upload"]["url"], content=b"words")
    await world.as_owner("POST", f"/api/attachments/{begun['id']}/complete")
    return begun["id"]


async def _one(world: World) -> str:
    return "1"


async def _session(world: World) -> str:
    return (await world.as_owner("GET", "/api/auth/sessions")).json()["items"][0]["id"]


async def _key(world: World) -> str:
    return (await world.as_owner("POST", "/api/keys", json=KEY)).json()["id"]


async def _user(world: World) -> str:
    return str(world.owner.id)


async def _letter(world: World) -> str:
    async with connect(world.services.pool) as connection:
        cursor = await connection.execute(
            "INSERT INTO inference_dead_letters (source, source_id, reason, payload)"
            " VALUES ('queue', '1', 'no event', %s) RETURNING id",
            (uuid4().bytes,),
        )
        row = await cursor.fetchone()
    assert row is not None
    return str(row["id"])


async def _alert(world: World) -> str:
    rule = await alerts.create(
        world.services.pool, RuleFields(name=str(uuid4()), kind="error_rate", threshold=0.2)
    )
    return str(rule["id"])


MAKERS: dict[str, Callable[[World], Awaitable[str]]] = {
    "conversation_id": _conversation,
    "message_id": _message,
    "share_id": _share,
    "call_id": _call,
    "token": _token,
    "attachment_id": _attachment,
    "place": _one,
    "number": _one,
    "session_id": _session,
    "key_id": _key,
    "user_id": _user,
    "alert_id": _alert,
    "letter_id": _letter,
}


def _parameters(route: str) -> list[str]:
    return [part[1:-1] for part in route.split("/") if part.startswith("{")]


def test_every_route_has_a_row() -> None:
    services = Services(generous_settings("postgresql://", "redis://localhost", Path("/nowhere")))
    routes = {
        f"{method} {route.path}"
        for app in (api.create_app(services), chat.create_app(services))
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        # Starlette adds it to every GET.
        if method != "HEAD"
    }

    assert sorted(routes - set(TABLE)) == [], "routes without a row"
    assert sorted(set(TABLE) - routes) == [], "rows without a route"
    assert {name for route in TABLE for name in _parameters(route)} <= set(MAKERS)


@pytest.mark.parametrize("route", TABLE)
async def test_each_kind_of_caller_is_answered_as_the_table_says(
    every_route: SimpleNamespace, route: str
) -> None:
    row = TABLE[route]
    callers = ("none", "guest", "other", "owner", "admin", "lacking", "holding")
    answered, told = {}, {}
    for caller in callers:
        world = World(every_route.services, every_route.http)
        await world.populate()
        await world.make(route, row)
        response = await world.send(caller, route, row)
        answered[caller] = response.status_code
        told[caller] = response.text[:200]
        if response.status_code >= 400:
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["status"] == response.status_code

    assert answered == {caller: getattr(row, caller) for caller in callers}, told
