"""Odd requests to every route of both applications: none is a defect of the server's.

Each request is one that the table of callers knows to work, with something in it made odd: a
field, a parameter, an id, the body as bytes. A new route is tried as soon as it has its row there.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from tailrace.auth import sessions
from tailrace.db.pool import connect
from tailrace.problems import Problem
from tests.integration.api.test_access_matrix import (
    CONVERSATION,
    MESSAGE,
    TABLE,
    Row,
    World,
)
from tests.support.chat_client import user_message

_REQUESTS = 16
# Of a body with much in it.
_MORE_REQUESTS = 60

_IMPORTS = Path(__file__).parents[2] / "events" / "imports"

# They wait for somebody else, or would have to be begun anew after each request.
_TRIED_ELSEWHERE = {"GET /api/auth/oidc/login", "GET /api/auth/oidc/callback"}

# Bodies with more in them than the table needs.
_FULL_BODIES: dict[str, Any] = {
    "POST /api/guests/import": {
        "conversations": [
            {
                "id": str(uuid4()),
                "title": "Trains",
                "model": "scripted/echo",
                "created_at": "2026-11-21T10:00:00Z",
                "updated_at": "2026-11-21T10:05:00Z",
                "messages": [
                    user_message("Hi"),
                    {
                        "id": str(uuid4()),
                        "role": "assistant",
                        "metadata": {"model": "scripted/echo"},
                        "parts": [
                            {"type": "reasoning", "text": "Hm."},
                            {"type": "text", "text": "Hello."},
                        ],
                    },
                ],
            }
        ]
    },
    "POST /api/chat": {
        "id": str(uuid4()),
        "model": "scripted/echo",
        "reasoning_effort": "low",
        "trigger": "submit-message",
        "parent_id": None,
        "message": {
            "id": "m",
            "role": "user",
            "metadata": {},
            "parts": [
                {"type": "text", "text": "Hi"},
                {
                    "type": "file",
                    "mediaType": "text/plain",
                    "filename": "a.txt",
                    "url": "data:text/plain;base64,d29yZHM=",
                },
            ],
        },
    },
    f"PATCH {CONVERSATION}": {
        "title": "t",
        "model": "scripted/echo",
        "tags": ["a", "b"],
        "pinned": True,
        "archived": False,
        "system_prompt": "p",
        "parameters": {"max_output_tokens": 9, "reasoning_effort": "low", "temperature": 1},
    },
    f"POST {CONVERSATION}/shares": {"expires_at": "2036-01-01T00:00:00Z", "show_name": True},
    f"PUT {MESSAGE}/feedback": {"rating": "up", "note": "n"},
    "POST /api/keys": {"name": "k", "scopes": ["read"], "expires_at": "2036-01-01T00:00:00Z"},
}

_IMPORTED = [
    json.loads((_IMPORTS / f"{name}.json").read_bytes())
    for name in ("tailrace", "chatgpt", "claude")
]

_TEXTS: list[str] = [
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "x" * 70_000,
    "0",
    "-1",
    "1e999",
    "NaN",
    "9" * 5_000,
    "٣",
    "²",
    "true",
    "null",
    "\u202egnp.exe",
    "\ufeff\u200b",
    "e\u0301" * 40,
    "../../../etc/passwd",
    "%00%ff",
    "' OR 1=1 --",
    "00000000-0000-0000-0000-000000000000",
    "{00000000-0000-7000-8000-000000000000}",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2026-02-30T25:61:61Z",
    "a@b.c\r\nBcc: d@e.f",
    "\u212aate@example.org",
    "data:text/plain;base64,====",
    "http://127.0.0.1:9/",
]
_VALUES: list[Any] = [
    *_TEXTS,
    None,
    True,
    0,
    -1,
    1 << 31,
    1 << 64,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    [],
    {},
    [None] * 2_000,
    {"\0": "\0"},
    {"$gt": ""},
]
_BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"7",
    b"\xff\xfe{\0}\0",
    b'{"a": "\xff"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"[" * 400 + b"]" * 400,
    b"1" * 5_000,
    b"\0" * 1_000,
    b'{"title": "a", "title": {"b": 1}}',
    b'{"\\ud800": "\\udfff"}',
    b" " * (2 << 20),
]
_MEDIA_TYPES = [
    "application/json; charset=utf-16",
    "text/plain",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
    "application/zip",
    "\xff",
    "",
]


@pytest.mark.parametrize("route", sorted(set(TABLE) - _TRIED_ELSEWHERE))
async def test_no_request_is_too_odd(every_route: SimpleNamespace, route: str) -> None:
    chance = random.Random(route)
    row = TABLE[route]
    world = World(every_route.services, every_route.http)
    await world.populate()
    await world.make(route, row)
    names = await _parameters(every_route.http, route)
    method, template = route.split()
    # An admin who owns what the path names gets furthest.
    await _promote(world)
    headers: dict[str, str] = {}
    for number, request in enumerate(_odd_requests(chance, world, row, method, template, names)):
        if number % 10 == 0:
            # Some requests end the session that they come with.
            headers = await _signed_in(world)
        sent = request | {"headers": headers | request.get("headers", {})}
        every_route.http.cookies.clear()
        async with every_route.http.stream(method, **sent) as response:
            if response.status_code >= 400:
                await response.aread()
                told = f"{number}: {request!r:.400} -> {response.status_code} {response.text:.300}"
                assert response.status_code < 500, told
                assert response.headers["content-type"] == "application/problem+json", told
                assert response.json()["status"] == response.status_code, told


def _odd_requests(
    chance: random.Random,
    world: World,
    row: Row,
    method: str,
    template: str,
    names: list[str],
) -> Iterator[dict[str, Any]]:
    """Make the requests, as arguments of ``stream`` without the method."""
    route = f"{method} {template}"
    full = _FULL_BODIES.get(route)
    is_import = route == "POST /api/import"
    for number in range(_MORE_REQUESTS if full or is_import else _REQUESTS):
        if is_import:
            full = _IMPORTED[number % len(_IMPORTED)]
        path = template.format_map(world.made)
        params = dict(row.query or {})
        body = full or (row.json(world) if callable(row.json) else row.json)
        request: dict[str, Any] = {}
        kinds = ["params", "header"]
        if "{" in template:
            kinds.append("path")
        if method not in ("GET", "HEAD"):
            kinds += ["content", *["json"] * 4] if body is not None else ["content"]
        match chance.choice(kinds):
            case "params":
                params[chance.choice([*names, "unknown"])] = chance.choice(_TEXTS)
            case "header":
                name = chance.choice(["last-event-id", "range", "if-none-match", "accept"])
                odd = chance.choice(["\xff", "-1", "bytes=9-1,0-", "9" * 300, "*"])
                request["headers"] = {name: odd.encode("latin-1")}
            case "path":
                odd = {name: _segment(chance) for name in world.made}
                name = chance.choice(list(odd))
                path = template.format_map(world.made | {name: odd[name]})
            case "content":
                request["content"] = chance.choice(_BODIES)
                request["headers"] = {"content-type": "application/json"}
                if number % 3 == 0:
                    odd_type = chance.choice(_MEDIA_TYPES).encode("latin-1")
                    request["headers"] = {"content-type": odd_type}
            case _:
                body = _made_odd(chance, body)
        if method not in ("GET", "HEAD") and "content" not in request and body is not None:
            request["content"] = json.dumps(body).encode()
            request.setdefault("headers", {})["content-type"] = "application/json"
        query = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in params.items())
        yield {"url": f"{path}?{query}" if query else path, **request}


def _made_odd(chance: random.Random, value: Any) -> Any:
    """Return a copy of a body with one thing in it exchanged, added, or taken away."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        name = chance.choice(list(value))
        match chance.randrange(6):
            case 0:
                return {key: kept for key, kept in value.items() if key != name}
            case 1:
                return value | {chance.choice(_TEXTS)[:100]: chance.choice(_VALUES)}
            case _:
                return value | {name: _made_odd(chance, value[name])}
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        return [*value[:place], _made_odd(chance, value[place]), *value[place + 1 :]]
    return chance.choice(_VALUES)


def _segment(chance: random.Random) -> str:
    # A dot alone would be taken for a step in the path by the client.
    return _quoted(chance.choice([text for text in _TEXTS if text] + [str(uuid4())])[:2_000])


def _quoted(text: str) -> str:
    """Escape for an address, lone surrogates as the bytes that they would be."""
    return quote(text[:4_000], safe="", errors="surrogatepass")


async def _parameters(http: httpx.AsyncClient, route: str) -> list[str]:
    """Return the names of the query parameters that a route is documented to take."""
    method, path = route.split()
    document = (await http.get("/api/openapi.json")).json()
    operation = document["paths"].get(path, {}).get(method.lower(), {})
    told = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
    return told or ["format", "run_id", "after"]


async def _promote(world: World) -> None:
    async with connect(world.services.pool) as connection:
        await connection.execute("UPDATE users SET role = 'admin' WHERE id = %s", (world.owner.id,))


async def _signed_in(world: World) -> dict[str, str]:
    """Return the headers of a new session of the owner, or of a new one if that one is gone."""
    try:
        secret = await sessions.create(world.services.pool, world.owner.id, 3600)
    except Problem:
        await world.populate()
        await _promote(world)
    else:
        world.owner = world.owner._replace(secret=secret)
    return await world.headers("owner", None)
