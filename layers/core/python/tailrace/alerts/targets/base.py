"""What a target must do, and what it is told."""

from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import msgspec


class NotDelivered(Exception):
    """The target did not take it, and may later; the text holds no address and no secret."""


class Notice(NamedTuple):
    """What a target is told.

    Attributes
    ----------
    id
        The same at every attempt, so that a target may leave out what it has.
    attempted_at
        When this attempt is made.
    summary
        One sentence.
    body
        The whole, as JSON.
    """

    id: UUID
    attempted_at: datetime
    severity: str
    state: str
    summary: str
    body: bytes


class Target(Protocol):
    """Tells somebody of alerts."""

    async def send(self, notice: Notice) -> None:
        """Tell once.

        Raises
        ------
        NotDelivered
            Unless the target said that it has it.
        """
        ...


def notice_of(
    delivery_id: UUID, event: dict[str, Any], now: datetime, public_url: str | None
) -> Notice:
    """Return what is told of an event, a row of ``alert_events``."""
    summary = summary_of(event)
    body = {
        "type": f"alert.{event['state']}",
        "timestamp": event["at"],
        "data": {
            "alert_id": event["alert_id"],
            "event_id": event["id"],
            "state": event["state"],
            "severity": event["severity"],
            "rule": {"id": event["rule_id"], "name": event["rule_name"], "kind": event["kind"]},
            "value": event["value"],
            "threshold": event["threshold"],
            "window": event["window_seconds"],
            "user_id": user_of(event["subject"]),
            "problem": event["problem"],
            "summary": summary,
            "installation": public_url,
        },
    }
    return Notice(
        delivery_id, now, event["severity"], event["state"], summary, msgspec.json.encode(body)
    )


#: What a rule's number is called, and how it is written.
_SAID = {
    "error_rate": ("The error rate", "{:.1%}"),
    "duration_p95": ("The 95th percentile of duration", "{:.3g} s"),
    "time_to_first_chunk_p95": ("The 95th percentile of time to first chunk", "{:.3g} s"),
    "cost_per_hour": ("The cost per hour", "{:.2f} USD"),
    "cost_per_user_day": ("The cost of a user's day", "{:.2f} USD"),
    "ingestion_lag": ("The lag of ingestion", "{:.0f} s"),
    "dead_letters": ("The number of dead letters", "{:.0f}"),
    "nothing_ingested": ("The number of calls served while nothing was ingested", "{:.0f}"),
}


def summary_of(event: dict[str, Any]) -> str:
    """Return one sentence on an event."""
    what, written = _SAID[event["kind"]]
    if event["problem"] is not None:
        return f"{event['rule_name']}: the numbers cannot be read: {event['problem']}."
    if event["subject"] == NUMBERS:
        return f"{event['rule_name']}: the numbers can be read again."
    value = "unknown" if event["value"] is None else written.format(event["value"])
    return (
        f"{event['rule_name']}: {what} is {value} (threshold {written.format(event['threshold'])})."
    )


#: The subject that says whether a rule's numbers can be read.
NUMBERS = "numbers"


def user_of(subject: str) -> str | None:
    """Return the id of the user whom a subject names, if it does."""
    return subject if len(subject) == 36 else None
