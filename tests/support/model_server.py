"""A real HTTP server on loopback that sends a model API's bytes exactly as a test says.

Every connection is handed to the test's script, which can pause, cut the connection, or wait for
the client to close it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Exchange:
    """One request, and the means to answer it."""

    method: str
    path: str
    headers: dict[str, str]
    content: bytes
    body: Any
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    client_closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, data: bytes) -> None:
        """Send bytes and wait until the kernel has them."""
        self._writer.write(data)
        await self._writer.drain()

    async def begin_stream(self) -> None:
        """Send the head of an event stream whose end is the end of the connection."""
        await self.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
        await self.send(b"connection: close\r\n\r\n")

    async def send_chunk(self, *chunks: dict[str, Any]) -> None:
        """Send a chat completion chunk, or several at once."""
        await self.send(b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in chunks))

    async def send_text(self, text: str) -> None:
        """Send one piece of an answer."""
        await self.send_chunk({"id": "c1", "model": "m", "choices": [{"delta": {"content": text}}]})

    async def finish(self, *, prompt_tokens: int = 3, completion_tokens: int = 2) -> None:
        """End the answer the way chat completions do."""
        await self.send_chunk({"id": "c1", "choices": [{"delta": {}, "finish_reason": "stop"}]})
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
        await self.send_chunk({"id": "c1", "choices": [], "usage": usage})
        await self.send(b"data: [DONE]\n\n")

    async def respond(self, status: int, body: bytes, **headers: str) -> None:
        """Send a whole response."""
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)

    def reset(self) -> None:
        """Cut the connection without a word."""
        self._writer.transport.abort()


Script = Callable[[Exchange], Awaitable[None]]


class ModelServer:
    """The server; `script` answers every request from the moment it is set."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.script: Script = answer("Hello", " there")
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        """What a provider's settings call ``base_url``."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Close the port and every connection."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            exchange = await _read(reader, writer)
            self.exchanges.append(exchange)
            watch = asyncio.create_task(_watch(exchange))
            try:
                await self.script(exchange)
            finally:
                watch.cancel()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def answer(*pieces: str) -> Script:
    """Return a script that streams these pieces and ends well."""

    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        for piece in pieces:
            await exchange.send_text(piece)
        await exchange.finish()

    return script


def begin_and_wait(piece: str) -> Script:
    """Return a script that begins an answer and leaves it to the client to go."""

    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        await exchange.send_text(piece)
        await exchange.client_closed.wait()

    return script


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {}
    for line in filter(None, head[1:]):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Exchange(method, path, headers, body, json.loads(body or b"null"), reader, writer)


async def _watch(exchange: Exchange) -> None:
    with suppress(ConnectionError):
        await exchange._reader.read()
    exchange.client_closed.set()
