"""Page, API and streams as one application over one `Services`: what one address serves.

Called by `tailrace.server`, and any other place that is one process; on AWS the content delivery
network does this routing, and no function imports it.
"""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Mount, Router
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from tailrace.http import api, chat, problems
from tailrace.http.page_headers import origins_of_files, page_headers, page_policy
from tailrace.services import Services

# What the chat function serves on AWS, since it streams.
_STREAMED = re.compile(r"/api/(chat/.*|conversations/[^/]*/export|metrics/(live|export))")

# The build puts a hash of the content into the names under assets/.
_HASHED = "assets/"
_FOREVER = "public, max-age=31536000, immutable"


def part_of(path: str) -> Literal["api", "chat", "page"]:
    """Return which part of the site a path belongs to: on AWS, whose origin answers it."""
    if path in ("/api/chat", "/api/export") or _STREAMED.fullmatch(path):
        return "chat"
    if path.startswith("/api/") or path in ("/api", "/healthz", "/readyz", "/metrics"):
        return "api"
    return "page"


def create_page(web_root: Path, files: Iterable[str] = (), *, over_tls: bool = False) -> Starlette:
    """Return the application that serves the built page.

    Parameters
    ----------
    files
        Origins of the files of messages, beside the page's own.
    over_tls
        Whether browsers reach it by HTTPS.
    """
    page = _Page(web_root, page_policy(files), over_tls=over_tls)
    return Starlette(routes=[Mount("/", page)], exception_handlers=problems.HANDLERS)


def create_app(services: Services, web_root: Path) -> "Site":
    """Return the application.

    Parameters
    ----------
    services
        Opened and closed by the application's lifespan.
    web_root
        Folder of the built page, with its ``index.html``.

    Raises
    ------
    SettingsError
        When a provider's settings cannot be used.
    """
    return Site(services, web_root)


class Site(Router):
    """The application; `interrupt` ends its runs ahead of a shutdown."""

    def __init__(self, services: Services, web_root: Path) -> None:
        super().__init__(default=self._dispatch, redirect_slashes=False, lifespan=self._live)
        self._services = services
        self._chat = chat.create_app(services, lifespan=False)
        self._parts: dict[str, ASGIApp] = {
            "api": api.create_app(services, lifespan=False),
            "chat": self._chat,
            "page": create_page(
                web_root,
                origins_of_files(services.settings),
                over_tls=services.settings.secure_cookies,
            ),
        }
        self._chat_life = AsyncExitStack()

    async def interrupt(self) -> None:
        """End the runs under way, keeping what they have; may be called again.

        A server that stops calls this before it waits for its connections: a reader then gets the
        end of its stream, where it would otherwise hold the server up until the answer is whole.
        """
        await self._chat_life.aclose()

    @asynccontextmanager
    async def _live(self, app: ASGIApp) -> AsyncIterator[None]:
        await self._services.open()
        try:
            await self._chat_life.enter_async_context(
                self._chat.router.lifespan_context(self._chat)
            )
            yield
        finally:
            await self.interrupt()
            await self._services.close()

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._parts[part_of(scope["path"])](scope, receive, send)


class _Page(StaticFiles):
    """The built page; a path that is no file belongs to the page's own router."""

    def __init__(self, web_root: Path, policy: str, *, over_tls: bool) -> None:
        super().__init__(directory=web_root)
        self._policy = policy
        self._over_tls = over_tls

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or PurePosixPath(path).suffix:
                raise
            path = "index.html"
            response = await super().get_response(path, scope)
        response.headers["cache-control"] = _FOREVER if path.startswith(_HASHED) else "no-cache"
        headers = page_headers(scope["path"], self._policy, over_tls=self._over_tls)
        response.headers.update(headers)
        return response
