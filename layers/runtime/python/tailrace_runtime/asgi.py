"""An ASGI app as a Lambda handler: an HTTP event in, HTTP response out, streamed or buffered.

Events are those of function URLs (payload format 2.0) or of REST APIs (1.0). `functions/chat` makes
one `StreamingHandler` at import. Our runtime calls `startup` once and `stream` for every event; any
other runtime calls the object like a function.
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote, urlencode

from tailrace_runtime.response import BufferedResponse, Response

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_ASGI = {"version": "3.0", "spec_version": "2.4"}
_log = logging.getLogger(__name__)


class StreamingHandler:
    """A Lambda handler over an ASGI app.

    Parameters
    ----------
    app
        ASGI 3 app with the lifespan protocol; its startup runs before the first event and its
        shutdown never does, since Lambda ends a process without a word.
    remake
        Makes the app again, in a restored copy of a snapshot.

    Notes
    -----
    A request's scope has what Mangum's has: ``aws.event``, and ``aws.context`` with
    ``aws_request_id`` and ``get_remaining_time_in_millis()``. ``http.disconnect`` is received
    only after the response: Lambda never tells a function that its client went away.
    """

    def __init__(self, app: App, remake: Callable[[], App] | None = None) -> None:
        self._app = app
        self._remake = remake
        self._state: dict[str, Any] = {}
        self._lifespan: asyncio.Task[None] | None = None

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer an event with a buffered response."""
        return self._loop.run_until_complete(self._buffered(event, context))

    def restore(self) -> None:
        """Make the app again: what it read before, such as secrets, may have changed since."""
        if self._remake is not None:
            self._app = self._remake()

    async def startup(self) -> None:
        """Run the app's lifespan up to the end of its startup; once is enough.

        Raises
        ------
        Exception
            Whatever the app raised.
        """
        if self._lifespan is not None:
            return
        started = asyncio.get_running_loop().create_future()
        startup = [{"type": "lifespan.startup"}]

        async def receive() -> Message:
            if startup:
                return startup.pop()
            return await asyncio.get_running_loop().create_future()

        async def send(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                started.set_result(None)

        async def run() -> None:
            scope = {"type": "lifespan", "asgi": _ASGI, "state": self._state}
            await self._app(scope, receive, send)

        task = asyncio.create_task(run())
        await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            task.result()
            raise RuntimeError("the app ended its lifespan without starting")
        self._lifespan = task

    async def stream(self, event: Any, context: Any, response: Response) -> None:
        """Answer an event, writing the response as the app sends it.

        Raises
        ------
        Exception
            When the event is no HTTP request, or the app failed after its response had started.
        """
        scope, body = request(event, context)
        scope["state"] = self._state.copy()
        complete = asyncio.Event()
        requests = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if requests:
                return requests.pop()
            await complete.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                await response.start(message["status"], message.get("headers", ()))
            elif message["type"] == "http.response.body":
                await response.write(message.get("body", b""))
                if not message.get("more_body", False):
                    complete.set()

        try:
            await self._app(scope, receive, send)
        except Exception:
            # Frameworks answer with a 500 and then raise; only a cut response is a failure here.
            if response.started and not complete.is_set():
                raise
            _log.exception("%s %s failed", scope["method"], scope["path"])
        if not response.started:
            await response.start(500, [(b"content-type", b"application/problem+json")])
            await response.write(b'{"type":"about:blank","title":"Internal error","status":500}')
        elif not complete.is_set():
            raise RuntimeError("the app returned before its response was complete")

    async def _buffered(self, event: Any, context: Any) -> dict[str, Any]:
        await self.startup()
        response = BufferedResponse()
        await self.stream(event, context, response)
        return response.result() if "rawPath" in event else response.result_for_rest_api()

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        # One loop for the life of the process: pools and clients made on it stay usable.
        return asyncio.new_event_loop()


def request(event: Any, context: Any) -> tuple[dict[str, Any], bytes]:
    """Return the ASGI scope and the body of an HTTP event.

    Raises
    ------
    ValueError
        When the event is of another kind.
    """
    try:
        http = _of_url(event) if "rawPath" in event else _of_rest_api(event)
        body = event.get("body") or ""
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("the event is not an HTTP request in payload format 2.0 or 1.0") from error
    known = dict(http["headers"])
    scope = {
        "type": "http",
        "asgi": _ASGI,
        "http_version": "1.1",
        "scheme": known.get("x-forwarded-proto", "https"),
        "root_path": "",
        "server": (known.get("host", ""), int(known.get("x-forwarded-port", "443"))),
        "aws.event": event,
        "aws.context": context,
        **http,
        "headers": [(name.encode(), value.encode()) for name, value in http["headers"]],
    }
    return scope, base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()


def _of_url(event: Any) -> dict[str, Any]:
    """Return what payload format 2.0 tells: headers joined, cookies apart, the query as it was."""
    http = event["requestContext"]["http"]
    headers = {name.lower(): value for name, value in event["headers"].items()}
    if event.get("cookies"):
        headers["cookie"] = "; ".join(event["cookies"])
    return {
        "method": http["method"],
        "path": unquote(event["rawPath"]),
        "raw_path": event["rawPath"].encode(),
        "query_string": event.get("rawQueryString", "").encode(),
        "headers": list(headers.items()),
        "client": (http["sourceIp"], 0),
    }


def _of_rest_api(event: Any) -> dict[str, Any]:
    """Return what payload format 1.0 tells: every header and parameter with a list of values."""
    query = [
        (name, value)
        for name, values in (event.get("multiValueQueryStringParameters") or {}).items()
        for value in values
    ]
    return {
        "method": event["httpMethod"],
        "path": unquote(event["path"]),
        "raw_path": quote(unquote(event["path"])).encode(),
        "query_string": urlencode(query).encode(),
        "headers": [
            (name.lower(), value)
            for name, values in (event["multiValueHeaders"] or {}).items()
            for value in values
        ],
        "client": (event["requestContext"]["identity"]["sourceIp"], 0),
    }
