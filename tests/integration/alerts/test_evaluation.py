"""Rules over real numbers: what they find, and what is written down of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from tailrace.alerts import store
from tailrace.alerts.evaluation import evaluate
from tailrace.alerts.rules import RuleFields
from tailrace.db.pool import connect
from tailrace.ids import uuid7
from tailrace.services import Services
from tailrace.settings import AlertTargetSettings
from tailrace.telemetry.ingest import ingest
from tests.support.events import make_event, publish_all, rows, value

NOW = datetime(2027, 2, 27, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOOK = AlertTargetSettings(
    name="ops",
    url=SecretStr("http://127.0.0.1:9/"),
    secret=SecretStr("whsec_" + "a" * 32),
)


@pytest.fixture(autouse=True)
def _target(services: Services) -> None:
    services.settings.__dict__["alert_targets"] = (HOOK,)


async def _execute(services: Services, statement: str, *params: Any) -> None:
    async with connect(services.pool) as connection:
        await connection.execute(statement.encode(), params)


async def _rule(services: Services, kind: str, threshold: float, **fields: Any) -> UUID:
    fields = {"name": f"{kind} {uuid7()}", "kind": kind, "threshold": threshold} | fields
    return (await store.create(services.pool, RuleFields(**fields)))["id"]


async def _calls(services: Services, count: int, **fields: Any) -> None:
    """Let calls of the last minutes come into the log."""
    fields = {"started_at": NOW - 2 * MINUTE} | fields
    await publish_all(services.queue, [make_event(**fields) for _ in range(count)])
    report = await ingest(services)
    assert report.inserted == count


async def _state(services: Services, rule_id: UUID) -> tuple[str, Any]:
    (rule,) = [r for r in await store.list_rules(services.pool, 100, None) if r["id"] == rule_id]
    worst = rule["states"][0]
    return worst["state"], worst["value"]


async def _history(services: Services, rule_id: UUID | None = None) -> list[str]:
    events = await store.list_events(services.pool, 100, None, rule_id)
    return [event["state"] for event in reversed(events)]


async def _told(services: Services) -> list[str]:
    told = await rows(
        services,
        "SELECT state FROM alert_deliveries JOIN alert_events ON alert_events.id = event_id"
        " ORDER BY alert_deliveries.id",
    )
    return [row["state"] for row in told]


async def test_error_rates_fire_and_end(services: Services) -> None:
    rule = await _rule(services, "error_rate", 0.2, resolve_threshold=0.1, for_seconds=60)
    await _calls(services, 24)
    await _calls(services, 2, status="error")
    await _calls(services, 2, status="timeout")
    await _calls(services, 2, status="interrupted")

    assert await evaluate(services, NOW) == 1
    assert await _state(services, rule) == ("pending", 0.2)
    assert await evaluate(services, NOW + MINUTE) == 1
    assert await _state(services, rule) == ("firing", 0.2)
    # The window has gone past the calls.
    assert await evaluate(services, NOW + 10 * MINUTE) == 1
    assert await _state(services, rule) == ("resolved", None)

    assert await _history(services, rule) == ["pending", "firing", "resolved"]
    assert await _told(services) == ["firing", "resolved"]
    ids = await rows(services, "SELECT DISTINCT alert_id FROM alert_events")
    assert len(ids) == 1


async def test_one_failed_call_of_two_is_no_alarm(services: Services) -> None:
    rule = await _rule(services, "error_rate", 0.2)
    await _calls(services, 1)
    await _calls(services, 1, status="error")

    assert await evaluate(services, NOW) == 0
    assert await _state(services, rule) == ("ok", 0.5)


async def test_a_rule_may_look_at_one_model_alone(services: Services) -> None:
    every = await _rule(services, "error_rate", 0.6)
    broken = await _rule(services, "error_rate", 0.6, provider_name="openai", request_model="bad")
    other = await _rule(services, "error_rate", 0.6, request_model="gpt-4o")
    await _calls(services, 40)
    await _calls(services, 20, status="error", request_model="bad")

    await evaluate(services, NOW)

    assert (await _state(services, every))[0] == "ok"
    assert await _state(services, broken) == ("firing", 1.0)
    assert await _state(services, other) == ("ok", 0.0)


@pytest.mark.parametrize(
    ("kind", "field"),
    [("duration_p95", "duration"), ("time_to_first_chunk_p95", "time_to_first_chunk")],
)
async def test_percentiles_fire(services: Services, kind: str, field: str) -> None:
    slow = await _rule(services, kind, 4.0)
    slower = await _rule(services, kind, 6.0)
    await _calls(services, 90, **{field: 1.0})
    await _calls(services, 10, **{field: 5.0})

    await evaluate(services, NOW)

    state, found = await _state(services, slow)
    assert state == "firing"
    assert found == pytest.approx(5.0, rel=0.01)
    assert (await _state(services, slower))[0] == "ok"


async def test_calls_outside_of_the_window_do_not_count(services: Services) -> None:
    rule = await _rule(services, "error_rate", 0.5, window=120)
    await _calls(services, 30, status="error", started_at=NOW - 4 * MINUTE)
    await _calls(services, 30, started_at=NOW - MINUTE)
    await _calls(services, 30, status="error", started_at=NOW + 2 * MINUTE)

    await evaluate(services, NOW)

    assert await _state(services, rule) == ("ok", 0.0)


async def test_cost_is_scaled_to_an_hour(services: Services) -> None:
    rule = await _rule(services, "cost_per_hour", 0.01, window=600)
    await _calls(services, 2)
    cost = await value(services, "SELECT sum(cost_usd) FROM inference_log")

    await evaluate(services, NOW)

    assert await _state(services, rule) == ("firing", pytest.approx(float(cost) * 6))


async def _user(services: Services) -> UUID:
    id = uuid7()
    await _execute(
        services,
        "INSERT INTO users (id, email, role) VALUES (%s, %s, 'user')",
        id,
        f"{id}@x.org",
    )
    return id


async def test_costly_users_are_named_each_on_their_own(services: Services) -> None:
    rule = await _rule(services, "cost_per_user_day", 0.02)
    costly, thrifty, gone = await _user(services), await _user(services), uuid7()
    morning = NOW.replace(hour=1)
    await _calls(services, 10, owner_id=costly, started_at=morning)
    await _calls(services, 1, owner_id=thrifty, started_at=morning)
    await _calls(services, 10, owner_id=thrifty, started_at=morning - timedelta(days=1))
    await _calls(services, 10, owner_id=gone, started_at=morning)
    await _calls(services, 10, owner_id=uuid7(), kind="guest", started_at=morning)

    assert await evaluate(services, NOW) == 1

    (found,) = await store.list_rules(services.pool, 10, None)
    states = {state["subject"]: state["state"] for state in found["states"]}
    assert states == {str(costly): "firing"}
    # A new day has no costs as yet.
    assert await evaluate(services, NOW + timedelta(days=1)) == 1
    assert await _history(services, rule) == ["firing", "resolved"]
    # Users who are well again leave no row behind.
    await evaluate(services, NOW + timedelta(days=1, hours=2))
    assert await value(services, "SELECT count(*) FROM alert_states") == 0


async def test_a_deleted_user_is_no_longer_named(services: Services) -> None:
    await _rule(services, "cost_per_user_day", 0.001)
    user = await _user(services)
    await _calls(services, 10, owner_id=user)
    await evaluate(services, NOW)

    await _execute(services, "DELETE FROM users WHERE id = %s", user)

    kept = await rows(services, "SELECT * FROM alert_states, alert_events, alert_deliveries")
    assert str(user) not in str(kept)
    assert await value(services, "SELECT subject FROM alert_events") == "deleted"


async def _served(services: Services, ended_ago: timedelta, kind: str = "chat") -> UUID:
    """Note a call that ended and whose event has not arrived."""
    id = uuid7()
    ended = datetime.now(UTC) - ended_ago
    await _execute(
        services,
        "INSERT INTO runs (id, kind, owner_id, provider_name, request_model, started_at,"
        " closed_at, event) VALUES (%s, %s, %s, 'p', 'm', %s, %s, 'x')",
        id,
        kind,
        uuid7(),
        ended - MINUTE,
        ended,
    )
    return id


async def test_ingestion_that_lags_fires(services: Services) -> None:
    rule = await _rule(services, "ingestion_lag", 100)
    await _served(services, timedelta(seconds=90))
    await evaluate(services, datetime.now(UTC))
    assert (await _state(services, rule))[0] == "ok"

    await _served(services, timedelta(seconds=110))
    await evaluate(services, datetime.now(UTC))

    state, lag = await _state(services, rule)
    assert state == "firing"
    assert 110 <= lag < 130


async def test_dead_letters_fire_until_they_are_gone(services: Services) -> None:
    rule = await _rule(services, "dead_letters", 1)
    await evaluate(services, NOW)
    assert await _state(services, rule) == ("ok", 0)
    await services.queue.publish(b"no event")
    await ingest(services)

    await evaluate(services, NOW)
    assert await _state(services, rule) == ("firing", 1)

    await _execute(services, "DELETE FROM inference_dead_letters")
    await evaluate(services, NOW + MINUTE)
    assert (await _state(services, rule))[0] == "resolved"


async def test_chats_served_while_nothing_is_ingested_fire(services: Services) -> None:
    now = datetime.now(UTC)
    rule = await _rule(services, "nothing_ingested", 2)
    await _served(services, 2 * MINUTE)
    await evaluate(services, now)
    assert await _state(services, rule) == ("ok", 1)
    # One just ended is on its way; one that the queue did not take waits in the outbox.
    await _served(services, timedelta(seconds=10))
    await evaluate(services, now)
    assert await _state(services, rule) == ("ok", 1)
    await _execute(
        services,
        "INSERT INTO telemetry_outbox (payload, created_at) VALUES ('x', %s)",
        now - 2 * MINUTE,
    )
    await evaluate(services, now)
    assert await _state(services, rule) == ("firing", 2)

    await _calls(services, 1, started_at=now - MINUTE)
    await evaluate(services, datetime.now(UTC))

    assert await _state(services, rule) == ("resolved", 0)


async def test_nobody_served_is_nothing_wrong(services: Services) -> None:
    rule = await _rule(services, "nothing_ingested", 1)

    await evaluate(services, datetime.now(UTC))

    assert await _state(services, rule) == ("ok", 0)


async def test_numbers_that_cannot_be_read_are_told_of(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    rule = await _rule(services, "error_rate", 0.2, for_seconds=60, window=900)
    other = await _rule(services, "dead_letters", 1)
    await _calls(services, 30, status="error")
    await evaluate(services, NOW)
    await evaluate(services, NOW + MINUTE)
    assert (await _state(services, rule))[0] == "firing"

    await _execute(services, "ALTER TABLE rollups RENAME TO elsewhere")
    await evaluate(services, NOW + 2 * MINUTE)
    await evaluate(services, NOW + 3 * MINUTE)

    found = await store.list_rules(services.pool, 10, None)
    assert found[0]["problem"] == "PostgreSQL: UndefinedTable"
    states = {state["subject"]: state["state"] for state in found[0]["states"]}
    # What fired still fires, for all that is known.
    assert states == {"": "firing", "numbers": "firing"}
    assert (await _state(services, other))[0] == "ok"
    assert "cannot be evaluated" in caplog.text

    await _execute(services, "ALTER TABLE elsewhere RENAME TO rollups")
    await evaluate(services, NOW + 4 * MINUTE)
    found = await store.list_rules(services.pool, 10, None)
    assert found[0]["problem"] is None
    assert await _told(services) == ["firing", "firing", "resolved"]


async def test_a_queue_that_nobody_can_ask_is_a_number_that_cannot_be_read(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tailrace.alerts import evaluation
    from tailrace.problems import unavailable

    async def status(_: Services) -> Any:
        raise unavailable("The database cannot be reached.")

    monkeypatch.setattr(evaluation, "status", status)
    rule = await _rule(services, "ingestion_lag", 100)

    await evaluate(services, NOW)

    assert (await _state(services, rule))[0] == "firing"
    (found,) = await store.list_rules(services.pool, 10, None)
    assert found["problem"] is not None


async def test_readings_have_an_end_together(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tailrace.alerts import evaluation

    monkeypatch.setattr(evaluation, "_READING_TIME", 0.0)
    rule = await _rule(services, "error_rate", 0.2)

    await evaluate(services, NOW)

    assert (await _state(services, rule))[0] == "firing"
    (found,) = await store.list_rules(services.pool, 10, None)
    assert "too long" in found["problem"]


async def test_of_several_at_once_one_evaluates(services: Services) -> None:
    await _rule(services, "error_rate", 0.2)
    await _calls(services, 30, status="error")

    changes = await asyncio.gather(*(evaluate(services, NOW) for _ in range(6)))

    assert sum(changes) == 1
    assert await _told(services) == ["firing"]


async def test_silence_keeps_it_from_being_told_and_not_from_being_seen(
    services: Services,
) -> None:
    rule = await _rule(services, "error_rate", 0.2)
    await _calls(services, 30, status="error")
    await store.silence(services.pool, rule, NOW + 2 * MINUTE)

    await evaluate(services, NOW)
    assert (await _state(services, rule))[0] == "firing"
    assert await _told(services) == []

    # It still fires when the silence is over.
    await evaluate(services, NOW + 2 * MINUTE)
    await evaluate(services, NOW + 3 * MINUTE)
    assert await _told(services) == ["firing"]
    # Whoever was told hears of the end.
    await store.silence(services.pool, rule, NOW + 60 * MINUTE)
    await evaluate(services, NOW + 30 * MINUTE)
    assert await _told(services) == ["firing", "resolved"]


async def test_one_that_was_never_told_ends_in_silence(services: Services) -> None:
    rule = await _rule(services, "error_rate", 0.2)
    await _calls(services, 30, status="error")
    await store.silence(services.pool, rule, NOW + 60 * MINUTE)

    await evaluate(services, NOW)
    await evaluate(services, NOW + 30 * MINUTE)

    assert await _history(services, rule) == ["firing", "resolved"]
    assert await _told(services) == []


@pytest.mark.parametrize("end", ["disable", "delete"])
async def test_a_rule_that_goes_ends_what_it_set_off(services: Services, end: str) -> None:
    rule = await _rule(services, "error_rate", 0.2)
    await _calls(services, 30, status="error")
    await evaluate(services, NOW)
    if end == "delete":
        await store.delete(services.pool, rule)
        assert await store.list_rules(services.pool, 10, None) == []
    else:
        await store.change(services.pool, rule, {"enabled": False})

    await evaluate(services, NOW + MINUTE)

    assert await _told(services) == ["firing", "resolved"]
    assert await _history(services, rule) == ["firing", "resolved"]
    left = await value(services, "SELECT count(*) FROM alert_rules")
    assert left == (0 if end == "delete" else 1)


async def test_rules_of_the_settings_are_taken_over_and_kept_up_to_date(
    services: Services,
) -> None:
    def set_rules(*rules: RuleFields) -> None:
        services.settings.__dict__["alerts"] = rules

    await _calls(services, 30, status="error")
    errors = RuleFields(name="errors", kind="error_rate", threshold=0.2)
    set_rules(errors, RuleFields(name="letters", kind="dead_letters", threshold=1))
    await evaluate(services, NOW)
    first = await store.list_rules(services.pool, 10, None)
    assert [(r["name"], r["source"]) for r in first] == [
        ("errors", "settings"),
        ("letters", "settings"),
    ]
    assert (await _state(services, first[0]["id"]))[0] == "firing"
    await store.silence(services.pool, first[0]["id"], NOW + 600 * MINUTE)

    # A change keeps rule, state and silence; one that goes is ended.
    set_rules(errors.model_copy(update={"severity": "critical"}))
    await evaluate(services, NOW + MINUTE)
    (second,) = await store.list_rules(services.pool, 10, None)
    assert (second["id"], second["severity"]) == (first[0]["id"], "critical")
    assert second["silenced_until"] is not None

    # Under the same name, another rule.
    set_rules(RuleFields(name="errors", kind="duration_p95", threshold=100))
    await evaluate(services, NOW + 2 * MINUTE)
    (third,) = await store.list_rules(services.pool, 10, None)
    assert (third["kind"], third["states"][0]["state"]) == ("duration_p95", "ok")
    assert await _history(services, first[0]["id"]) == ["firing", "resolved"]

    set_rules()
    await evaluate(services, NOW + 3 * MINUTE)
    assert await store.list_rules(services.pool, 10, None) == []
    assert await value(services, "SELECT count(*) FROM alert_rules") == 0


async def test_history_has_an_end(services: Services) -> None:
    rule = await _rule(services, "error_rate", 0.2)
    await _calls(services, 30, status="error")
    await evaluate(services, NOW)

    await evaluate(services, NOW + timedelta(days=89))
    assert await _history(services, rule) == ["firing", "resolved"]
    await evaluate(services, NOW + timedelta(days=91))

    assert await _history(services, rule) == ["resolved"]
    assert await _told(services) == ["resolved"]
