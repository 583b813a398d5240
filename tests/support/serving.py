"""Serving an ASGI application on a real loopback port, inside the test's event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):  # The signals are pytest's.
        yield


@asynccontextmanager
async def serve(app: Any) -> AsyncIterator[str]:
    """Serve `app`, lifespan included, and yield its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    # As the embedded stack does: a forwarded address would be the client's own claim.
    config = uvicorn.Config(
        app, log_level="warning", proxy_headers=False, timeout_graceful_shutdown=2
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        if task.done():
            await task
            raise RuntimeError("the application did not start")
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
