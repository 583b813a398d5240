"""The page, and the functions behind it, at one address: what CloudFront is on AWS.

Called by `__main__`, over an emulator's function URLs. They are reached at the emulator's own
address, by the name in ``Host``, since few machines can resolve the names themselves.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send
from yarl import URL

from tailrace.http.site import create_page, part_of

# Headers of one connection, not of the message (RFC 9110, 7.6.1), and those that the client writes.
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te"})
_OURS = frozenset({"host", "content-length"})


def create_app(endpoint_url: str, urls: Mapping[str, str], web_root: Path) -> Starlette:
    """Return the application.

    Parameters
    ----------
    endpoint_url
        The emulator.
    urls
        Function URLs of ``chat`` and ``api``.
    web_root
        Folder of the built page.
    """
    hosts = {part: urlsplit(url).netloc for part, url in urls.items()}

    @asynccontextmanager
    async def live(app: Starlette) -> AsyncIterator[None]:
        # An answer takes as long as its run does.
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
            app.state.session = session
            yield

    # Signed requests for files go to the emulator, by its own name or by one for each bucket.
    host = urlsplit(endpoint_url)
    page = create_page(web_root, [endpoint_url, f"{host.scheme}://*.{host.netloc}"])

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if part_of(scope["path"]) == "page":
            await page(scope, receive, send)
        else:
            response = await forward(Request(scope, receive))
            await response(scope, receive, send)

    async def forward(request: Request) -> Response:
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if name not in _HOP_BY_HOP | _OURS
        ]
        headers.append(("host", hosts[part_of(request.url.path)]))
        raw = f"{endpoint_url}{request.scope['raw_path'].decode()}"
        if request.url.query:
            raw += f"?{request.url.query}"
        answer = await request.app.state.session.request(
            request.method,
            URL(raw, encoded=True),
            headers=headers,
            data=await request.body(),
            allow_redirects=False,
        )

        async def body() -> AsyncIterator[bytes]:
            async with answer:
                async for chunk in answer.content.iter_any():
                    yield chunk

        response = StreamingResponse(body(), answer.status)
        response.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.headers.items()
            if name.lower() not in _HOP_BY_HOP
        ]
        return response

    return Starlette(routes=[Mount("/", dispatch)], lifespan=live)
