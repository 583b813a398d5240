"""Client of the Lambda Runtime API: plain HTTP/1.1 over asyncio streams.

Used by `__main__` alone. Every call has a connection of its own, since a streamed response must end
by closing it; on the loopback a connection costs a tenth of a millisecond. It never retries: when
the Runtime API does not take a call, the process has no purpose left.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import asyncio
import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tailrace_runtime.context import LambdaContext

_ROOT = "/2018-06-01/runtime"
ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY = "Lambda-Runtime-Function-Error-Body"


class RuntimeApiError(Exception):
    """The Runtime API refused a call or spoke something other than HTTP/1.1."""


@dataclass(frozen=True)
class Invocation:
    """One event to handle, and what must be sent back with its answer."""

    event: Any
    context: LambdaContext
    trace_id: str | None
    invocation_id: str | None

    @property
    def path(self) -> str:
        return f"{_ROOT}/invocation/{self.context.aws_request_id}"

    @property
    def headers(self) -> dict[str, str]:
        """Headers that every answer to this invocation carries."""
        return {"Lambda-Runtime-Invocation-Id": self.invocation_id} if self.invocation_id else {}


class Call:
    """One HTTP request whose body may be written piece by piece, and its response."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def write(self, data: bytes) -> None:
        """Send bytes of the request as they are; waits while the other side is slow."""
        self._writer.write(data)
        await self._writer.drain()

    async def finish(self) -> tuple[dict[str, str], bytes]:
        """Read the response and close the connection.

        Returns
        -------
        tuple
            Headers with names in lower case, and the body.

        Raises
        ------
        RuntimeApiError
            When the status is not a success.
        """
        try:
            status, headers = await self._read_head()
            body = await self._read_body(headers)
        except (EOFError, ValueError) as error:
            raise RuntimeApiError("the Runtime API broke off its answer") from error
        finally:
            self._writer.close()
        if not status.startswith("2"):
            raise RuntimeApiError(f"the Runtime API answered {status}: {body[:500]!r}")
        return headers, body

    async def _read_head(self) -> tuple[str, dict[str, str]]:
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in lines[1:] if line)
        return lines[0].split(" ")[1], {name.lower(): value.strip() for name, _, value in fields}

    async def _read_body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await self._reader.readexactly(int(headers.get("content-length", "0")))
        body = bytearray()
        while size := int((await self._reader.readline()).partition(b";")[0], 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        return bytes(body)


class RuntimeApi:
    """The Runtime API at an address.

    Parameters
    ----------
    address
        Host and port, the value of ``AWS_LAMBDA_RUNTIME_API``.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._host, _, self._port = address.rpartition(":")

    async def open(self, method: str, path: str, headers: Mapping[str, str]) -> Call:
        """Connect and send the head of a request."""
        # The limit bounds one line or head, not a body: a client context may fill kilobytes.
        reader, writer = await asyncio.open_connection(self._host, int(self._port), limit=1 << 20)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._address}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        call = Call(reader, writer)
        await call.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return call

    async def next(self) -> Invocation:
        """Wait for an event; Lambda freezes the process while there is none."""
        call = await self.open("GET", f"{_ROOT}/invocation/next", {})
        headers, body = await call.finish()
        return Invocation(
            event=json.loads(body),
            context=LambdaContext(headers),
            trace_id=headers.get("lambda-runtime-trace-id"),
            invocation_id=headers.get("lambda-runtime-invocation-id"),
        )

    async def respond(self, invocation: Invocation, result: object) -> None:
        """Answer with one JSON value."""
        await self._post(f"{invocation.path}/response", result, invocation.headers)

    async def fail(self, invocation: Invocation, error: Exception) -> None:
        """Answer that the handler failed before it had answered anything."""
        headers = {ERROR_TYPE: type(error).__name__, **invocation.headers}
        await self._post(f"{invocation.path}/error", describe(error), headers)

    async def init_error(self, error: Exception) -> None:
        """Report that the function cannot start."""
        await self._post(f"{_ROOT}/init/error", describe(error), {ERROR_TYPE: type(error).__name__})

    async def restore_next(self) -> None:
        """Offer the process for a SnapStart snapshot; returns in a restored copy of it."""
        await (await self.open("GET", f"{_ROOT}/restore/next", {})).finish()

    async def restore_error(self, error: Exception) -> None:
        """Report that the restored function cannot start."""
        headers = {ERROR_TYPE: "Runtime.AfterRestoreError"}
        await self._post(f"{_ROOT}/restore/error", describe(error), headers)

    async def _post(self, path: str, value: object, headers: Mapping[str, str]) -> None:
        body = json.dumps(value).encode()
        length = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        call = await self.open("POST", path, {**length, **headers})
        await call.write(body)
        await call.finish()


def describe(error: BaseException) -> dict[str, Any]:
    """Return an exception in the form in which Lambda reports errors."""
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "stackTrace": traceback.format_tb(error.__traceback__),
    }
