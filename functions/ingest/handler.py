"""The ingest function: drains the queue and the outbox into PostgreSQL.

EventBridge Scheduler calls it every minute; that event's content is of no interest. What does not
fit into one invocation stays where it is for the next. As an event source, SQS calls it with
messages, and is told which of them have to come again. A database that sleeps is not woken where
there is nothing to do.
"""

import logging
import time
from typing import TYPE_CHECKING, Any

import msgspec

from tailrace.lambda_loop import run
from tailrace.presence import find_rest, note_call, note_look
from tailrace.queue.status import find_status
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry.cloudwatch import write_report
from tailrace.telemetry.ingest import ingest, ingest_messages

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

# Seconds before Lambda's own end at which no further batch is begun.
_MARGIN = 15.0

_log = logging.getLogger("tailrace.ingest")
services = Services(Settings.load())
# The pool connects as soon as it is open: not before there is something to do.
run(services.queue.open())


def handler(event: Any, context: Any) -> "dict[str, Any] | PartialItemFailureResponse":
    """Ingest until all is drained or time is nearly up, and return the report.

    Returns
    -------
    dict
        For messages of SQS: those that did not land, as ``batchItemFailures``. Else the report;
        ``resting`` when there was nothing to do.
    """
    remaining = context.get_remaining_time_in_millis() / 1000
    # The loop's clock is the monotonic one.
    return run(_handle(event, time.monotonic() + remaining - _MARGIN))


async def _handle(event: Any, deadline: float) -> "dict[str, Any] | PartialItemFailureResponse":
    began_at = time.time()
    namespace = services.settings.cloudwatch_namespace
    records = _sqs_records(event)
    if not records and (left := await find_rest(services, "ingest")):
        write_report(namespace, "ingest", None, left)
        return {"resting": True}
    await services.pool.open()
    failed: list[str] = []
    if records:
        from tailrace.queue.sqs import messages_of

        messages = messages_of(records, services.settings.queue_max_deliveries)
        report, failed = await ingest_messages(services, messages, deadline=deadline)
    else:
        report = await ingest(services, deadline=deadline)
    told = msgspec.to_builtins(report)
    _log.info("ingested", extra={"report": told})
    if report.batches and services.settings.database_sleeps:
        # What landed may be of somebody who calls no function of ours; alerts are about it as well.
        await note_call(services)
    left = await find_status(services)
    write_report(namespace, "ingest", report, left)
    await note_look(services, "ingest", began_at, left)
    return {"batchItemFailures": [{"itemIdentifier": id} for id in failed]} if records else told


def _sqs_records(event: Any) -> list[dict[str, Any]]:
    records = event.get("Records") if isinstance(event, dict) else None
    if isinstance(records, list) and all(r.get("eventSource") == "aws:sqs" for r in records):
        return records
    return []
