"""The end of an account: everything of the person goes, the numbers stay."""

import json
from uuid import uuid4

import httpx
import pytest

from tailrace.maintenance import maintain
from tailrace.services import Services
from tailrace.telemetry.ingest import ingest
from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient

PASSWORD = {"password": "correct horse battery"}
OF_A_PERSON = (
    "users", "sessions", "api_keys", "conversations", "messages", "message_feedback", "shares",
    "imports", "identities", "password_resets", "user_usage", "user_quotas", "search_titles",
    "search_messages", "search_words",
)  # fmt: skip


async def _delete(client: httpx.AsyncClient, body: object) -> httpx.Response:
    return await client.request("DELETE", "/api/auth/me", json=body)


async def test_everything_goes_but_the_numbers(
    user: ChatClient, database: Database, services: Services
) -> None:
    conversation_id = uuid4()
    me = (await user.http.get("/api/auth/me")).json()
    answer = await user.say(conversation_id, "My secret", model="scripted/echo")
    await ingest(services)
    path = f"/api/conversations/{conversation_id}"
    share = (await user.http.post(f"{path}/shares", json={})).json()
    await user.http.put(f"{path}/messages/{answer}/feedback", json={"rating": "up", "note": "n"})
    await user.http.post("/api/keys", json={"name": "k", "scopes": ["read"]})
    exported = (await user.http.get(f"{path}/export")).json()
    await user.http.post("/api/import", json=exported | {"id": "elsewhere"})
    payload = json.dumps({"owner_id": me["id"], "input_preview": "My secret"}).encode()
    await database.rows(
        "INSERT INTO inference_dead_letters (source, source_id, reason, payload)"
        " VALUES ('queue', '1', 'r', %s), ('queue', '2', 'r', 'another') RETURNING id",
        payload,
    )
    numbers = "SELECT kind, status, request_model, input_tokens, output_tokens, duration"
    before = await database.rows(f"{numbers} FROM inference_log ORDER BY id")

    response = await _delete(user.http, PASSWORD)

    assert response.status_code == 204
    assert (await user.http.get("/api/auth/me")).json()["kind"] == "guest"
    assert (await user.http.get(f"/api/shared/{share['token']}")).status_code == 404
    for table in OF_A_PERSON:
        assert await database.value(f"SELECT count(*) FROM {table}") == 0, table
    assert await database.rows(f"{numbers} FROM inference_log ORDER BY id") == before
    assert before
    told = str(await database.rows("SELECT * FROM inference_log"))
    for secret in (me["id"], str(conversation_id), "My secret"):
        assert secret not in told
    letters = await database.rows("SELECT source_id FROM inference_dead_letters")
    assert letters == [{"source_id": "2"}]
    # Their words go from the search once it is brought up to date.
    await maintain(services)
    assert await database.value("SELECT count(*) FROM search_changes") == 0
    assert await database.value("SELECT count(*) FROM search_words") == 0


async def test_events_that_come_late_are_made_nobodys(
    user: ChatClient, database: Database, services: Services
) -> None:
    await user.say(uuid4(), "My secret", model="scripted/echo")
    await _delete(user.http, PASSWORD)

    await ingest(services)
    report = await maintain(services)
    again = await maintain(services)

    rows = await database.rows("SELECT * FROM inference_log")
    assert report.forgotten == len(rows) >= 1
    assert again.forgotten == 0
    assert {row["owner_id"] for row in rows} == {None}
    assert "My secret" not in str(rows)
    assert await database.value("SELECT count(*) FROM runs") == 0
    assert await database.value("SELECT count(*) FROM user_usage") == 0
    assert await database.value("SELECT sum(calls) FROM total_usage") == len(rows)


async def test_what_comes_late_elsewhere_goes_too(
    user: ChatClient, database: Database, services: Services
) -> None:
    me = (await user.http.get("/api/auth/me")).json()["id"]
    await _delete(user.http, PASSWORD)
    await database.rows(
        "INSERT INTO inference_dead_letters (source, source_id, reason, payload)"
        " VALUES ('queue', '1', 'r', %s), ('queue', '2', 'r', 'another') RETURNING id",
        json.dumps({"owner_id": me}).encode(),
    )
    await database.rows(
        "WITH rule AS (INSERT INTO alert_rules (id, source, name, kind, threshold, window_seconds,"
        " for_seconds, minimum_calls, severity, enabled) VALUES (gen_random_uuid(), 'api', 'n',"
        " 'cost_per_user_day', 1, 60, 0, 1, 'info', true) RETURNING id),"
        " state AS (INSERT INTO alert_states (rule_id, subject, state, since, alert_id)"
        " SELECT id, %s, 'firing', now(), id FROM rule RETURNING 1)"
        " INSERT INTO alert_events (id, at, rule_id, alert_id, rule_name, kind, severity, subject,"
        " state, threshold, window_seconds, is_silenced) SELECT id, now(), id, id, 'n',"
        " 'cost_per_user_day', 'info', %s, 'firing', 1, 60, false FROM rule RETURNING id",
        me,
        me,
    )

    await maintain(services)

    letters = await database.rows("SELECT source_id FROM inference_dead_letters")
    assert letters == [{"source_id": "2"}]
    assert await database.value("SELECT count(*) FROM alert_states WHERE subject <> ''") == 0
    assert me not in str(await database.rows("SELECT * FROM alert_events"))


async def test_a_call_under_way_is_stopped_and_counted(
    user: ChatClient, database: Database, services: Services
) -> None:
    async with user.chat("My secret", model="scripted/story") as stream:
        await stream.until("text-delta")
        assert (await _delete(user.http, PASSWORD)).status_code == 204
        frames = await stream.rest()
    assert frames[-1].type == "[DONE]"
    assert "abort" in stream.types

    await ingest(services)
    await maintain(services)
    rows = await database.rows("SELECT kind, status, owner_id FROM inference_log")
    assert {"kind": "chat", "status": "cancelled", "owner_id": None} in rows
    assert await database.value("SELECT count(*) FROM messages") == 0


@pytest.mark.parametrize("body", [{}, {"password": "wrong horse battery"}, {"password": None}])
async def test_the_password_is_needed(
    user: ChatClient, database: Database, body: dict[str, str | None]
) -> None:
    await user.say(uuid4(), "Hi", model="scripted/echo")
    response = await _delete(user.http, body)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "password"
    assert await database.value("SELECT count(*) FROM conversations") == 1
    assert (await user.http.get("/api/auth/me")).json()["kind"] == "user"


async def test_who_has_no_password_must_have_signed_in_just_now(
    user: ChatClient, database: Database
) -> None:
    await database.rows("UPDATE users SET password_hash = NULL RETURNING id")
    await database.rows(
        "UPDATE sessions SET created_at = now() - interval '11 minutes' RETURNING user_id"
    )
    assert (await _delete(user.http, {})).status_code == 403

    await database.rows("UPDATE sessions SET created_at = now() RETURNING user_id")
    assert (await _delete(user.http, {})).status_code == 204
    assert await database.value("SELECT count(*) FROM users") == 0


async def test_the_last_admin_stays_while_there_are_others(
    user: ChatClient, http: httpx.AsyncClient, database: Database
) -> None:
    async with httpx.AsyncClient(base_url=http.base_url) as other_http:
        await ChatClient(other_http).register("eve@example.org")
        refused = await _delete(user.http, PASSWORD)
        assert refused.status_code == 409
        assert await database.value("SELECT count(*) FROM users") == 2
        assert await database.value("SELECT count(*) FROM erased_owners") == 0

        assert (await _delete(other_http, PASSWORD)).status_code == 204
        assert (await _delete(user.http, PASSWORD)).status_code == 204


async def test_others_keep_what_they_have(
    user: ChatClient, http: httpx.AsyncClient, database: Database, services: Services
) -> None:
    mine = uuid4()
    await user.say(mine, "Mine", model="scripted/echo")
    async with httpx.AsyncClient(base_url=http.base_url) as other_http:
        other = ChatClient(other_http)
        await other.register("eve@example.org")
        await other.say(uuid4(), "Theirs", model="scripted/echo")
        await ingest(services)
        assert (await _delete(other_http, PASSWORD)).status_code == 204

    assert (await user.conversation(mine))["messages"]
    previews = await database.rows("SELECT input_preview FROM inference_log WHERE kind = 'chat'")
    assert sorted(str(row["input_preview"]) for row in previews) == ["Mine", "None"]
