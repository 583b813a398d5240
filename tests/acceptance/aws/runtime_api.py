"""The Lambda Runtime API over real HTTP, played for a function that runs as a process.

`function` starts such a process, `function_url` puts HTTP in front of it. What is played here is
the documented contract and one thing that is not written down: a runtime that was killed while it
waited leaves a dead ``/next`` behind, and the event handed to it must go to its successor.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import asyncio
import base64
import itertools
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from tests.acceptance.aws import http1

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:tailrace"
TRACE_ID = "Root=1-6741c0f3-5f302e550dcde3b12402207d;Parent=53995c3f42cd8ad8;Sampled=0"


# Seconds a test waits for the next sign of life before it fails.
_PATIENCE = 240.0

# Bytes that Go's HTTP server buffers before it turns to chunks.
_CHUNK = 2048


class FunctionError(Exception):
    """The function answered an event with an error; `details` is what it reported."""

    def __init__(self, details: dict[str, Any]) -> None:
        super().__init__(f"{details['errorType']}: {details['errorMessage']}")
        self.details = details


class RuntimeExited(Exception):
    """The process ended or hung up before its answer was complete."""


class Invocation:
    """One event and, as it arrives, the answer to it."""

    def __init__(self, event: Any, timeout: float) -> None:
        self.event = event
        self.request_id = str(uuid.uuid4())
        self.invocation_id = str(uuid.uuid4())
        self.deadline_ms = int((time.time() + timeout) * 1000)
        self.headers: dict[str, str] = {}
        self.trailers: dict[str, str] = {}
        self._answering = asyncio.Event()
        self._chunks: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    @property
    def streamed(self) -> bool:
        return self.headers.get("lambda-runtime-function-response-mode") == "streaming"

    async def answer(self) -> None:
        """Wait until the function begins to answer, well or badly."""
        await asyncio.wait_for(self._answering.wait(), _PATIENCE)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks of the answer's body, each as the function sent it.

        Raises
        ------
        FunctionError
            Where the function reported a failure, before or after its first chunk.
        RuntimeExited
            Where it ended without a word.
        """
        while (item := await asyncio.wait_for(self._chunks.get(), _PATIENCE)) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    async def result(self) -> Any:
        """Return the JSON value of a buffered answer."""
        return json.loads(b"".join([chunk async for chunk in self.chunks()]))

    async def prelude(self) -> dict[str, Any]:
        """Return status, headers and cookies of a streamed answer, its first chunk."""
        async for chunk in self.chunks():
            prelude, body = chunk.split(bytes(8), 1)
            assert not body, "the prelude travels alone, before the first byte of the body"
            return json.loads(prelude)
        raise AssertionError("the answer has no prelude")

    async def receive(self, request: http1.Request) -> None:
        """Take the body of ``POST .../response`` as it comes."""
        self.headers = request.headers
        self._answering.set()
        try:
            async for chunk in request.chunks():
                self._chunks.put_nowait(chunk)
        except asyncio.IncompleteReadError:
            self.end(RuntimeExited("the answer was cut"))
            return
        self.trailers = request.trailers
        if body := self.trailers.get("lambda-runtime-function-error-body"):
            self.end(FunctionError(json.loads(base64.b64decode(body))))
        else:
            self.end(None)

    def end(self, error: Exception | None) -> None:
        self._answering.set()
        self._chunks.put_nowait(error)


class RuntimeApi:
    """A server of the Runtime API; one process at a time asks it for events."""

    def __init__(self) -> None:
        self.init_error: asyncio.Future[dict[str, Any]] = asyncio.Future()
        self.restore_error: asyncio.Future[dict[str, Any]] = asyncio.Future()
        #: Set when a process first asks for an event: its init is over.
        self.ready = asyncio.Event()
        self.snapshot_offered = asyncio.Event()
        #: Set by a test to let the process that offered itself for a snapshot go on.
        self.restored = asyncio.Event()
        self.calls: list[str] = []
        self._order = itertools.count()
        self._waiting: asyncio.PriorityQueue[tuple[int, Invocation]] = asyncio.PriorityQueue()
        self._running: dict[str, Invocation] = {}
        self._stopped: Exception | None = None

    async def __aenter__(self) -> "RuntimeApi":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = "{}:{}".format(*self._server.sockets[0].getsockname())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def invoke(self, event: Any, *, timeout: float = 60.0) -> Invocation:
        """Hand an event to the function; `timeout` is the time it is told it has, in seconds."""
        invocation = Invocation(event, timeout)
        if self._stopped is None:
            self._waiting.put_nowait((next(self._order), invocation))
        else:
            invocation.end(self._stopped)
        return invocation

    def runtime_exited(self, *, killed: bool) -> None:
        """End what was under way in a process that is gone, and what waits for one that failed."""
        for invocation in self._running.values():
            invocation.end(RuntimeExited("the process ended"))
        self._running.clear()
        if not killed:
            self._stop(RuntimeExited("the process ended"))

    def _stop(self, error: Exception) -> None:
        self._stopped = self._stopped or error
        while not self._waiting.empty():
            self._waiting.get_nowait()[1].end(self._stopped)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await http1.read_request(reader):
            call = request.target.removeprefix("/2018-06-01/runtime/")
            self.calls.append(f"{request.method} {call}")
            status, headers, body = await self._call(call, request)
            if status:
                writer.write(_response(status, headers, body))
        writer.close()

    async def _call(
        self, call: str, request: http1.Request
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        if call == "invocation/next":
            return await self._next(request.reader)
        if call == "restore/next":
            self.snapshot_offered.set()
            await self.restored.wait()
            return 200, [], b""
        if call in ("init/error", "restore/error"):
            future = self.init_error if call == "init/error" else self.restore_error
            report = json.loads(await request.body())
            future.set_result({"headers": request.headers, **report})
            self._stop(FunctionError(report))
            return 202, [], b'{"status":"OK"}'
        _, request_id, kind = call.split("/")
        invocation = self._running.pop(request_id, None)
        if invocation is None:
            await request.body()
            return 400, [], b'{"errorType":"InvalidRequestID","errorMessage":"unknown"}'
        if kind == "error":
            invocation.headers = request.headers
            invocation.end(FunctionError(json.loads(await request.body())))
        else:
            await invocation.receive(request)
        return 202, [], b'{"status":"OK"}'

    async def _next(self, reader: asyncio.StreamReader) -> tuple[int, list[tuple[str, str]], bytes]:
        self.ready.set()
        event = asyncio.ensure_future(self._waiting.get())
        hung_up = asyncio.ensure_future(reader.read(1))
        await asyncio.wait({event, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        if hung_up.done():
            if event.done():
                self._waiting.put_nowait(event.result())
            event.cancel()
            return 0, [], b""
        hung_up.cancel()
        await asyncio.wait({hung_up})
        _, invocation = event.result()
        self._running[invocation.request_id] = invocation
        headers = [
            ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(invocation.deadline_ms)),
            ("Lambda-Runtime-Invoked-Function-Arn", ARN),
            ("Lambda-Runtime-Trace-Id", TRACE_ID),
            ("Lambda-Runtime-Invocation-Id", invocation.invocation_id),
            ("Content-Type", "application/json"),
        ]
        return 200, headers, json.dumps(invocation.event).encode()


def _response(status: int, headers: list[tuple[str, str]], body: bytes) -> bytes:
    if len(body) <= _CHUNK:
        return http1.head(status, [*headers, ("Content-Length", str(len(body)))]) + body
    # Lambda's server is written in Go, which sends a longer body in chunks.
    chunks = [body[start : start + _CHUNK] for start in range(0, len(body), _CHUNK)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
    return http1.head(status, [*headers, ("Transfer-Encoding", "chunked")]) + framed
