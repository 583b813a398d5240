"""As much HTTP/1.1 as the harness needs to see what a client library would hide.

Used by `runtime_api` and `function_url`: the boundaries of chunks and the trailers behind the last
one are what the tests are about.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass
class Request:
    """The head of a request, and its body as it arrives.

    Header names are in lower case; `trailers` is complete once `chunks` has ended.
    """

    method: str
    target: str
    headers: dict[str, str]
    reader: asyncio.StreamReader
    trailers: dict[str, str] = field(default_factory=dict)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body chunk by chunk, or at once when it has a length.

        Raises
        ------
        asyncio.IncompleteReadError
            When the sender closed the connection in the middle.
        """
        if self.headers.get("transfer-encoding") != "chunked":
            yield await self.reader.readexactly(int(self.headers.get("content-length", "0")))
            return
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        while line := (await self.reader.readuntil(b"\r\n")).decode().strip():
            name, _, value = line.partition(":")
            self.trailers[name.lower()] = value.strip()

    async def body(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read the head of a request; None when the connection closed without one."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    fields = (line.partition(":") for line in lines)
    return Request(method, target, {n.lower(): v.strip() for n, _, v in fields}, reader)


def head(status: int, headers: list[tuple[str, str]]) -> bytes:
    """Return the head of a response."""
    lines = [f"HTTP/1.1 {status} -", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
