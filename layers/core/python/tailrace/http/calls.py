"""Calls as they come in, and downloads of as many as there are: part of the chat application.

They are streamed, which the api function cannot do: what it answers is held to 6 MB.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tailrace.auth.identity import client_address, identify, require_scope, set_guest_cookie
from tailrace.http import problems
from tailrace.http.metrics_access import bounds, owner_of
from tailrace.metrics import tables
from tailrace.metrics.calls import CallFilter, all_calls
from tailrace.metrics.live import live
from tailrace.metrics.spans import Span
from tailrace.problems import invalid
from tailrace.services import Services

_MEDIA_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


class _Query(CallFilter, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The query parameters of both routes."""

    start: datetime | None = msgspec.field(default=None, name="from")
    to: datetime | None = None
    user_id: UUID | None = None
    format: Literal["json", "csv"] = "json"
    # A reader comes back by itself; on Lambda nothing else would end what it follows.
    seconds: Annotated[float, Meta(ge=1, le=600)] = 600.0


def routes(services: Services) -> list[Route]:
    """Return the routes."""
    calls = _Calls(services)
    return [
        Route("/api/metrics/live", calls.live, methods=["GET"]),
        Route("/api/metrics/export", calls.export, methods=["GET"]),
    ]


class _Calls:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def live(self, request: Request) -> Response:
        """GET /api/metrics/live"""
        query, owner_id, headers, caller = await self._read(request)
        response = StreamingResponse(
            live(self._services.pool, owner_id, query.seconds),
            media_type="text/event-stream",
            headers={
                **headers,
                "cache-control": "no-cache, no-transform",
                # nginx would wait for more.
                "x-accel-buffering": "no",
            },
        )
        set_guest_cookie(self._services, response, caller)
        return response

    async def export(self, request: Request) -> Response:
        """GET /api/metrics/export"""
        query, owner_id, headers, caller = await self._read(request)
        start, end = bounds(query.start, query.to, datetime.now(UTC))
        Span.of(start, end)
        only = CallFilter(**{name: getattr(query, name) for name in CallFilter.__struct_fields__})
        pages = all_calls(self._services.pool, owner_id, start, end, only)
        # What is wrong shows before the first byte, when it can still be told.
        first = await anext(pages)
        write = _as_csv if query.format == "csv" else _as_json
        response = StreamingResponse(
            write(first, pages),
            media_type=_MEDIA_TYPES[query.format],
            headers={
                **headers,
                "content-disposition": (
                    f'attachment; filename="tailrace-calls-{end:%Y-%m-%d}.{query.format}"'
                ),
                "cache-control": "private, no-store",
                "x-content-type-options": "nosniff",
            },
        )
        set_guest_cookie(self._services, response, caller)
        return response

    async def _read(self, request: Request) -> tuple[Any, ...]:
        """Return the query, whose calls it is about, headers of the limits, and the caller."""
        caller = await identify(self._services, request)
        require_scope(caller, "metrics")
        try:
            query = msgspec.convert(dict(request.query_params), _Query, strict=False)
        except msgspec.ValidationError as error:
            raise problems.of_validation(error) from None
        for field, moment in (("from", query.start), ("to", query.to)):
            if moment is not None and moment.tzinfo is None:
                raise invalid(field, "Needs an offset from UTC, such as Z.")
        owner_id = owner_of(caller, query.user_id)
        headers = await self._services.limiter.take_request(caller, client_address(request))
        return query, owner_id, headers, caller


_Pages = AsyncIterator[list[dict[str, Any]]]


async def _as_csv(first: list[dict[str, Any]], rest: _Pages) -> AsyncIterator[bytes]:
    columns = list(tables.flatten(first[0])) if first else None
    yield tables.to_csv(first)
    async with aclosing(rest):  # pyright: ignore[reportArgumentType]
        async for page in rest:
            yield tables.to_csv(page, columns)


async def _as_json(first: list[dict[str, Any]], rest: _Pages) -> AsyncIterator[bytes]:
    between = b"["
    for call in first:
        yield between + msgspec.json.encode(call)
        between = b",\n"
    async with aclosing(rest):  # pyright: ignore[reportArgumentType]
        async for page in rest:
            yield b"".join(b",\n" + msgspec.json.encode(call) for call in page)
    yield b"]\n" if between != b"[" else b"[]\n"
