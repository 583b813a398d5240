"""The two ways an HTTP response leaves a function: streamed piece by piece, or as one dict.

`asgi` writes to either through the `Response` protocol and never knows which one it has.
"""

import base64
import json
from collections.abc import Iterable
from typing import Any, Protocol

from tailrace_runtime.runtime_api import (
    ERROR_BODY,
    ERROR_TYPE,
    Call,
    Invocation,
    RuntimeApi,
    describe,
)

Headers = Iterable[tuple[bytes, bytes]]

# The connection to the client is Lambda's own, so these say nothing true about it.
_HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding")

_STREAMING = {
    "Content-Type": "application/vnd.awslambda.http-integration-response",
    "Lambda-Runtime-Function-Response-Mode": "streaming",
    "Transfer-Encoding": "chunked",
    "Trailer": f"{ERROR_TYPE}, {ERROR_BODY}",
}


class Response(Protocol):
    """Where a handler writes its HTTP response: the head once, then the body."""

    started: bool

    async def start(self, status: int, headers: Headers) -> None: ...

    async def write(self, data: bytes) -> None: ...


class StreamedResponse:
    """A response that reaches the client while the handler still writes.

    The request to the Runtime API is the response of the function: prelude, eight NUL bytes, body.
    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
    """

    def __init__(self, api: RuntimeApi, invocation: Invocation) -> None:
        self._api = api
        self._invocation = invocation
        self._call: Call | None = None

    @property
    def started(self) -> bool:
        return self._call is not None

    async def start(self, status: int, headers: Headers) -> None:
        """Send the prelude, so that the client has status and headers before the first byte."""
        path = f"{self._invocation.path}/response"
        call_headers = {**_STREAMING, **self._invocation.headers}
        self._call = await self._api.open("POST", path, call_headers)
        await self.write(json.dumps(prelude(status, headers)).encode() + bytes(8))

    async def write(self, data: bytes) -> None:
        """Send one chunk; nothing for no data, since an empty chunk would end the body."""
        assert self._call is not None
        if data:
            await self._call.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def finish(self, error: Exception | None = None) -> None:
        """End the response; an error goes out as trailers, and the client sees a broken stream."""
        assert self._call is not None
        trailers = b""
        if error is not None:
            body = base64.b64encode(json.dumps(describe(error)).encode()).decode()
            trailers = f"{ERROR_TYPE}: {type(error).__name__}\r\n{ERROR_BODY}: {body}\r\n".encode()
        await self._call.write(b"0\r\n%b\r\n" % trailers)
        await self._call.finish()


class BufferedResponse:
    """A response that is returned whole, for runtimes that cannot stream."""

    def __init__(self) -> None:
        self.started = False
        self._head: dict[str, Any] = {}
        self._body = bytearray()

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True
        self._head = prelude(status, headers)

    async def write(self, data: bytes) -> None:
        self._body += data

    def result(self) -> dict[str, Any]:
        """Return the dict that a buffered function URL takes (payload format 2.0)."""
        try:
            body, is_base64 = self._body.decode(), False
        except UnicodeDecodeError:
            body, is_base64 = base64.b64encode(self._body).decode(), True
        return {**self._head, "body": body, "isBase64Encoded": is_base64}

    def result_for_rest_api(self) -> dict[str, Any]:
        """Return the dict that a REST API takes (payload format 1.0), which knows no cookies."""
        result = self.result()
        cookies = result.pop("cookies")
        return {**result, "multiValueHeaders": {"set-cookie": cookies} if cookies else {}}


def prelude(status: int, headers: Headers) -> dict[str, Any]:
    """Return status and headers as Lambda takes them: one value a name, cookies apart."""
    joined: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "set-cookie":
            cookies.append(value)
        elif name not in _HOP_BY_HOP:
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return {"statusCode": status, "headers": joined, "cookies": cookies}
