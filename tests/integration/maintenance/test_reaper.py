"""Dead runs: found by the missing sign of life, closed with what came, recorded once."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import redis
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from localstack.embedded.valkey import Valkey
from tailrace.conversations import store
from tailrace.db.pool import transaction
from tailrace.ids import uuid7
from tailrace.maintenance import maintain
from tailrace.maintenance.reaper import reap_dead_runs
from tailrace.runs import wire
from tailrace.runs.journal import Journal
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry.event import InferenceEvent, decode
from tests.support.events import rows, value

_DEAD_AFTER = 30.0


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"run_dead_after": 1.0, "run_timeout": 600.0})


@pytest.fixture(autouse=True)
def _valkey_is_settled(valkey: Valkey) -> None:
    """Wait until the session's Valkey is up for long enough to be believed."""
    with redis.Redis.from_url(valkey.url) as client:
        while client.info("server")["uptime_in_seconds"] < 2:
            time.sleep(0.05)


async def _open_run(
    services: Services, kind: str = "chat", age: timedelta = timedelta(minutes=1)
) -> UUID:
    """Leave behind what a run has written by its first token; return its id."""
    run_id, owner_id, conversation_id = uuid7(), uuid7(), uuid7()
    async with transaction(services.pool) as connection:
        if kind == "chat":
            await connection.execute(
                "INSERT INTO users VALUES (%s, %s, 'x', 'user')", (owner_id, f"{owner_id}@test")
            )
            await connection.execute(
                "INSERT INTO conversations (id, owner_id, title, title_source, model)"
                " VALUES (%s, %s, 'title', 'prompt', 'local/m')",
                (conversation_id, owner_id),
            )
            await connection.execute(
                "INSERT INTO messages (id, conversation_id, sequence, role, status, parts)"
                " VALUES (%s, %s, 1, 'assistant', 'streaming', %s)",
                (run_id, conversation_id, Jsonb([])),
            )
        await connection.execute(
            "INSERT INTO runs (id, kind, owner_id, conversation_id, provider_name,"
            " request_model, request_id, input_preview, started_at)"
            " VALUES (%s, %s, %s, %s, 'local', 'm', 'request', 'the prompt', %s)",
            (run_id, kind, owner_id, conversation_id, datetime.now(UTC) - age),
        )
    return run_id


async def _write_journal(
    services: Services, run_id: UUID, *texts: str, status: str | None = None, alive: bool = False
) -> None:
    journal = Journal(services.redis, run_id, uuid7(), ttl=600, alive_for=600)
    frames = [wire.frame(1, {"type": "start"}), wire.frame(2, {"type": "text-start", "id": "0"})]
    for text in texts:
        frames.append(wire.delta_frame(len(frames) + 1, "text", "0", text))
    await journal.append(frames, len(frames), status)
    if not alive:
        await services.redis.delete(f"tailrace:run:{run_id}:alive")


async def _message(services: Services, run_id: UUID) -> dict[str, Any]:
    (row,) = await rows(
        services, "SELECT status, parts, metadata FROM messages WHERE id = %s", run_id
    )
    return row


async def _events(services: Services) -> list[InferenceEvent]:
    return [decode(message.payload) for message in await services.queue.receive(100)]


async def _open_runs(services: Services) -> int:
    return await value(services, "SELECT count(*) FROM runs WHERE closed_at IS NULL")


async def test_a_dead_chat_keeps_what_came(services: Services) -> None:
    run_id = await _open_run(services)
    (before,) = await rows(services, "SELECT * FROM runs")
    await _write_journal(services, run_id, "Half an", " answer, for ada@example.org")

    assert (await maintain(services)).runs == 1

    message = await _message(services, run_id)
    assert message["status"] == "interrupted"
    assert message["parts"] == [{"type": "text", "text": "Half an answer, for ada@example.org"}]
    assert message["metadata"] == {"run_id": str(run_id), "model": "local/m"}
    (event,) = await _events(services)
    assert (event.id, event.started_at) == (run_id, before["started_at"])
    assert (event.status, event.kind) == ("interrupted", "chat")
    assert (event.provider_name, event.request_model) == ("local", "m")
    assert (event.owner_id, event.conversation_id) == (
        before["owner_id"],
        before["conversation_id"],
    )
    assert (event.request_id, event.input_preview) == ("request", "the prompt")
    assert event.output_preview == "Half an answer, for [redacted email]"
    assert 60 <= event.duration < 120
    assert await _open_runs(services) == 0


async def test_without_a_journal_the_call_counts_all_the_same(services: Services) -> None:
    run_id = await _open_run(services)

    assert await reap_dead_runs(services) == 1

    message = await _message(services, run_id)
    assert (message["status"], message["parts"]) == ("interrupted", [])
    assert len(await _events(services)) == 1


@pytest.mark.parametrize("status", ["complete", "error", "cancelled"])
async def test_a_run_that_had_ended_keeps_how(services: Services, status: str) -> None:
    run_id = await _open_run(services)
    await _write_journal(services, run_id, "An answer", status=status)

    await reap_dead_runs(services)

    message = await _message(services, run_id)
    assert (message["status"], message["parts"][0]["text"]) == (status, "An answer")
    # What a reader that comes back is sent can be made of it.
    assert wire.stored_message(str(run_id), **message)
    (event,) = await _events(services)
    assert event.status == "interrupted"


async def test_a_guests_run_has_no_message(services: Services) -> None:
    run_id = await _open_run(services, "guest")
    await _write_journal(services, run_id, "Half")

    assert await reap_dead_runs(services) == 1

    (event,) = await _events(services)
    assert (event.id, event.kind, event.output_preview) == (run_id, "guest", "Half")
    assert await _open_runs(services) == 0


async def test_a_run_that_shows_a_sign_of_life_is_left_alone(services: Services) -> None:
    run_id = await _open_run(services, age=timedelta(hours=1))
    await _write_journal(services, run_id, "Going on", alive=True)

    assert await reap_dead_runs(services) == 0

    assert (await _message(services, run_id))["status"] == "streaming"
    assert await _events(services) == []


async def test_a_run_that_has_only_begun_is_left_alone(services: Services) -> None:
    # For a minute to come, so that a pause of the machine does not make it old.
    await _open_run(services, age=timedelta(minutes=-1))

    assert await reap_dead_runs(services) == 0


async def test_a_title_shows_no_sign_and_is_given_its_time(services: Services) -> None:
    await _open_run(services, "title")
    assert await reap_dead_runs(services) == 0

    await _open_run(services, "title", timedelta(minutes=11))
    assert await reap_dead_runs(services) == 1

    (event,) = await _events(services)
    # It ran for no longer than it may.
    assert (event.kind, event.duration) == ("title", 600)


async def test_previews_can_be_turned_off(services: Services, settings: Settings) -> None:
    services.settings = settings.model_copy(update={"previews": False})
    run_id = await _open_run(services)
    await _write_journal(services, run_id, "Half")

    await reap_dead_runs(services)

    (event,) = await _events(services)
    assert event.output_preview is None


async def test_twice_and_at_once_it_is_recorded_once(services: Services) -> None:
    for _ in range(5):
        await _open_run(services)

    reaped = await asyncio.gather(*(reap_dead_runs(services) for _ in range(3)))

    assert sum(reaped) == 5
    assert await reap_dead_runs(services) == 0
    assert len(await _events(services)) == 5


async def test_a_run_that_lived_after_all_sets_its_message_right(services: Services) -> None:
    run_id = await _open_run(services)
    await _write_journal(services, run_id, "Half")
    await reap_dead_runs(services)

    async with transaction(services.pool) as connection:
        parts = [{"type": "text", "text": "Half and the rest"}]
        await store.finish_message(connection, run_id, "complete", parts, {})
    assert await reap_dead_runs(services) == 0

    message = await _message(services, run_id)
    assert (message["status"], message["parts"]) == ("complete", parts)


async def test_a_message_that_is_finished_stays_as_it_is(services: Services) -> None:
    run_id = await _open_run(services)
    async with transaction(services.pool) as connection:
        await store.finish_message(connection, run_id, "complete", [], {"kept": True})

    assert await reap_dead_runs(services) == 1

    message = await _message(services, run_id)
    assert (message["status"], message["metadata"]) == ("complete", {"kept": True})


async def test_text_that_postgres_cannot_hold_stops_nobody(services: Services) -> None:
    first, second = await _open_run(services), await _open_run(services)
    await _write_journal(services, first, "a\0b")

    assert await reap_dead_runs(services) == 2

    assert (await _message(services, first))["parts"][0]["text"] == "a\ufffdb"
    assert (await _message(services, second))["status"] == "interrupted"


async def test_a_journal_that_cannot_be_read_stops_nobody(services: Services) -> None:
    broken = await _open_run(services)
    await services.redis.xadd(f"tailrace:run:{broken}", {"not": "frames"})
    await _open_run(services)

    assert await reap_dead_runs(services) == 1

    assert (await _message(services, broken))["status"] == "streaming"
    assert await _open_runs(services) == 1


class TestValkeyFails:
    @pytest.fixture
    def settings(self, settings: Settings, private_valkey: Valkey) -> Settings:
        update = {"redis_url": SecretStr(private_valkey.url), "run_dead_after": _DEAD_AFTER}
        return settings.model_copy(update=update)

    async def test_down_only_what_is_overdue_is_closed(
        self, services: Services, private_valkey: Valkey
    ) -> None:
        overdue = await _open_run(services, age=timedelta(minutes=11))
        await _open_run(services, age=timedelta(minutes=9))
        private_valkey.kill()

        assert await reap_dead_runs(services) == 1

        assert (await _message(services, overdue))["status"] == "interrupted"
        (row,) = await rows(services, "SELECT payload FROM telemetry_outbox")
        assert decode(row["payload"]).id == overdue
        assert await _open_runs(services) == 1

    async def test_just_restarted_the_living_are_given_time_to_show_it(
        self, services: Services, private_valkey: Valkey
    ) -> None:
        await _open_run(services)
        private_valkey.wipe()

        assert await reap_dead_runs(services) == 0
