"""Metrics for Prometheus, for whoever holds their token."""

from hmac import compare_digest

from fastapi import APIRouter, Request, Response

from tailrace.auth.identity import bearer
from tailrace.http.api.deps import CurrentServices
from tailrace.metrics import prometheus
from tailrace.problems import Problem, not_found
from tailrace.queue.status import GAUGES, status

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, services: CurrentServices) -> Response:
    """Tell what was ever counted, in Prometheus' text format."""
    token = services.settings.metrics_token
    if token is None:
        raise not_found("page")
    given = bearer(request) or ""
    if not compare_digest(given.encode(), token.get_secret_value().encode()):
        raise Problem(401, "Not permitted", "Send the token of TAILRACE_METRICS_TOKEN.")
    told = await status(services)
    gauges = [
        (gauge.prometheus, gauge.help, value)
        for gauge in GAUGES
        if (value := getattr(told, gauge.field)) is not None
    ]
    text = await prometheus.exposition(services.pool, gauges)
    return Response(text, media_type=prometheus.CONTENT_TYPE)
