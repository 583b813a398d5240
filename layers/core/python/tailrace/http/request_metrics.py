"""What the api function's requests come to, for CloudWatch: an ASGI application around it.

Adds to Powertools' metrics, which `functions/api` writes at the end of each invocation.
"""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools.metrics import Metrics
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequestMetrics:
    """Counts a request and measures how long its answer took, in seconds.

    Method, route, such as ``/api/conversations/{id}``, and status stand beside the metrics rather
    than being dimensions, each combination of which CloudWatch would charge for. The path itself
    does not: it may hold a token.
    """

    def __init__(self, app: "ASGIApp", metrics: "Metrics") -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        began_at = time.perf_counter()
        # What ends without an answer is answered by the adapter.
        status = 500

        async def note(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            add = self._metrics.add_metric
            add("Requests", "Count", 1)
            add("Errors", "Count", int(status >= 500))
            add("Refused", "Count", int(400 <= status < 500))
            add("Duration", "Seconds", time.perf_counter() - began_at)
            self._metrics.add_metadata("method", scope["method"])
            self._metrics.add_metadata("route", getattr(scope.get("route"), "path", None))
            self._metrics.add_metadata("status", status)
