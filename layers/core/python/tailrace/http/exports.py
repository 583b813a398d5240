"""Downloads of a user's conversations, part of the chat application.

They are streamed, which the api function cannot do: what it answers is held to 6 MB.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Literal, cast
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tailrace.auth.identity import Caller, client_address, identify, require_scope
from tailrace.ids import parse_uuid
from tailrace.problems import Problem, invalid, not_found
from tailrace.services import Services
from tailrace.transfer import export

_FORMATS = {"markdown": ("text/markdown", "md"), "json": ("application/json", "json")}


def routes(services: Services) -> list[Route]:
    """Return the routes."""
    exports = _Exports(services)
    return [
        Route("/api/export", exports.account, methods=["GET"]),
        Route("/api/conversations/{conversation_id}/export", exports.conversation, methods=["GET"]),
    ]


class _Exports:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def account(self, request: Request) -> Response:
        """GET /api/export"""
        after = _after(request)
        caller = await self._reader(request)
        if caller.kind == "guest":
            raise Problem(401, "Not signed in", "Sign in to export your conversations.")
        pool, settings = self._services.pool, self._services.settings
        headers = await self._services.limiter.take_request(caller, client_address(request))
        volume = await export.plan(pool, caller.id, after, settings.export_volume_bytes)
        if volume.more:
            headers["link"] = f'</api/export?after={volume.last_id}>; rel="next"'
        # Whoever only chats need not wait for it.
        from tailrace.transfer.archive import archive

        pieces = archive(pool, self._services.files, caller.id, volume)
        return await _download(pieces, "application/zip", "zip", headers)

    async def conversation(self, request: Request) -> Response:
        """GET /api/conversations/{conversation_id}/export"""
        id = parse_uuid(request.path_params["conversation_id"])
        format = request.query_params.get("format", "json")
        if format not in _FORMATS:
            raise invalid("format", "Must be markdown or json.")
        caller = await self._reader(request)
        if id is None or caller.kind == "guest":
            raise not_found("conversation")
        pieces = export.conversation(
            self._services.pool,
            self._services.files,
            caller.id,
            id,
            cast('Literal["markdown", "json"]', format),
        )
        return await _download(pieces, *_FORMATS[format], {})

    async def _reader(self, request: Request) -> Caller:
        caller = await identify(self._services, request)
        require_scope(caller, "read")
        return caller


def _after(request: Request) -> UUID | None:
    text = request.query_params.get("after")
    if text is None:
        return None
    after = parse_uuid(text)
    if after is None:
        raise invalid("after", "Not the id of a conversation.")
    return after


async def _download(
    pieces: AsyncIterator[bytes], media_type: str, suffix: str, headers: dict[str, str]
) -> Response:
    # What is wrong shows before the first piece, when it can still be told.
    first = await anext(pieces)
    return _Download(
        first,
        pieces,
        media_type=media_type,
        headers={
            **headers,
            "content-disposition": (
                f'attachment; filename="tailrace-{datetime.now(UTC):%Y-%m-%d}.{suffix}"'
            ),
            "cache-control": "private, no-store",
            "x-content-type-options": "nosniff",
        },
    )


class _Download(StreamingResponse):
    """A stream that gives its database connection back whenever and however it ends."""

    def __init__(
        self, first: bytes, rest: AsyncIterator[bytes], *, media_type: str, headers: dict[str, str]
    ) -> None:
        super().__init__(self._all(first), media_type=media_type, headers=headers)
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._rest):  # pyright: ignore[reportArgumentType]
            await super().__call__(scope, receive, send)

    async def _all(self, first: bytes) -> AsyncIterator[bytes]:
        yield first
        async for piece in self._rest:
            yield piece
