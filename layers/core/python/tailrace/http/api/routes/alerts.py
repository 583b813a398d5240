"""Alert rules and what became of them, for admins."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict

from tailrace.alerts import store
from tailrace.alerts.rules import (
    Calls,
    Kind,
    Name,
    Of,
    RuleFields,
    Seconds,
    Severity,
    Threshold,
    Window,
)
from tailrace.alerts.states import State
from tailrace.alerts.targets.base import NUMBERS, user_of
from tailrace.http.api.deps import Admin, CurrentServices, PageCursor, PageSize
from tailrace.http.api.paths import id_of
from tailrace.problems import invalid

router = APIRouter(prefix="/api/admin/alerts", tags=["admin"])

# A silence that nobody ends must not hide a rule for good.
_LONGEST_SILENCE = timedelta(days=90)


class RuleChange(BaseModel):
    """What is to change of a rule; what it is about stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    threshold: Threshold | None = None
    resolve_threshold: Threshold | None = None
    window: Window | None = None
    for_seconds: Seconds | None = None
    minimum_calls: Calls | None = None
    severity: Severity | None = None
    provider_name: Of | None = None
    request_model: Of | None = None
    enabled: bool | None = None


class Silence(BaseModel):
    """Until when nobody is told."""

    model_config = ConfigDict(extra="forbid")

    until: AwareDatetime


class StateItem(BaseModel):
    """What a rule found: about everything, or about one user; or whether it could look at all."""

    about: Literal["calls", "user", "numbers"]
    user_id: UUID | None
    state: State
    since: datetime
    value: float | None
    alert_id: UUID | None


class RuleItem(RuleFields):
    """A rule, and its state: the worst of all it is about."""

    id: UUID
    source: Literal["settings", "api"]
    state: State
    states: list[StateItem]
    problem: str | None
    evaluated_at: datetime | None
    silenced_until: datetime | None
    created_at: datetime
    updated_at: datetime


class RulePage(BaseModel):
    """A page of rules."""

    items: list[RuleItem]
    next_cursor: str | None


class DeliveryItem(BaseModel):
    """How telling a target went; with neither time it was given up."""

    target: str
    attempts: int
    delivered_at: datetime | None
    next_attempt_at: datetime | None
    last_error: str | None


class EventItem(BaseModel):
    """A change of a state."""

    id: UUID
    at: datetime
    rule_id: UUID
    rule_name: str
    kind: Kind
    severity: Severity
    alert_id: UUID
    about: Literal["calls", "user", "numbers"]
    user_id: UUID | None
    state: State
    value: float | None
    threshold: float
    window: int
    problem: str | None
    silenced: bool
    deliveries: list[DeliveryItem]


class EventPage(BaseModel):
    """A page of the history."""

    items: list[EventItem]
    next_cursor: str | None


@router.get("")
async def list_alerts(
    services: CurrentServices, caller: Admin, limit: PageSize = 30, cursor: PageCursor = None
) -> RulePage:
    """List rules with their states, the oldest rule first."""
    rows = await store.list_rules(services.pool, limit + 1, services.cursors.decode(cursor))
    page, next_cursor = services.cursors.page(rows, limit)
    return RulePage(items=[_rule(row) for row in page], next_cursor=next_cursor)


@router.get("/history")
async def list_history(
    services: CurrentServices,
    caller: Admin,
    rule_id: Annotated[UUID | None, Query()] = None,
    limit: PageSize = 30,
    cursor: PageCursor = None,
) -> EventPage:
    """List how states changed and who was told, the newest first."""
    before = services.cursors.decode(cursor)
    rows = await store.list_events(services.pool, limit + 1, before, rule_id)
    page, next_cursor = services.cursors.page(rows, limit, lambda row: (row["at"], row["id"]))
    return EventPage(items=[_event(row) for row in page], next_cursor=next_cursor)


@router.post("", status_code=201)
async def create_alert(body: RuleFields, services: CurrentServices, caller: Admin) -> RuleItem:
    """Add a rule; maintenance evaluates it within a minute."""
    return _rule(await store.create(services.pool, body))


@router.patch("/{alert_id}")
async def change_alert(
    alert_id: str, body: RuleChange, services: CurrentServices, caller: Admin
) -> RuleItem:
    """Change a rule; null takes away a resolve_threshold, provider or model."""
    changes = body.model_dump(exclude_unset=True)
    for name, value in changes.items():
        if value is None and name not in ("resolve_threshold", "provider_name", "request_model"):
            raise invalid(name, "Must not be null.")
    return _rule(await store.change(services.pool, id_of("alert rule", alert_id), changes))


@router.delete("/{alert_id}", status_code=204)
async def delete_alert(alert_id: str, services: CurrentServices, caller: Admin) -> None:
    """Delete a rule; what it has set off is ended within a minute."""
    await store.delete(services.pool, id_of("alert rule", alert_id))


@router.put("/{alert_id}/silence")
async def silence_alert(
    alert_id: str, body: Silence, services: CurrentServices, caller: Admin
) -> RuleItem:
    """Tell nobody of a rule until a time; it is evaluated all the same."""
    now = datetime.now(body.until.tzinfo)
    if not now < body.until <= now + _LONGEST_SILENCE:
        raise invalid("until", f"Must lie within the next {_LONGEST_SILENCE.days} days.")
    return _rule(await store.silence(services.pool, id_of("alert rule", alert_id), body.until))


@router.delete("/{alert_id}/silence")
async def end_silence(alert_id: str, services: CurrentServices, caller: Admin) -> RuleItem:
    """Tell of a rule again, at once of what fires."""
    return _rule(await store.silence(services.pool, id_of("alert rule", alert_id), None))


def _rule(row: dict[str, Any]) -> RuleItem:
    states = [_about(state["subject"]) | state for state in row["states"]]
    return RuleItem(
        **{name: row[name] for name in RuleItem.model_fields if name in row and name != "states"},
        window=row["window_seconds"],
        state=states[0]["state"] if states else "ok",
        states=[
            StateItem(**{name: state[name] for name in StateItem.model_fields}) for state in states
        ],
    )


def _event(row: dict[str, Any]) -> EventItem:
    told = [
        DeliveryItem(
            target=each["target"],
            attempts=each["attempts"],
            delivered_at=each["delivered_at"],
            next_attempt_at=each["due_at"],
            last_error=each["last_error"],
        )
        for each in row["deliveries"]
    ]
    named = {name: row[name] for name in EventItem.model_fields if name in row}
    return EventItem(
        **named
        | _about(row["subject"])
        | {
            "window": row["window_seconds"],
            "silenced": row["is_silenced"],
            "deliveries": told,
        }
    )


def _about(subject: str) -> dict[str, Any]:
    if subject == NUMBERS:
        return {"about": "numbers", "user_id": None}
    # Of a user who was deleted no more is known than that it was one.
    return {"about": "user" if subject else "calls", "user_id": user_of(subject)}
