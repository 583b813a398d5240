"""The maintain function: partitions ahead, retention, alerts, and runs whose function died.

EventBridge Scheduler calls it every minute; the event's content is of no interest. A database that
sleeps is not woken where there is nothing to do.
"""

import logging
import time
from typing import Any

import msgspec

from tailrace.lambda_loop import run
from tailrace.maintenance import maintain
from tailrace.presence import find_rest, note_look
from tailrace.queue.status import find_status
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry.cloudwatch import write_report

# Seconds before Lambda's own end at which nothing long is begun.
_MARGIN = 15.0

_log = logging.getLogger("tailrace.maintain")
services = Services(Settings.load())
# The pool connects as soon as it is open: not before there is something to do.
run(services.queue.open())


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Maintain once and return the report; ``resting`` when there was nothing to do."""
    remaining = context.get_remaining_time_in_millis() / 1000
    # The loop's clock is the monotonic one.
    return run(_maintain(time.monotonic() + remaining - _MARGIN))


async def _maintain(deadline: float) -> dict[str, Any]:
    if await find_rest(services, "maintain"):
        return {"resting": True}
    began_at = time.time()
    await services.pool.open()
    report = await maintain(services, deadline=deadline)
    told = msgspec.to_builtins(report)
    _log.info("maintained", extra={"report": told})
    # How far events are, ingestion tells.
    write_report(services.settings.cloudwatch_namespace, "maintain", report, None)
    if services.settings.database_sleeps and time.monotonic() < deadline:
        await note_look(services, "maintain", began_at, await find_status(services))
    return told
