"""How fast an answer passes through Tailrace, beside a plain passthrough of the same model server.

Three applications relay one mock of a chat completions server, each in a process of its own:

- ``passthrough``: raw ASGI and aiohttp, bytes in, bytes out: the limit;
- ``adapter``: the provider adapter alone, decoded and encoded again;
- ``full``: the whole chat path of a signed-in user, PostgreSQL and Valkey included.

Run with ``python -m bench.relay``; prints a Markdown table.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

HOST = "127.0.0.1"
KINDS = ("passthrough", "adapter", "full")
# Throughput: answers long enough to hide their start, by the number of streams at once.
FAST = {1: "burst-20000", 50: "burst-1000"}
# Waiting: an answer paced as models give them, so that the wait for its first chunk is not the
# wait for a busy processor.
PACED = "paced-20"
# An answer that is long enough to be stopped.
LONG = "paced-1000"
STOPS = 20
PACE = 0.02


# --- The model server ----------------------------------------------------------------------------


def run_mock(port: int) -> None:
    """Serve chat completions of as many chunks as the model's name says, fast or paced."""
    chunk = _http_chunk(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion.chunk",
            "created": 1_760_000_000,
            "model": "mock",
            "choices": [{"index": 0, "delta": {"content": " token"}, "finish_reason": None}],
        }
    )
    end = _http_chunk(
        {
            "id": "chatcmpl-bench",
            "model": "mock",
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 10},
        }
    ) + (b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )

    # The machine's monotonic clock when a client last left in mid-answer.
    left_at = 0.0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left_at
        answering = False
        try:
            while True:
                answering = False
                request = await _read_request(reader)
                if request is None:
                    body = json.dumps(left_at).encode()
                    writer.write(
                        b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
                    )
                    continue
                answering = True
                writer.write(head)
                kind, _, count = request["model"].partition("-")
                left, paced = min(int(count), request["max_tokens"]), kind == "paced"
                for _ in range(left):
                    # uvloop's writer raises RuntimeError where asyncio's says the connection went.
                    if writer.is_closing():
                        raise ConnectionResetError
                    # A model server flushes every token by itself.
                    writer.write(chunk)
                    await writer.drain()
                    await asyncio.sleep(PACE if paced else 0)
                writer.write(end)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            if answering:
                left_at = time.monotonic()
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, HOST, port, backlog=512)
        await server.serve_forever()

    import uvloop

    uvloop.run(main())


def _http_chunk(value: dict[str, Any]) -> bytes:
    data = b"data: " + json.dumps(value).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _read_request(reader: asyncio.StreamReader) -> Any:
    head = await reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"GET"):
        return None
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    return json.loads(await reader.readexactly(length))


# --- The applications ----------------------------------------------------------------------------


def run_app(kind: str, port: int, mock_url: str) -> None:
    """Serve one of the applications."""
    import uvicorn

    app = {"passthrough": _passthrough, "adapter": _adapter, "full": _full}[kind](mock_url)
    uvicorn.run(app, host=HOST, port=port, log_level="error", access_log=False, backlog=512)


def _passthrough(mock_url: str) -> Any:
    import aiohttp

    session: aiohttp.ClientSession | None = None

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal session
        if scope["type"] != "http":
            return
        if session is None:
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), read_bufsize=1 << 18
            )
        body = await _asgi_body(receive)
        async with session.post(mock_url + "/chat/completions", data=body) as response:
            await _asgi_start(send)
            async for data in response.content.iter_any():
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def _adapter(mock_url: str) -> Any:
    from tailrace.providers.base import ModelRequest, PromptMessage, TextDelta
    from tailrace.providers.openai_compatible import OpenAICompatible
    from tailrace.runs.wire import delta_frame
    from tailrace.settings import ProviderSettings

    provider = OpenAICompatible(
        ProviderSettings(name="mock", kind="openai_compatible", base_url=mock_url)
    )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = json.loads(await _asgi_body(receive))
        request = ModelRequest(
            body["model"], [PromptMessage.of_text("user", "Hi")], body["max_tokens"]
        )
        await _asgi_start(send)
        number = 0
        async for deltas in provider.stream(request):
            frames = []
            for delta in deltas:
                if isinstance(delta, TextDelta):
                    number += 1
                    frames.append(delta_frame(number, "text", "0", delta.text))
            await send({"type": "http.response.body", "body": b"".join(frames), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def _full(mock_url: str) -> Any:
    from tailrace.http.site import create_app
    from tailrace.services import Services
    from tailrace.settings import Settings

    return create_app(Services(Settings.load()), Path(tempfile.gettempdir()))


async def _asgi_body(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _asgi_start(send: Any) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


# --- The client ----------------------------------------------------------------------------------


async def measure(port: int, body: bytes, cookie: str, path: str) -> tuple[float, int, float]:
    """Read one stream; return seconds to the first chunk, chunks, and seconds in all."""
    reader, writer = await asyncio.open_connection(HOST, port, limit=1 << 20)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n"
        f"cookie: {cookie}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    began = time.perf_counter()
    writer.write(head.encode() + body)
    first = None
    pieces = []
    while data := await reader.read(1 << 18):
        if first is None and (b"text-delta" in data or b'"content"' in data):
            first = time.perf_counter() - began
        pieces.append(data)
    took = time.perf_counter() - began
    writer.close()
    whole = b"".join(pieces)
    chunks = whole.count(b'"text-delta"') or whole.count(b'"content"')
    if first is None:
        raise RuntimeError(f"no chunk came: {whole[:500]!r}")
    return first, chunks, took


def body_of(kind: str, model: str) -> tuple[str, bytes]:
    """Return path and body of a request, in a conversation of its own."""
    if kind != "full":
        return "/", json.dumps({"model": model, "max_tokens": 1_000_000}).encode()
    message = {"id": str(uuid4()), "role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    body = {"id": str(uuid4()), "message": message, "model": f"mock/{model}"}
    return "/api/chat", json.dumps(body).encode()


async def burst(
    kind: str, port: int, cookie: str, model: str, streams: int
) -> tuple[list[float], float]:
    """Start so many streams at once; return their waits and the chunks per second of all."""
    requests = [body_of(kind, model) for _ in range(streams)]
    began = time.perf_counter()
    results = await asyncio.gather(*(measure(port, body, cookie, path) for path, body in requests))
    took = time.perf_counter() - began
    counted, expected = sum(result[1] for result in results), int(model.partition("-")[2]) * streams
    if counted != expected:
        raise RuntimeError(f"{kind}: {counted} chunks of {expected}")
    return [result[0] for result in results], counted / took


# --- The run -------------------------------------------------------------------------------------


@contextmanager
def process(*arguments: str, env: dict[str, str] | None = None) -> Iterator[None]:
    """Run this module in another process; its last argument but one is the port to wait for."""
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.relay", *arguments], env=os.environ | (env or {})
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection((HOST, int(arguments[-2])), timeout=1).close()
                break
            except OSError:
                if child.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{arguments} did not start") from None
                time.sleep(0.05)
        yield
    finally:
        child.terminate()
        child.wait()


def full_environment(stack: ExitStack, mock_url: str) -> dict[str, str]:
    """Start PostgreSQL and Valkey and return the settings of the full path."""
    from localstack.embedded.postgres import Postgres
    from localstack.embedded.valkey import Valkey
    from tailrace.db.migrate import migrate

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tailrace-bench-")))
    postgres, valkey = Postgres(folder / "postgres"), Valkey(folder / "valkey")
    postgres.start()
    stack.callback(postgres.stop)
    valkey.start()
    stack.callback(valkey.stop)
    postgres.create_database("bench")
    asyncio.run(migrate(postgres.url("bench")))
    provider = {
        "name": "mock",
        "kind": "openai_compatible",
        "base_url": mock_url,
        "models": [*FAST.values(), PACED, LONG],
    }
    return {
        "TAILRACE_DATABASE_URL": postgres.url("bench"),
        "TAILRACE_REDIS_URL": valkey.url,
        "TAILRACE_SECRET_KEY": "x" * 32,
        "TAILRACE_PROVIDERS": json.dumps([provider]),
        "TAILRACE_MAX_OUTPUT_TOKENS": "1000000",
        "TAILRACE_SECURE_COOKIES": "false",
    }


def sign_in(port: int) -> str:
    """Register a user with the full path and return the session cookie."""
    import httpx

    credentials = {"email": "bench@example.org", "password": "correct horse battery"}
    with httpx.Client(base_url=f"http://{HOST}:{port}", timeout=30) as client:
        client.post("/api/auth/register", json=credentials).raise_for_status()
        return f"tailrace_session={client.cookies['tailrace_session']}"


async def measure_all(ports: dict[str, int], cookie: str, rounds: int) -> dict[str, dict[str, Any]]:
    """Measure the applications in turn, round by round, so that all see the same machine."""
    speeds: dict[Any, list[float]] = {}
    waits: dict[Any, list[float]] = {}
    for number in range(rounds + 1):
        for kind, port in ports.items():
            for streams in FAST:
                _, speed = await burst(kind, port, cookie, FAST[streams], streams)
                first: list[float] = []
                for _ in range(10 if streams == 1 else 3):
                    first += (await burst(kind, port, cookie, PACED, streams))[0]
                if number:  # The first round warms up.
                    speeds.setdefault((kind, streams), []).append(speed)
                    waits.setdefault((kind, streams), []).extend(first)
    return {
        kind: {
            f"{what}{streams}": statistics.median(values[kind, streams])
            for streams in FAST
            for what, values in (("speed", speeds), ("wait", waits))
        }
        for kind in ports
    }


async def measure_stops(port: int, cookie: str, mock_port: int) -> list[float]:
    """Return seconds from a request to stop until the model server saw its client leave."""
    import httpx

    async with (
        httpx.AsyncClient(base_url=f"http://{HOST}:{port}", headers={"cookie": cookie}) as client,
        httpx.AsyncClient(base_url=f"http://{HOST}:{mock_port}") as mock,
    ):
        waits = []
        for _ in range(STOPS):
            path, body = body_of("full", LONG)
            headers = {"content-type": "application/json"}
            async with client.stream("POST", path, content=body, headers=headers) as response:
                lines = response.aiter_lines()
                while "text-delta" not in await anext(lines):
                    pass
                asked_at = time.monotonic()
                await client.post(f"{path}/{json.loads(body)['id']}/stop")
                left_at = 0.0
                while left_at < asked_at:
                    left_at = (await mock.get("/")).json()
                waits.append(left_at - asked_at)
                async for _ in lines:
                    pass
        return waits


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the results as a Markdown table, with the ratios to the passthrough."""
    lines = [
        "| path | chunks/s, 1 stream | chunks/s, 50 streams | first chunk p50, 1 stream |"
        " first chunk p50, 50 streams |",
        "| --- | --- | --- | --- | --- |",
    ]
    limit = results["passthrough"]
    for kind, row in results.items():
        cells = [kind]
        for streams in FAST:
            speed = row[f"speed{streams}"]
            cells.append(f"{speed:,.0f} ({speed / limit[f'speed{streams}']:.2f})")
        for streams in FAST:
            wait = row[f"wait{streams}"]
            added = wait - limit[f"wait{streams}"]
            cells.append(f"{wait * 1000:.1f} ms ({added * 1000:+.1f})")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.create_server((HOST, 0)) as listener:
        return listener.getsockname()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark the relay of a streamed answer.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with ExitStack() as stack:
        mock_port = free_port()
        mock_url = f"http://{HOST}:{mock_port}/v1"
        stack.enter_context(process("mock", str(mock_port), mock_url))
        settings = full_environment(stack, mock_url)
        ports = {}
        for kind in KINDS:
            ports[kind] = free_port()
            stack.enter_context(process(kind, str(ports[kind]), mock_url, env=settings))
        cookie = sign_in(ports["full"])
        results = asyncio.run(measure_all(ports, cookie, rounds))
        stops = asyncio.run(measure_stops(ports["full"], cookie, mock_port))
    print(table(results))
    print(
        f"\nFrom a request to stop to the provider's closed connection: median"
        f" {statistics.median(stops) * 1000:.0f} ms, longest {max(stops) * 1000:.0f} ms"
        f" of {STOPS}; the mock notices within {PACE * 1000:.0f} ms."
    )


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "mock":
        run_mock(int(sys.argv[2]))
    elif len(sys.argv) == 4 and sys.argv[1] in KINDS:
        run_app(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    else:
        main()
