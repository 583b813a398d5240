"""The maintain function: partitions ahead, and runs whose function died.

EventBridge Scheduler calls it every minute; the event's content is of no interest.
"""

import logging
from typing import Any

import msgspec

from tailrace.lambda_loop import run
from tailrace.maintenance import maintain
from tailrace.services import Services
from tailrace.settings import Settings

_log = logging.getLogger("tailrace.maintain")
services = Services(Settings.load())
run(services.open())


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Maintain once and return the report."""
    report = msgspec.to_builtins(run(maintain(services)))
    _log.info("maintained", extra={"report": report})
    return report
