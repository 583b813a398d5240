"""The maintain function: partitions ahead, retention, alerts, and runs whose function died.

EventBridge Scheduler calls it every minute; the event's content is of no interest.
"""

import logging
import time
from typing import Any

import msgspec

from tailrace.lambda_loop import run
from tailrace.maintenance import maintain
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry.cloudwatch import write_report

# Seconds before Lambda's own end at which nothing long is begun.
_MARGIN = 15.0

_log = logging.getLogger("tailrace.maintain")
services = Services(Settings.load())
run(services.open())


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Maintain once and return the report."""
    remaining = context.get_remaining_time_in_millis() / 1000
    # The loop's clock is the monotonic one.
    return run(_maintain(time.monotonic() + remaining - _MARGIN))


async def _maintain(deadline: float) -> dict[str, Any]:
    report = await maintain(services, deadline=deadline)
    told = msgspec.to_builtins(report)
    _log.info("maintained", extra={"report": told})
    await write_report(services, "maintain", report)
    return told
