"""The ingest function: drains the queue and the outbox into PostgreSQL.

EventBridge Scheduler calls it every minute; the event's content is of no interest. What does not
fit into one invocation stays where it is for the next.
"""

import logging
import time
from typing import Any

import msgspec

from tailrace.lambda_loop import run
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry.ingest import ingest

# Seconds before Lambda's own end at which no further batch is begun.
_MARGIN = 15.0

_log = logging.getLogger("tailrace.ingest")
services = Services(Settings.load())
run(services.open())


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Ingest until all is drained or time is nearly up, and return the report."""
    remaining = context.get_remaining_time_in_millis() / 1000
    # The loop's clock is the monotonic one.
    deadline = time.monotonic() + remaining - _MARGIN
    report = msgspec.to_builtins(run(ingest(services, deadline=deadline)))
    _log.info("ingested", extra={"report": report})
    return report
