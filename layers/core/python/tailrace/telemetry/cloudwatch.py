"""Metrics for CloudWatch in the embedded metric format: lines of a function's log.

Functions write theirs with Powertools: the scheduled ones here, the api function's requests by
`tailrace.http.request_metrics`. The chat function does not: importing its metrics takes 15 to 60 ms
of a cold start that a person waits for, and one line for each call is all that it writes.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tailrace.queue.status import QueueStatus
    from tailrace.telemetry.event import InferenceEvent

# What a call counts and measures, with CloudWatch's units.
_CALL = {
    "Calls": "Count",
    "Errors": "Count",
    "Duration": "Seconds",
    "TimeToFirstChunk": "Seconds",
    "InputTokens": "Count",
    "OutputTokens": "Count",
}


def write_report(
    namespace: str | None,
    service: str,
    report: msgspec.Struct | None,
    status: "QueueStatus | None",
) -> None:
    """Write what a scheduled function did and what is left to do; nothing without a namespace.

    Parameters
    ----------
    service
        The metrics' dimension.
    report
        Its whole numbers, and the lengths of its lists, are metrics, but for those of what did not
        happen; ``None`` of one that rested.
    status
        Its numbers are metrics; ``None`` where it could not be found out, or another tells it.
    """
    if namespace is None:
        return
    from aws_lambda_powertools.metrics import Metrics, MetricUnit

    from tailrace.queue.status import GAUGES

    metrics = Metrics(namespace=namespace, service=service)
    for field, value in (msgspec.structs.asdict(report) if report else {}).items():
        if isinstance(value, list):
            value = len(value)
        # CloudWatch charges for a metric in every hour in which it is written.
        if value and isinstance(value, int) and not isinstance(value, bool):
            metrics.add_metric(_name(field), MetricUnit.Count, value)
    for gauge in GAUGES if status else ():
        value = getattr(status, gauge.field)
        if value is not None:
            metrics.add_metric(gauge.name, MetricUnit(gauge.unit), value)
    if metrics.metric_set:
        metrics.flush_metrics()


def call_writer(namespace: str, service: str) -> "Callable[[InferenceEvent], None]":
    """Return a function that writes one line for a call, for `tailrace.telemetry.capture`.

    Provider, model, kind and status stand beside the metrics rather than being dimensions, each
    combination of which CloudWatch would charge for.
    """

    def write(event: "InferenceEvent") -> None:
        values = {
            "Calls": 1,
            "Errors": int(event.status in ("error", "timeout")),
            "Duration": event.duration,
            "TimeToFirstChunk": event.time_to_first_chunk,
            "InputTokens": event.input_tokens,
            "OutputTokens": event.output_tokens,
        }
        known = {name: value for name, value in values.items() if value is not None}
        line: dict[str, Any] = {
            "_aws": {
                "Timestamp": time.time_ns() // 1_000_000,
                "CloudWatchMetrics": [
                    {
                        "Namespace": namespace,
                        "Dimensions": [["service"]],
                        "Metrics": [{"Name": name, "Unit": _CALL[name]} for name in known],
                    }
                ],
            },
            "service": service,
            "provider_name": event.provider_name,
            "request_model": event.request_model,
            "kind": event.kind,
            "status": event.status,
            "error_type": event.error_type,
            **known,
        }
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()

    return write


def _name(field: str) -> str:
    """Return a field's name as metrics are named."""
    return "".join(word.capitalize() for word in field.split("_"))
