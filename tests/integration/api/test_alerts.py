"""The admin API of alerts: rules, silence, states and history."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tailrace.alerts.evaluation import evaluate
from tailrace.alerts.rules import RuleFields
from tailrace.services import Services
from tailrace.telemetry.ingest import ingest
from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient
from tests.support.events import make_event, publish_all

RULES = "/api/admin/alerts"
RULE = {"name": "errors", "kind": "error_rate", "threshold": 0.2}


@pytest.fixture
def admin(user: ChatClient) -> httpx.AsyncClient:
    """The first user, who is an admin."""
    return user.http


async def _create(admin: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await admin.post(RULES, json=RULE | fields)
    assert response.status_code == 201, response.text
    return response.json()


async def test_a_rule_is_made_listed_changed_and_deleted(admin: httpx.AsyncClient) -> None:
    made = await _create(admin, resolve_threshold=0.1, provider_name="openai")
    assert (made["source"], made["state"], made["states"]) == ("api", "ok", [])
    assert (made["window"], made["minimum_calls"], made["severity"]) == (300, 20, "warning")

    path = f"{RULES}/{made['id']}"
    changed = await admin.patch(
        path, json={"name": "more", "resolve_threshold": None, "window": 60}
    )
    assert changed.status_code == 200
    (listed,) = (await admin.get(RULES)).json()["items"]
    assert listed == changed.json()
    assert (listed["name"], listed["window"], listed["threshold"]) == ("more", 60, 0.2)
    assert (listed["resolve_threshold"], listed["provider_name"]) == (None, "openai")

    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get(RULES)).json() == {"items": [], "next_cursor": None}
    for method, body in (("DELETE", None), ("PATCH", {})):
        assert (await admin.request(method, path, json=body)).status_code == 404
    # Its name is free again, before maintenance has looked.
    await _create(admin, name="more")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "luck"}, "kind"),
        ({"threshold": 0}, "threshold"),
        ({"threshold": 1.01}, "body"),
        ({"threshold": "much"}, "threshold"),
        ({"threshold": 1e400}, "threshold"),
        ({"resolve_threshold": 0.3}, "body"),
        ({"window": 59}, "window"),
        ({"for_seconds": 86_401}, "for_seconds"),
        ({"minimum_calls": 0}, "minimum_calls"),
        ({"severity": "dire"}, "severity"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"request_model": "a\u0000b"}, "request_model"),
        ({"request_model": "\ud800"}, "request_model"),
        ({"kind": "dead_letters", "request_model": "m"}, "body"),
        ({"url": "https://example.org"}, "url"),
    ],
)
async def test_a_rule_that_cannot_be_is_refused(
    admin: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    content = json.dumps(RULE | body).replace("Infinity", "1e400")
    response = await admin.post(
        RULES, content=content, headers={"content-type": "application/json"}
    )
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"threshold": None}, 422),
        ({"kind": "dead_letters"}, 422),
        ({"threshold": 2}, 422),
        ({"resolve_threshold": 0.3}, 422),
        ({"threshold": 0.05}, 200),
        ({}, 200),
    ],
)
async def test_a_change_leaves_a_rule_that_can_be(
    admin: httpx.AsyncClient, body: dict[str, Any], status: int
) -> None:
    made = await _create(admin)
    response = await admin.patch(f"{RULES}/{made['id']}", json=body)
    assert response.status_code == status, response.text


async def test_names_are_taken_once(admin: httpx.AsyncClient) -> None:
    await _create(admin)
    other = await _create(admin, name="other")
    assert (await admin.post(RULES, json=RULE)).status_code == 409
    response = await admin.patch(f"{RULES}/{other['id']}", json={"name": "errors"})
    assert response.status_code == 409
    assert response.json()["errors"][0]["field"] == "name"


async def test_lists_come_in_pages(admin: httpx.AsyncClient) -> None:
    for number in range(5):
        await _create(admin, name=str(number))
    names: list[str] = []
    cursor = None
    for _ in range(3):
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await admin.get(RULES, params=params)).json()
        names += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert names == list("01234")
    assert cursor is None
    assert (await admin.get(RULES, params={"cursor": "x"})).status_code == 422


async def test_a_rule_is_silenced_for_some_time(admin: httpx.AsyncClient) -> None:
    made = await _create(admin)
    path = f"{RULES}/{made['id']}/silence"
    until = datetime.now(UTC) + timedelta(hours=1)

    silenced = await admin.put(path, json={"until": until.isoformat()})

    assert datetime.fromisoformat(silenced.json()["silenced_until"]) == until
    assert (await admin.delete(path)).json()["silenced_until"] is None
    for odd in (
        datetime.now(UTC) - timedelta(seconds=1),
        datetime.now(UTC) + timedelta(days=91),
        datetime.max,
    ):
        response = await admin.put(path, json={"until": odd.isoformat()})
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == "until"
    other = f"{RULES}/{uuid4()}/silence"
    assert (await admin.put(other, json={"until": until.isoformat()})).status_code == 404
    assert (await admin.delete(f"{RULES}/x/silence")).status_code == 404


async def test_states_and_history_are_seen(
    admin: httpx.AsyncClient, services: Services, database: Database
) -> None:
    now = datetime.now(UTC)
    made = await _create(admin)
    owner = await database.value("SELECT id FROM users")
    await _create(admin, name="costs", kind="cost_per_user_day", threshold=0.001)
    events = [make_event(status="error", owner_id=owner, started_at=now) for _ in range(30)]
    await publish_all(services.queue, events)
    await ingest(services)
    await evaluate(services, now + timedelta(seconds=1))

    errors, costs = (await admin.get(RULES)).json()["items"]
    assert (errors["state"], errors["states"][0]["value"]) == ("firing", 1.0)
    assert errors["states"][0]["about"] == "calls"
    (state,) = costs["states"]
    assert (state["about"], state["user_id"], state["state"]) == ("user", str(owner), "firing")

    history = (await admin.get(f"{RULES}/history")).json()["items"]
    assert {event["rule_name"] for event in history} == {"errors", "costs"}
    only = await admin.get(f"{RULES}/history", params={"rule_id": made["id"]})
    (event,) = only.json()["items"]
    assert (event["state"], event["deliveries"], event["silenced"]) == ("firing", [], False)
    assert (event["alert_id"], event["threshold"]) == (errors["states"][0]["alert_id"], 0.2)
    page = (await admin.get(f"{RULES}/history", params={"limit": 1})).json()
    rest = await admin.get(f"{RULES}/history", params={"cursor": page["next_cursor"]})
    assert len(rest.json()["items"]) == 1
    assert (await admin.get(f"{RULES}/history", params={"rule_id": "x"})).status_code == 422


async def test_rules_of_the_settings_are_silenced_and_not_changed(
    admin: httpx.AsyncClient, services: Services
) -> None:
    services.settings.__dict__["alerts"] = (RuleFields(**RULE),)
    await evaluate(services, datetime.now(UTC))
    (rule,) = (await admin.get(RULES)).json()["items"]
    path = f"{RULES}/{rule['id']}"

    assert rule["source"] == "settings"
    assert (await admin.patch(path, json={"threshold": 0.5})).status_code == 409
    assert (await admin.delete(path)).status_code == 409
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert (await admin.put(f"{path}/silence", json={"until": until})).status_code == 200
    # An admin's rule may have the same name.
    await _create(admin)


async def test_there_are_never_too_many(admin: httpx.AsyncClient, database: Database) -> None:
    await _create(admin)
    await database.rows(
        "INSERT INTO alert_rules SELECT gen_random_uuid(), source, n::text, kind, threshold,"
        " resolve_threshold, window_seconds, for_seconds, minimum_calls, severity, provider_name,"
        " request_model, enabled FROM alert_rules, generate_series(1, 199) AS n RETURNING 1"
    )
    response = await admin.post(RULES, json=RULE | {"name": "one more"})
    assert response.status_code == 409
    assert "200" in response.json()["detail"]
