"""When the schedules leave a database that sleeps alone."""

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tailrace import presence
from tailrace.alerts import store
from tailrace.alerts.evaluation import evaluate
from tailrace.alerts.rules import RuleFields
from tailrace.db.pool import connect, create_pool
from tailrace.http import api, chat
from tailrace.presence import find_rest, note_call, note_look
from tailrace.queue.memory import MemoryQueue
from tailrace.queue.status import find_status
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry.capture import spill
from tailrace.telemetry.ingest import ingest
from tests.support.events import make_event, publish_all

LONG_AGO = 3600.0


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"database_sleeps": True})


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The wall clock, which a test may move."""
    at = [time.time()]
    monkeypatch.setattr(presence, "time", SimpleNamespace(time=lambda: at[0]))
    return at


async def fail(*_, **__) -> None:
    raise RedisConnectionError


async def ingest_calls(services: Services, minutes_ago: int, **fields: Any) -> None:
    """Let a call of then come into the log."""
    started_at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    await publish_all(services.queue, [make_event(started_at=started_at, **fields)])
    assert (await ingest(services)).inserted == 1


async def look(services: Services, began_at: float) -> None:
    await note_look(services, "ingest", began_at, await find_status(services))


async def test_a_schedule_rests_once_it_has_found_nothing_to_do(services: Services) -> None:
    assert await find_rest(services, "ingest") is None

    await look(services, time.time())

    left = await find_rest(services, "ingest")
    assert left is not None
    assert (left.depth, left.lag, left.spilled) == (0, 0, 0)
    # The other has not looked.
    assert await find_rest(services, "maintain") is None


async def test_it_rests_only_where_the_database_sleeps(services: Services) -> None:
    await look(services, time.time())
    services.settings = services.settings.model_copy(update={"database_sleeps": False})
    assert await find_rest(services, "ingest") is None


@pytest.mark.parametrize("create_app", [api.create_app, chat.create_app])
async def test_a_call_has_it_work_until_it_has_looked_long_enough_after(
    services: Services, now: list[float], create_app
) -> None:
    await look(services, now[0] + LONG_AGO)
    now[0] += LONG_AGO + 1
    assert await find_rest(services, "ingest")

    transport = httpx.ASGITransport(create_app(services, lifespan=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        await http.get("/healthz")
        assert await find_rest(services, "ingest")
        await http.get("/api/nothing")

    assert await find_rest(services, "ingest") is None
    # What the call does may not be there to be seen yet.
    await look(services, now[0] + 60)
    assert await find_rest(services, "ingest") is None
    await look(services, now[0] + 120)
    assert await find_rest(services, "ingest")


async def test_of_many_calls_few_are_noted(services: Services, now: list[float]) -> None:
    called = []

    async def app(scope, receive, send) -> None:
        called.append(await services.redis.delete("tailrace:called-at"))

    noting = presence.NotesCalls(app, services)
    for _ in range(40):
        await noting({"type": "http", "path": "/api/chat"}, None, None)
        now[0] += 1
    assert called == [1, *[0] * 29, 1, *[0] * 9]


async def test_a_call_that_could_not_be_noted_is_noted_once_it_is_answered(
    services: Services, now: list[float]
) -> None:
    await look(services, now[0])
    now[0] += LONG_AGO
    outage = pytest.MonkeyPatch()
    outage.setattr(services.redis, "set", fail)

    async def app(scope, receive, send) -> None:
        # Valkey is back with all it had, and nobody calls again.
        outage.undo()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await presence.NotesCalls(app, services)({"type": "http", "path": "/api/chat"}, None, None)

    assert await find_rest(services, "ingest") is None


async def test_a_call_during_a_pause_is_noted_once_it_is_answered(
    services: Services, now: list[float]
) -> None:
    await look(services, now[0])
    now[0] += LONG_AGO
    outage = pytest.MonkeyPatch()
    outage.setattr(services.redis, "set", fail)

    async def app(scope, receive, send) -> None:
        if scope["path"] == "/api/chat":
            outage.undo()

    noting = presence.NotesCalls(app, services)
    await noting({"type": "http", "path": "/api/me"}, None, None)
    await noting({"type": "http", "path": "/api/chat"}, None, None)

    assert await find_rest(services, "ingest") is None


async def test_no_look_from_before_an_outage_is_trusted(
    services: Services, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    await look(services, now[0])
    now[0] += LONG_AGO
    with monkeypatch.context() as patch:
        patch.setattr(services.redis, "mget", fail)
        assert await find_rest(services, "ingest") is None

    # A call whose function died may have gone unnoted.
    assert await find_rest(services, "ingest") is None
    await look(services, now[0] + 60)
    assert await find_rest(services, "ingest") is None
    await look(services, now[0] + 120)
    assert await find_rest(services, "ingest")


async def test_a_look_of_another_shape_is_none(services: Services) -> None:
    for other in (b"[]", b'{"at": 1.0, "status": {"depth": 0}}', b"\xff"):
        await services.redis.set("tailrace:looked:ingest", other)
        assert await find_rest(services, "ingest") is None
    await look(services, time.time())
    assert await find_rest(services, "ingest")


async def test_what_waits_in_the_queue_is_work(services: Services) -> None:
    await look(services, time.time())
    await publish_all(services.queue, [make_event()])
    assert await find_rest(services, "ingest") is None


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO password_reset_requests (id, email) VALUES (gen_random_uuid(), 'a@b.example')",
        """
        WITH rule AS (
            INSERT INTO alert_rules
                (id, source, name, kind, threshold, window_seconds, for_seconds, minimum_calls,
                 severity, enabled)
            VALUES
                (gen_random_uuid(), 'api', 'Costs', 'cost_per_hour', 1, 3600, 0, 0, 'warning', true)
            RETURNING id
        )
        INSERT INTO alert_states (rule_id, subject, state, since)
        SELECT id, '', 'firing', now() FROM rule
        """,
    ],
)
async def test_what_waits_in_the_database_is_work(services: Services, statement: str) -> None:
    async with connect(services.pool) as connection:
        await connection.execute(statement)
    await look(services, time.time())
    assert await find_rest(services, "ingest") is None


async def test_an_event_that_did_not_land_is_work(services: Services) -> None:
    async with connect(services.pool) as connection:
        await spill(connection, b"payload")
    await look(services, time.time())
    assert await find_rest(services, "ingest") is None


@pytest.mark.parametrize(
    ("fields", "minutes_ago", "is_work"),
    [
        ({"kind": "error_rate", "threshold": 0.5, "window": 600}, 8, True),
        ({"kind": "cost_per_hour", "threshold": 5, "window": 600}, 8, True),
        ({"kind": "error_rate", "threshold": 0.5, "window": 600}, 12, False),
        ({"kind": "error_rate", "threshold": 0.5, "window": 600, "enabled": False}, 8, False),
        # The day's costs do not grow by themselves.
        ({"kind": "cost_per_user_day", "threshold": 5, "window": 600}, 8, False),
    ],
)
async def test_calls_in_the_window_of_a_rule_are_work(
    services: Services, fields: dict[str, Any], minutes_ago: int, is_work: bool
) -> None:
    await store.create(services.pool, RuleFields(name="Rule", **fields))
    await ingest_calls(services, minutes_ago=minutes_ago)

    await look(services, time.time())

    assert (await find_rest(services, "ingest") is None) is is_work


async def test_an_alert_that_time_alone_sets_off_is_waited_for(
    services: Services,
) -> None:
    rule = RuleFields(name="Errors", kind="error_rate", threshold=0.9, window=600, minimum_calls=1)
    services.settings = services.settings.model_copy(update={"alerts": (rule,)})
    await ingest_calls(services, minutes_ago=9)
    await ingest_calls(services, minutes_ago=5, status="error")
    at = datetime.now(UTC)
    assert await evaluate(services, at) == 0

    await look(services, time.time())
    assert await find_rest(services, "ingest") is None

    # The call that went well has left the window.
    assert await evaluate(services, at + timedelta(minutes=3)) == 1


async def test_it_works_while_nobody_can_tell(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await look(services, time.time())
    with monkeypatch.context() as patch:
        patch.setattr(services.redis, "mget", fail)
        patch.setattr(services.redis, "set", fail)
        assert await find_rest(services, "ingest") is None
        assert not await note_call(services)
        await look(services, time.time())
    queue = MemoryQueue()
    queue.available = False
    services.__dict__["queue"] = queue
    assert await find_rest(services, "ingest") is None


async def test_it_looks_again_although_nobody_came(services: Services) -> None:
    await look(services, time.time())
    assert 0 < await services.redis.ttl("tailrace:looked:ingest") <= 6 * 3600


async def test_the_server_ends_sessions_that_nobody_uses(settings: Settings) -> None:
    async with create_pool(settings) as pool, connect(pool) as connection:
        told = await (await connection.execute("SHOW idle_session_timeout")).fetchone()
    assert told == {"idle_session_timeout": "90s"}
