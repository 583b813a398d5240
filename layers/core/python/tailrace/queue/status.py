"""How far events are on their way: what the queue, the outbox and the dead letters hold.

Read by whatever tells it on: the functions' CloudWatch metrics, ``/metrics``, alerts. `GAUGES` is
the one place that names the numbers.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from tailrace.db import queries
from tailrace.db.pool import connect
from tailrace.problems import Problem
from tailrace.queue.base import QueueUnavailable

if TYPE_CHECKING:
    from tailrace.services import Services

_sql = queries.load("telemetry")


class QueueStatus(msgspec.Struct, frozen=True):
    """What waits where; ``None`` where it could not be found out.

    Attributes
    ----------
    available
        Whether the queue answered.
    depth
        Events in the queue that ingestion has not acknowledged.
    oldest_age
        Seconds that the oldest of them has been there; 0 when there is none. ``None`` also from a
        queue that cannot tell (SQS; `lag` covers it).
    lag
        Seconds since the oldest call ended whose event is not in the log: on its way through
        queue or outbox, whichever it is.
    spilled
        Events in the outbox.
    dead
        Dead letters, parked ones not among them.
    parked
        Events of a newer release, kept for it.
    """

    available: bool
    depth: int | None
    oldest_age: float | None
    lag: float
    spilled: int
    dead: int
    parked: int


class Gauge(NamedTuple):
    """A number of `QueueStatus` as others name it.

    Attributes
    ----------
    field
        Attribute of `QueueStatus`.
    name
        In CloudWatch.
    prometheus
        In Prometheus.
    unit
        A unit of CloudWatch.
    help
        One line on it.
    """

    field: str
    name: str
    prometheus: str
    unit: Literal["Count", "Seconds"]
    help: str


GAUGES = (
    Gauge("depth", "QueueDepth", "tailrace_queue_depth", "Count", "Events in the queue."),
    Gauge(
        *("oldest_age", "QueueOldestAge", "tailrace_queue_oldest_age_seconds", "Seconds"),
        "Age of the oldest event in the queue.",
    ),
    Gauge(
        *("lag", "IngestionLag", "tailrace_ingestion_lag_seconds", "Seconds"),
        "Time since the oldest call ended whose event is not in the log.",
    ),
    Gauge("spilled", "Spilled", "tailrace_outbox_depth", "Count", "Events in the outbox."),
    Gauge("dead", "DeadLetters", "tailrace_dead_letters", "Count", "Dead letters."),
    Gauge(
        *("parked", "ParkedEvents", "tailrace_parked_events", "Count"),
        "Events of a newer release, kept for it.",
    ),
)


async def status(services: "Services") -> QueueStatus:
    """Ask the queue and the database.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached.
    """
    depth = oldest_age = None
    available = True
    try:
        depth = await services.queue.depth()
        oldest_age = await services.queue.oldest_age()
    except QueueUnavailable:
        available = False
    async with connect(services.pool) as connection:
        row = await (await connection.execute(_sql["backlog"])).fetchone()
    assert row is not None
    return QueueStatus(
        available=available,
        depth=depth,
        oldest_age=oldest_age,
        lag=float(row["lag"]),
        spilled=row["spilled"],
        dead=row["dead"],
        parked=row["parked"],
    )


async def find_status(services: "Services") -> QueueStatus | None:
    """Return the same, ``None`` when PostgreSQL cannot be reached."""
    try:
        return await status(services)
    except Problem:
        return None
