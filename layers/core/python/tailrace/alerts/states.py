"""What becomes of an alert: from one state to the next, by one reading and the time.

Pure: no database, no clock. A state is ``ok``; ``pending`` once the threshold is reached;
``firing`` when that has lasted; ``resolved`` when the number has come back; and ``ok`` an hour
later.
"""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from uuid import UUID

from tailrace.ids import uuid7

State = Literal["ok", "pending", "firing", "resolved"]

#: So long a state says that something was wrong.
RESOLVED_FOR = timedelta(hours=1)


class Limits(NamedTuple):
    """When a rule begins and ends to fire.

    Attributes
    ----------
    threshold, resolve_threshold
        A number at or above the first begins, one below the second ends.
    lasting
        How long it must have lasted.
    minimum_calls
        With fewer calls nothing begins, while what fires goes on.
    """

    threshold: float
    resolve_threshold: float
    lasting: timedelta
    minimum_calls: int


class Reading(NamedTuple):
    """A number; ``None`` where there is none, as of no calls.

    Attributes
    ----------
    calls
        Of how many calls it is; ``None`` where it is of none.
    """

    value: float | None
    calls: int | None = None


class Standing(NamedTuple):
    """The state of one subject of a rule.

    Attributes
    ----------
    since
        When the state began.
    alert_id
        The alert under way, or the last one.
    is_told
        Whether somebody was to be told that it fires.
    """

    state: State
    since: datetime
    value: float | None = None
    alert_id: UUID | None = None
    is_told: bool = False


def advance(before: Standing | None, reading: Reading, limits: Limits, now: datetime) -> Standing:
    """Return the standing after a reading."""
    before = before or Standing("ok", now)
    value = reading.value
    state = _next(before, reading, limits, now)
    if state == before.state:
        return before._replace(value=value)
    if before.state in ("ok", "resolved") and state in ("pending", "firing"):
        return Standing(state, now, value, uuid7())
    return before._replace(state=state, since=now, value=value)


def _next(before: Standing, reading: Reading, limits: Limits, now: datetime) -> State:
    value = reading.value
    enough = reading.calls is None or reading.calls >= limits.minimum_calls
    reached = value is not None and value >= limits.threshold and enough
    match before.state:
        case "firing":
            # Few calls, nearly all of which fail, are no recovery.
            return "resolved" if value is None or value < limits.resolve_threshold else "firing"
        case "pending":
            if not reached:
                return "ok"
            return "firing" if now - before.since >= limits.lasting else "pending"
        case "ok" | "resolved":
            if reached:
                return "pending" if limits.lasting else "firing"
            if before.state == "resolved" and now - before.since < RESOLVED_FOR:
                return "resolved"
            return "ok"
