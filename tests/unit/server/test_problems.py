"""What a defect of ours leaves in the answer and in the log."""

import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from tailrace.http import problems
from tailrace.limits.addresses import TrustedProxies


class Defective:
    """Fails before a request has a route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raise RuntimeError("insides")
        await self._app(scope, receive, send)


@pytest.mark.parametrize(
    ("around", "told"),
    [
        ([], "/api/shared/{token}"),
        ([Middleware(TrustedProxies, 1, "x-forwarded-for")], "/api/shared/{token}"),
        ([Middleware(Defective)], "no route"),
    ],
    ids=["alone", "behind a proxy", "before the routes"],
)
async def test_a_defect_tells_neither_its_insides_nor_the_token_of_a_link(
    caplog: pytest.LogCaptureFixture, around: list[Middleware], told: str
) -> None:
    app = FastAPI(exception_handlers=problems.HANDLERS, middleware=around)

    @app.get("/api/shared/{token}")
    def fail(token: str) -> None:
        raise RuntimeError("insides")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"x-forwarded-for": "203.0.113.7"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", headers=headers
    ) as http:
        response = await http.get("/api/shared/a-token")

    assert (response.status_code, "insides" in response.text) == (500, False)
    [record] = [record for record in caplog.records if record.name == problems.__name__]
    assert record.getMessage() == f"GET {told} failed"
