"""A function URL: HTTP in, an event in payload format 2.0 to the function, its answer out as HTTP.

Takes one request a connection. `streaming` is the URL's InvokeMode: with RESPONSE_STREAM the answer
passes through chunk by chunk, and an answer without a prelude loses its status, as on Lambda.
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

import asyncio
import base64
import json
import time
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.acceptance.aws import http1
from tests.acceptance.aws.runtime_api import FunctionError, Invocation, RuntimeApi, RuntimeExited

_CLOSE = ("Connection", "close")
_TEXT = ("text/", "application/json", "application/xml", "application/javascript")


class FunctionUrl:
    """An HTTP server in front of the function behind a Runtime API."""

    def __init__(self, api: RuntimeApi, *, streaming: bool) -> None:
        self._api = api
        self._streaming = streaming

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return "http://{}:{}".format(*self._server.sockets[0].getsockname())

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await http1.read_request(reader)
        if request is None:
            return
        address = writer.get_extra_info("peername")[0]
        invocation = self._api.invoke(event(request, await request.body(), address))
        try:
            if self._streaming:
                await self._stream(invocation, writer)
            else:
                await self._buffer(invocation, writer)
        except (FunctionError, RuntimeExited):
            writer.transport.abort()
        else:
            writer.close()

    async def _stream(self, invocation: Invocation, writer: asyncio.StreamWriter) -> None:
        await invocation.answer()
        prelude: dict[str, Any] = {"statusCode": 200, "headers": {}, "cookies": []}
        if invocation.streamed:
            try:
                prelude = await invocation.prelude()
            except (FunctionError, RuntimeExited):
                writer.write(_bad_gateway())
                return
        headers = [*prelude["headers"].items(), ("Transfer-Encoding", "chunked"), _CLOSE]
        headers += [("Set-Cookie", cookie) for cookie in prelude["cookies"]]
        writer.write(http1.head(prelude["statusCode"], headers))
        async for chunk in invocation.chunks():
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async def _buffer(self, invocation: Invocation, writer: asyncio.StreamWriter) -> None:
        try:
            result = await invocation.result()
        except (FunctionError, RuntimeExited):
            writer.write(_bad_gateway())
            return
        body = result.get("body", "")
        data = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
        headers = [(k, v) for k, v in result["headers"].items() if k != "content-length"]
        headers += [("Set-Cookie", cookie) for cookie in result.get("cookies", ())]
        headers += [("Content-Length", str(len(data))), _CLOSE]
        writer.write(http1.head(result["statusCode"], headers) + data)


def event(request: http1.Request, body: bytes, address: str) -> dict[str, Any]:
    """Return the event of an HTTP request in payload format 2.0."""
    url = urlsplit(request.target)
    headers = dict(request.headers)
    cookies = [part.strip() for part in headers.pop("cookie", "").split(";") if part.strip()]
    domain = "s5nxkmvmpwdoxfqvh6lqkpfhhu0ctnvz.lambda-url.eu-central-1.on.aws"
    forwarded = {"x-forwarded-proto": "https", "x-forwarded-port": "443"}
    is_text = headers.get("content-type", "").startswith(_TEXT)
    result: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": url.path,
        "rawQueryString": url.query,
        "headers": {**headers, **forwarded, "host": domain, "x-forwarded-for": address},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": domain.partition(".")[0],
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "http": {
                "method": request.method,
                "path": unquote(url.path),
                "protocol": "HTTP/1.1",
                "sourceIp": address,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": "0f4a7b9e-3c6d-4e55-9a43-6c0a0b1f2d8e",
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": bool(body) and not is_text,
    }
    if cookies:
        result["cookies"] = cookies
    if url.query:
        result["queryStringParameters"] = dict(parse_qsl(url.query, keep_blank_values=True))
    if body:
        result["body"] = body.decode() if is_text else base64.b64encode(body).decode()
    return result


def _bad_gateway() -> bytes:
    body = json.dumps({"Message": "Internal Server Error"}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), _CLOSE]
    return http1.head(502, headers) + body
