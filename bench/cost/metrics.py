"""How many metrics each function writes to CloudWatch, which charges for every one."""

import asyncio
import io
import json
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import EphemeralMetrics

from tailrace.http.request_metrics import RequestMetrics
from tailrace.queue.status import GAUGES
from tailrace.telemetry.cloudwatch import call_writer, write_report
from tailrace.telemetry.ingest import IngestReport
from tests.support.events import make_event

# Powertools counts cold starts beside what the api function adds.
_COLD_START = 1


@cache
def of_calls() -> int:
    """Return how many are written while chats are: by a call of a model, and by a request."""
    written = io.StringIO()
    with redirect_stdout(written):
        call_writer("Tailrace", "chat")(make_event())
    return _in(json.loads(written.getvalue())) + _of_a_request() + _COLD_START


def of_work() -> int:
    """Return how many ingestion and maintenance write about what they do where chats are."""
    written = io.StringIO()
    with redirect_stdout(written):
        ingested = IngestReport(received=1, inserted=1, batches=1)
        write_report("Tailrace", "ingest", ingested, None)
    # Of maintenance that is `Indexed`, day after day.
    return _in(json.loads(written.getvalue())) + 1


def gauges() -> int:
    """Return how many tell how far events are, each time that ingestion runs."""
    return len(GAUGES)


def _of_a_request() -> int:
    async def nothing(*_: Any) -> Any:
        return {}

    metrics: Any = EphemeralMetrics(namespace="Tailrace", service="api")
    scope = {"type": "http", "method": "GET", "path": "/"}
    asyncio.run(RequestMetrics(nothing, metrics)(scope, nothing, nothing))
    return _in(metrics.serialize_metric_set())


def _in(line: Mapping[str, Any]) -> int:
    return sum(len(each["Metrics"]) for each in line["_aws"]["CloudWatchMetrics"])
