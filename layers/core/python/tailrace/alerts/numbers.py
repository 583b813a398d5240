"""The numbers that rules are about: from the rollups, the queue and the ledger of calls.

Called by `tailrace.alerts.evaluation`, which reports a rule whose number cannot be read.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from tailrace.alerts.rules import OF_CALLS, Kind
from tailrace.alerts.states import Reading
from tailrace.db import queries
from tailrace.metrics.histogram import Histogram

if TYPE_CHECKING:
    from tailrace.db.pool import Connection
    from tailrace.queue.status import QueueStatus

_sql = queries.load("alerts")

#: The kinds that need to know of the queue.
OF_QUEUE: frozenset[Kind] = frozenset(("ingestion_lag", "dead_letters"))

# A call that ended so few seconds ago may be on its way.
_ON_ITS_WAY = timedelta(seconds=60)
# What a call takes at most lies between its start, by which the log is searched, and its end.
_LONGEST_CALL = timedelta(days=1)


class Unreadable(Exception):
    """The number cannot be read; the text says why and holds no secret."""


class Source(NamedTuple):
    """Where numbers are read.

    Attributes
    ----------
    queue
        What is known of the queue; ``None`` when that could not be found out.
    """

    connection: "Connection"
    queue: "QueueStatus | None"
    now: datetime


async def read(source: Source, rule: dict[str, Any]) -> dict[str, Reading]:
    """Return a rule's readings by subject: ``""``, or for users the id of each that has one.

    Parameters
    ----------
    rule
        A row of ``alert_rules``.

    Raises
    ------
    Unreadable
        When it cannot be told.
    """
    kind: Kind = rule["kind"]
    if kind in OF_CALLS:
        return {"": await _of_calls(source, rule)}
    if kind in OF_QUEUE:
        if source.queue is None:
            raise Unreadable("the queue and the outbox could not be asked")
        return {"": _of_queue(source.queue, kind)}
    if kind == "cost_per_user_day":
        return await _of_users(source, rule)
    return {"": await _not_ingested(source, rule)}


async def _of_calls(source: Source, rule: dict[str, Any]) -> Reading:
    window = timedelta(seconds=rule["window_seconds"])
    is_narrow = rule["provider_name"] is not None or rule["request_model"] is not None
    terms = {
        "tier": "minute" if is_narrow else "minute_total",
        "start": source.now - window,
        "end": source.now,
        "provider_name": rule["provider_name"],
        "request_model": rule["request_model"],
    }
    row = await (await source.connection.execute(_sql["calls"], terms)).fetchone()
    assert row is not None
    calls: int = row["requests"]
    match rule["kind"]:
        case "error_rate":
            return Reading(row["errors"] / calls if calls else None, calls)
        case "cost_per_hour":
            # Few calls can cost much.
            return Reading(float(row["cost_usd"]) * 3600 / window.total_seconds())
        case kind:
            name = kind.removesuffix("_p95")
            count: int = row[f"{name}_count"]
            wire = row[f"{name}_buckets"], row[f"{name}_histogram"]
            found = Histogram.read(*wire, count).percentiles([0.95])
            return Reading(found[0] if found else None, count)


def _of_queue(queue: "QueueStatus", kind: Kind) -> Reading:
    if kind == "dead_letters":
        return Reading(queue.dead)
    # An event can be in the queue without a call in the ledger, as after a restore.
    return Reading(max(queue.lag, queue.oldest_age or 0))


async def _of_users(source: Source, rule: dict[str, Any]) -> dict[str, Reading]:
    day = source.now.replace(hour=0, minute=0, second=0, microsecond=0)
    least = rule["resolve_threshold"] or rule["threshold"]
    terms = {"day": day, "least": least}
    rows = await (await source.connection.execute(_sql["costs_of_users"], terms)).fetchall()
    return {row["owner_id"]: Reading(float(row["cost_usd"])) for row in rows}


async def _not_ingested(source: Source, rule: dict[str, Any]) -> Reading:
    """Read how many calls ended in the window, if not one arrived in the log."""
    terms = {
        "since": source.now - timedelta(seconds=rule["window_seconds"]),
        "until": source.now - _ON_ITS_WAY,
        "longest": _LONGEST_CALL,
    }
    row = await (await source.connection.execute(_sql["served_in_vain"], terms)).fetchone()
    assert row is not None
    return Reading(row["served"])
