"""Deleted conversations: purged when their time is up, their calls kept without a trace of them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tailrace.db.pool import connect
from tailrace.ids import uuid7
from tailrace.maintenance import maintain
from tailrace.maintenance.purge import purge_deleted
from tailrace.services import Services
from tailrace.settings import Settings
from tests.support.events import rows, value


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"deleted_kept_for": 3600.0})


async def _execute(services: Services, statement: str, *params: Any) -> None:
    async with connect(services.pool) as connection:
        await connection.execute(statement.encode(), params)


async def _conversation(
    services: Services, deleted_ago: timedelta | None, messages: int = 2
) -> UUID:
    """Make a conversation with a rated answer and a call in the log."""
    id, owner_id = uuid4(), uuid7()
    deleted_at = None if deleted_ago is None else datetime.now(UTC) - deleted_ago
    await _execute(
        services,
        "INSERT INTO users (id, email, role) VALUES (%s, %s, 'user')",
        owner_id,
        f"{owner_id}@example.org",
    )
    await _execute(
        services,
        "INSERT INTO conversations (id, owner_id, title, title_source, model, deleted_at)"
        " VALUES (%s, %s, 't', 'user', 'm', %s)",
        id,
        owner_id,
        deleted_at,
    )
    parent = None
    for sequence in range(1, messages + 1):
        message_id = uuid7()
        await _execute(
            services,
            "INSERT INTO messages (id, conversation_id, parent_id, sequence, role, status, parts)"
            " VALUES (%s, %s, %s, %s, 'assistant', 'complete', '[]')",
            message_id,
            id,
            parent,
            sequence,
        )
        parent = message_id
    await _execute(
        services, "UPDATE conversations SET active_leaf_id = %s WHERE id = %s", parent, id
    )
    await _execute(
        services, "INSERT INTO message_feedback (message_id, rating) VALUES (%s, 'up')", parent
    )
    await _execute(
        services,
        "INSERT INTO inference_log (id, started_at, kind, status, owner_id, conversation_id,"
        " operation_name, provider_name, request_model, duration, output_tokens, input_preview,"
        " output_preview)"
        " VALUES (%s, now(), 'chat', 'ok', %s, %s, 'chat', 'p', 'm', 1, 7, 'x', 'y')",
        parent,
        owner_id,
        id,
    )
    return id


async def test_what_was_deleted_long_enough_ago_goes_and_its_calls_stay(
    services: Services,
) -> None:
    kept = await _conversation(services, None)
    recent = await _conversation(services, timedelta(minutes=59))
    old = await _conversation(services, timedelta(minutes=61))

    assert (await maintain(services)).purged == 1

    assert {row["id"] for row in await rows(services, "SELECT id FROM conversations")} == {
        kept,
        recent,
    }
    messages = await rows(services, "SELECT DISTINCT conversation_id FROM messages")
    assert {row["conversation_id"] for row in messages} == {kept, recent}
    assert await value(services, "SELECT count(*) FROM message_feedback") == 2
    calls = await rows(
        services,
        "SELECT conversation_id, output_tokens, owner_id IS NOT NULL AS owned, input_preview,"
        " output_preview FROM inference_log",
    )
    assert len(calls) == 3
    assert all(call["output_tokens"] == 7 and call["owned"] for call in calls)
    assert {call["conversation_id"] for call in calls} == {kept, recent, None}
    (forgotten,) = [call for call in calls if call["conversation_id"] is None]
    assert (forgotten["input_preview"], forgotten["output_preview"]) == (None, None)
    assert old not in {call["conversation_id"] for call in calls}
    assert (await maintain(services)).purged == 0


async def test_one_whose_call_has_not_arrived_waits_for_it(services: Services) -> None:
    id = await _conversation(services, timedelta(days=1))
    run_id = uuid7()
    await _execute(
        services,
        "INSERT INTO runs (id, kind, owner_id, conversation_id, provider_name, request_model,"
        " started_at, closed_at, event) VALUES (%s, 'chat', %s, %s, 'p', 'm', now(), now(), 'x')",
        run_id,
        uuid7(),
        id,
    )

    assert await purge_deleted(services) == 0
    await _execute(services, "DELETE FROM runs WHERE id = %s", run_id)
    assert await purge_deleted(services) == 1


async def test_many_and_long_ones_go_in_one_maintenance(services: Services) -> None:
    first = await _conversation(services, timedelta(days=1), messages=3)
    await _execute(
        services,
        "INSERT INTO conversations (id, owner_id, title, title_source, model, deleted_at)"
        " SELECT gen_random_uuid(), owner_id, 't', 'user', 'm', now() - interval '1 day'"
        " FROM conversations, generate_series(1, 250) WHERE conversations.id = %s",
        first,
    )
    # A cascade from parent to child would go as deep as this.
    await _execute(
        services,
        "WITH RECURSIVE n AS (SELECT 10 AS s UNION ALL SELECT s + 1 FROM n WHERE s < 20000),"
        " ids AS (SELECT s, gen_random_uuid() AS id FROM n)"
        " INSERT INTO messages (id, conversation_id, parent_id, sequence, role, status, parts)"
        " SELECT id, %s, lag(id) OVER (ORDER BY s), s, 'user', 'complete', '[]' FROM ids"
        " ORDER BY s",
        first,
    )

    assert await purge_deleted(services) == 251
    assert await value(services, "SELECT count(*) FROM conversations") == 0
    assert await value(services, "SELECT count(*) FROM messages") == 0
