"""What a request of the api function leaves among its metrics."""

import httpx
import pytest
from aws_lambda_powertools.metrics import Metrics
from fastapi import FastAPI
from starlette.middleware import Middleware

from tailrace.http import problems
from tailrace.http.request_metrics import RequestMetrics
from tailrace.limits.addresses import TrustedProxies


@pytest.mark.parametrize(
    "around",
    [[], [Middleware(TrustedProxies, 1, "cloudfront-viewer-address")]],
    ids=["alone", "behind CloudFront"],
)
async def test_a_request_is_counted_by_its_route_and_not_by_the_token_of_a_link(
    around: list[Middleware],
) -> None:
    app = FastAPI(exception_handlers=problems.HANDLERS, middleware=around)

    @app.get("/api/shared/{token}")
    def shared(token: str) -> str:
        return "told"

    metrics = Metrics(service="api", namespace="Tailrace")
    transport = httpx.ASGITransport(RequestMetrics(app, metrics))
    headers = {"cloudfront-viewer-address": "203.0.113.7:4711"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", headers=headers
    ) as http:
        assert (await http.get("/api/shared/a-token")).json() == "told"
        line = metrics.serialize_metric_set()
        metrics.clear_metrics()

    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/shared/{token}", 200)
    assert "a-token" not in str(line)
