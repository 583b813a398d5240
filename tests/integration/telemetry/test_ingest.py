"""Ingestion: every event becomes one row, or one dead letter, and nothing is lost on the way."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from localstack.embedded.postgres import Postgres
from localstack.embedded.valkey import Valkey
from tailrace.db.pool import connect
from tailrace.ids import uuid7
from tailrace.maintenance import maintain
from tailrace.problems import Problem
from tailrace.queue.base import QueueUnavailable
from tailrace.queue.memory import MemoryQueue
from tailrace.queue.redis_streams import RedisStreamsQueue
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry import pricing
from tailrace.telemetry.capture import spill
from tailrace.telemetry.event import SCHEMA_VERSION, InferenceEvent, encode, glimpse_id
from tailrace.telemetry.ingest import IngestReport, ingest, replay
from tests.support.events import make_event, make_events, publish_all, rows, value
from tests.support.locks import hold_writers


async def _put_into_outbox(services: Services, events: list[InferenceEvent]) -> None:
    async with connect(services.pool) as connection:
        for event in events:
            await spill(connection, encode(event))


async def _ids(services: Services) -> set[UUID]:
    return {row["id"] for row in await rows(services, "SELECT id FROM inference_log")}


async def _dead_letters(services: Services) -> list[dict[str, Any]]:
    return await rows(services, "SELECT * FROM inference_dead_letters ORDER BY id")


class TestRows:
    # A duplicate in the batch sends it the long way round, through the staging table.
    @pytest.mark.parametrize("copies", [1, 2], ids=["straight", "staged"])
    async def test_an_event_becomes_its_row(self, services: Services, copies: int) -> None:
        fields: dict[str, Any] = {
            "id": uuid7(),
            "kind": "gateway",
            "status": "error",
            "started_at": datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC),
            "duration": 2.25,
            "operation_name": "chat",
            "provider_name": "anthropic",
            "request_model": "claude-sonnet-4-5",
            "response_model": "claude-sonnet-4-5-20250929",
            "response_id": "msg_1",
            "finish_reasons": ["end_turn", 'a "quoted" \\ reason, {with} commas', "NULL"],
            "error_type": "overloaded",
            "error_message": "busy — try later\nsecond line",
            "owner_id": uuid7(),
            "conversation_id": uuid7(),
            "request_id": "request",
            "time_to_first_chunk": 0.5,
            "time_per_output_chunk": 0.01,
            "input_tokens": 1000,
            "cache_read_input_tokens": 600,
            "cache_write_input_tokens": 100,
            "output_tokens": 50,
            "reasoning_output_tokens": 20,
            "usage_estimated": True,
            "attempts": 3,
            "fallback_from": "openai/gpt-4o",
            "cold_start": True,
            "input_preview": "👋 hello",
            "output_preview": "hello 👋\ttab",
            "metadata": {"team": "a", "nested": [1, 2.5, None, {"ü": True}]},
        }
        await publish_all(services.queue, [InferenceEvent(**fields)] * copies)

        report = await ingest(services)

        assert report == IngestReport(received=copies, inserted=1, duplicates=copies - 1, batches=1)
        (row,) = await rows(services, "SELECT * FROM inference_log")
        assert {name: row[name] for name in fields} == fields
        # 300 fresh at 3, 600 read at 0.30, 100 written at 3.75, 50 out at 15 USD a million.
        assert row["cost_usd"] == Decimal("0.002205")
        assert row["unpriced"] is False
        assert row["price_version"]

    async def test_a_bare_event_leaves_what_it_does_not_tell_empty(
        self, services: Services
    ) -> None:
        event = InferenceEvent(
            id=uuid7(),
            kind="title",
            status="interrupted",
            started_at=datetime.now(UTC),
            duration=0,
            provider_name="local",
            request_model="smollm2",
        )
        await publish_all(services.queue, [event])

        await ingest(services)

        (row,) = await rows(services, "SELECT * FROM inference_log")
        empty = {name for name, found in row.items() if found is None}
        assert empty == {
            *("owner_id", "conversation_id", "request_id", "response_model", "response_id"),
            *("error_type", "error_message", "time_to_first_chunk", "time_per_output_chunk"),
            *("input_tokens", "cache_read_input_tokens", "cache_write_input_tokens"),
            *("output_tokens", "reasoning_output_tokens", "cost_usd", "fallback_from"),
            *("input_preview", "output_preview"),
        }
        assert row["unpriced"] is True
        assert row["finish_reasons"] == []
        assert row["metadata"] == {}

    async def test_late_and_future_events_have_a_home(self, services: Services) -> None:
        now = datetime.now(UTC)
        days = (timedelta(days=-400), timedelta(), timedelta(days=400))
        await maintain(services)
        await publish_all(services.queue, [make_event(started_at=now + day) for day in days])

        assert (await ingest(services)).inserted == 3

        found = await rows(
            services,
            "SELECT tableoid::regclass::text AS home FROM inference_log ORDER BY started_at",
        )
        assert [row["home"] for row in found] == [
            "inference_log_default",
            f"inference_log_{now:%Y%m%d}",
            "inference_log_default",
        ]

    async def test_text_that_postgres_cannot_hold_is_replaced(self, services: Services) -> None:
        event = make_event(
            input_preview="a\0b", finish_reasons=["st\0op"], metadata={"k\0": ["v\0", {"\0": 1}]}
        )
        # As somebody else's encoder would write it; ours replaces NUL itself.
        await services.queue.publish(msgspec.json.encode(event))

        assert (await ingest(services)).inserted == 1

        (row,) = await rows(services, "SELECT * FROM inference_log")
        assert row["input_preview"] == "a\ufffdb"
        assert row["finish_reasons"] == ["st\ufffdop"]
        assert row["metadata"] == {"k\ufffd": ["v\ufffd", {"\ufffd": 1}]}


class TestDuplicates:
    async def test_delivered_twice_in_one_batch(self, services: Services) -> None:
        event = make_event()
        await publish_all(services.queue, [event, event, make_event()])

        report = await ingest(services)

        assert (report.received, report.inserted, report.duplicates) == (3, 2, 1)
        assert await services.queue.depth() == 0

    async def test_delivered_again_later(self, services: Services) -> None:
        event = make_event(output_preview="first")
        await publish_all(services.queue, [event])
        await ingest(services)
        event.output_preview = "second"
        await publish_all(services.queue, [event])

        report = await ingest(services)

        assert (report.inserted, report.duplicates) == (0, 1)
        assert await value(services, "SELECT output_preview FROM inference_log") == "first"

    async def test_in_queue_and_outbox(self, services: Services) -> None:
        events = make_events(10)
        await publish_all(services.queue, events)
        await _put_into_outbox(services, events)

        report = await ingest(services)

        assert report == IngestReport(received=10, outbox=10, inserted=10, duplicates=10, batches=2)
        assert await value(services, "SELECT count(*) FROM telemetry_outbox") == 0


def _with(**fields: Any) -> bytes:
    """Return the payload of an event with fields that the event itself would not have."""
    return msgspec.json.encode(msgspec.to_builtins(make_event()) | fields)


_POISON = {
    "empty": b"",
    "no JSON": b"\x00\xff",
    "cut off": encode(make_event())[:-10],
    "not UTF-8": _with(error_message="X").replace(b'"X"', b'"\xff"'),
    "half a surrogate pair": _with(error_message="X").replace(b'"X"', b'"\\ud800"'),
    "a list": b"[]",
    "an unknown field": _with(surprise=1),
    "a missing field": b'{"kind":"chat"}',
    "a wrong type": _with(input_tokens="many"),
    "a negative count": _with(output_tokens=-1),
    "a count beyond all bounds": _with(output_tokens=10**30),
    "not an id": _with(id="1"),
    "a time without a zone": _with(started_at="2026-01-01T00:00:00"),
    "a time before all calls": _with(started_at="0001-01-01T00:00:00+23:00"),
    "a time after all calls": _with(started_at="9999-12-31T23:59:59-23:00"),
    "no number": _with(duration=1).replace(b'"duration":1', b'"duration":NaN'),
    "an endless number": _with(duration=1).replace(b'"duration":1', b'"duration":1e999'),
    "an unknown kind": _with(kind="surprise"),
    "a long name": _with(request_model="m" * 1000),
    "much metadata": _with(metadata={"a": "b" * 100_000}),
    "deep metadata": _with(metadata={}).replace(b"{}", b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}"),
    "a huge payload": _with(metadata={"a": "b" * 1_000_000}),
    # The event passes; the cost is more than its column holds.
    "a cost that the database refuses": _with(input_tokens=2**53),
    "another one": _with(output_tokens=2**53),
}


_NEWER = encode(make_event(schema_version=SCHEMA_VERSION + 1))

_EXHAUST_OUTBOX = "UPDATE telemetry_outbox SET claims = 1000"

# What an event is, and how often it comes by queue and by outbox.
_WAYS = st.tuples(
    st.sampled_from(["good", "good", "dead", "newer"]), st.integers(0, 2), st.integers(0, 2)
)


def _payload(kind: str) -> bytes:
    if kind == "dead":
        return _with(output_tokens=-1)
    return encode(make_event(schema_version=SCHEMA_VERSION + (kind == "newer")))


def _short_lived() -> MemoryQueue:
    return MemoryQueue(hold=0, max_deliveries=1)


async def _exhaust_queue(services: Services, count: int) -> None:
    """Hand messages out as often as `_short_lived` may, to nobody who acknowledges them."""
    assert len(await services.queue.receive(count)) == count


async def _execute(services: Services, statement: LiteralString) -> None:
    async with connect(services.pool) as connection:
        await connection.execute(statement)


class TestPoison:
    async def test_every_bad_event_is_kept_with_its_reason_and_blocks_nobody(
        self, services: Services
    ) -> None:
        good = make_events(len(_POISON) + 1)
        await publish_all(services.queue, good[:1])
        for payload, event in zip(_POISON.values(), good[1:], strict=True):
            await services.queue.publish(payload)
            await publish_all(services.queue, [event])

        report = await ingest(services)

        assert report.inserted == len(good)
        assert report.dead == len(_POISON)
        assert await _ids(services) == {event.id for event in good}
        assert await services.queue.depth() == 0
        letters = {bytes(row["payload"]): row for row in await _dead_letters(services)}
        reasons = {name: letters[payload]["reason"] for name, payload in _POISON.items()}
        assert all(reasons.values()), reasons
        assert "input_tokens" in reasons["a wrong type"]
        assert "numeric field overflow" in reasons["a cost that the database refuses"]
        assert {row["source"] for row in letters.values()} == {"queue"}

    @pytest.mark.parametrize("name", ["a wrong type", "a cost that the database refuses"])
    async def test_one_alone(self, services: Services, name: str) -> None:
        await services.queue.publish(_POISON[name])

        assert await ingest(services) == IngestReport(received=1, dead=1, batches=1)

    async def test_in_the_outbox(self, services: Services) -> None:
        good = make_events(2)
        async with connect(services.pool) as connection:
            for payload in (*_POISON.values(), *map(encode, good)):
                await spill(connection, payload)

        report = await ingest(services)

        assert (report.inserted, report.dead) == (2, len(_POISON))
        assert await value(services, "SELECT count(*) FROM telemetry_outbox") == 0
        assert {row["source"] for row in await _dead_letters(services)} == {"outbox"}

    async def test_a_redelivery_is_counted_not_repeated(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        services.queue = queue = MemoryQueue(hold=0)
        await queue.publish(b"poison")

        async def fail(ids: list[str]) -> None:
            raise QueueUnavailable

        with monkeypatch.context() as patch:
            patch.setattr(queue, "acknowledge", fail)
            assert (await ingest(services)).queue_available is False
        await ingest(services)

        assert [row["attempts"] for row in await _dead_letters(services)] == [2]
        assert await queue.depth() == 0

    @pytest.mark.parametrize("straight", [True, False], ids=["straight", "staged"])
    async def test_what_our_own_code_trips_over(
        self,
        services: Services,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        straight: bool,
    ) -> None:
        unlucky, *good = make_events(3)
        priced = pricing.price

        def trip(event: InferenceEvent) -> tuple[Decimal | None, bool]:
            if event.id == unlucky.id:
                raise KeyError("a text that nobody is to see")
            return priced(event)

        await publish_all(
            services.queue, [good[0], unlucky, good[1], *([] if straight else [good[0]])]
        )
        with monkeypatch.context() as patch:
            patch.setattr(pricing, "price", trip)
            report = await ingest(services)

        assert (report.inserted, report.dead) == (2, 1)
        [letter] = await _dead_letters(services)
        assert letter["reason"] == "not read or priced: KeyError"
        assert "not read or priced: KeyError in" in caplog.text
        assert "nobody is to see" not in caplog.text
        async with connect(services.pool) as connection:
            await connection.execute(
                "UPDATE inference_dead_letters SET replay_requested_at = now()"
            )
        assert (await replay(services)).inserted == 1
        assert await _dead_letters(services) == []

    async def test_what_the_stream_holds_besides_events(self, services: Services) -> None:
        await services.redis.xadd("tailrace:inference-events", {"other": "x"})
        await publish_all(services.queue, make_events(1))

        report = await ingest(services)

        assert (report.inserted, report.dead) == (1, 1)


class TestExhausted:
    """However it comes, and is tried in vain, an event is one row or one dead letter."""

    @pytest.mark.parametrize("source", ["queue", "outbox"])
    async def test_what_is_in_the_log_has_landed(self, services: Services, source: str) -> None:
        """Whoever had it was never heard of again, but its commit was made."""
        services.queue = _short_lived()
        landed, other = make_events(2)
        await publish_all(services.queue, [landed])
        await ingest(services)
        if source == "queue":
            await publish_all(services.queue, [landed, other])
            await _exhaust_queue(services, 2)
        else:
            await _put_into_outbox(services, [landed, other])
            await _execute(services, _EXHAUST_OUTBOX)

        report = await ingest(services)

        assert (report.inserted, report.duplicates, report.dead) == (0, 1, 1)
        assert [bytes(row["payload"]) for row in await _dead_letters(services)] == [encode(other)]
        # By another way the other one comes as well, and then is no dead letter any more.
        await publish_all(services.queue, [other])
        await ingest(services)
        assert await _ids(services) == {landed.id, other.id}
        assert await _dead_letters(services) == []

    async def test_why_it_could_not_be_kept_is_not_forgotten(self, services: Services) -> None:
        services.queue = _short_lived()
        await services.queue.publish(_NEWER)
        await ingest(services)
        (before,) = await _dead_letters(services)
        await services.queue.publish(_NEWER)
        await _exhaust_queue(services, 1)

        await ingest(services)

        (after,) = await _dead_letters(services)
        assert (before["attempts"], after["attempts"]) == (1, 2)
        for name in ("reason", "schema_version", "event_id"):
            assert after[name] == before[name]

    @given(events=st.lists(_WAYS, min_size=1, max_size=8))
    @example(events=[("good", 1, 1), ("dead", 2, 2), ("newer", 1, 1)])
    @hypothesis_settings(
        max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    async def test_nothing_is_lost_or_there_twice(
        self, services: Services, events: list[tuple[str, int, int]]
    ) -> None:
        services.queue = _short_lived()
        services.settings = services.settings.model_copy(update={"ingest_batch_size": 3})
        await _execute(services, "TRUNCATE inference_log, inference_dead_letters")
        payloads = {_payload(kind): (queued, spilled) for kind, queued, spilled in events}
        for payload, (queued, spilled) in payloads.items():
            for _ in range(queued):
                await services.queue.publish(payload)
            async with connect(services.pool) as connection:
                for _ in range(spilled):
                    await spill(connection, payload)
        # Of what has been handed out often enough by now, half comes unread.
        await _exhaust_queue(services, sum(queued for queued, _ in payloads.values()) // 2)
        await _execute(services, f"{_EXHAUST_OUTBOX} WHERE id % 2 = 0")

        await ingest(services)

        letters = [bytes(row["payload"]) for row in await _dead_letters(services)]
        logged = await _ids(services)
        came = {payload for payload, ways in payloads.items() if any(ways)}
        assert len(letters) + len(logged) == len(came)
        assert set(letters) | {each for each in came if glimpse_id(each) in logged} == came


class TestBatches:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"ingest_batch_size": 10})

    async def test_all_of_queue_and_outbox_land(self, services: Services) -> None:
        events = make_events(95)
        await publish_all(services.queue, events[:60])
        await _put_into_outbox(services, events[60:])

        report = await ingest(services)

        assert (report.received, report.outbox, report.inserted) == (60, 35, 95)
        assert await _ids(services) == {event.id for event in events}
        assert await services.queue.depth() == 0
        assert await value(services, "SELECT count(*) FROM telemetry_outbox") == 0

    async def test_nothing_begins_after_the_deadline(self, services: Services) -> None:
        await publish_all(services.queue, make_events(30))

        report = await ingest(services, deadline=asyncio.get_running_loop().time())

        assert report == IngestReport()
        assert await services.queue.depth() == 30

    async def test_nothing_to_do(self, services: Services) -> None:
        assert await ingest(services) == IngestReport()


class TestValkeyFails:
    @pytest.fixture
    def settings(self, settings: Settings, private_valkey: Valkey) -> Settings:
        return settings.model_copy(update={"redis_url": SecretStr(private_valkey.url)})

    async def test_down_the_outbox_is_drained(
        self, services: Services, private_valkey: Valkey
    ) -> None:
        events = make_events(5)
        await _put_into_outbox(services, events)
        private_valkey.kill()

        report = await ingest(services)

        assert (report.outbox, report.inserted, report.queue_available) == (5, 5, False)

    async def test_wiped_what_comes_later_lands(
        self, services: Services, private_valkey: Valkey
    ) -> None:
        before, after = make_events(3), make_events(3)
        await publish_all(services.queue, before)
        await ingest(services)
        private_valkey.wipe()
        await publish_all(services.queue, after)

        report = await ingest(services)

        assert (report.received, report.inserted) == (3, 3)
        assert await _ids(services) == {event.id for event in before + after}

    async def test_restarted_what_it_kept_lands(
        self, services: Services, private_valkey: Valkey
    ) -> None:
        events = make_events(3)
        await publish_all(services.queue, events)
        private_valkey.stop()
        private_valkey.start()

        assert (await ingest(services)).inserted == 3


class TestPostgresFails:
    @pytest.fixture
    def settings(self, settings: Settings, private_database_url: str) -> Settings:
        update = {"database_url": SecretStr(private_database_url), "database_timeout": 0.5}
        return settings.model_copy(update=update)

    async def test_down_nothing_is_acknowledged(
        self, services: Services, private_postgres: Postgres
    ) -> None:
        events = make_events(3)
        await publish_all(services.queue, events)
        private_postgres.kill()

        with pytest.raises(Problem, match="database cannot be reached"):
            await ingest(services)
        assert await services.queue.depth() == 3
        private_postgres.start()

        assert (await ingest(services)).inserted == 3
        assert await services.queue.depth() == 0

    async def test_killed_in_mid_batch_nothing_is_lost(
        self, services: Services, private_postgres: Postgres
    ) -> None:
        events = make_events(50)
        await publish_all(services.queue, events[:40])
        await _put_into_outbox(services, events[40:])

        async with hold_writers(services) as lock:
            ingestion = asyncio.create_task(ingest(services))
            await lock.wait_for_waiters()
            private_postgres.kill()
            with pytest.raises(Problem):
                await ingestion
        assert await services.queue.depth() == 40
        private_postgres.start()

        # At once: what the failed ingestion held, it gave back.
        assert (await ingest(services)).inserted == 50
        assert await _ids(services) == {event.id for event in events}


class TestTime:
    async def test_lingering_lands_what_comes_in_meanwhile(self, services: Services) -> None:
        services.settings = services.settings.model_copy(update={"ingest_linger": 600.0})
        ingestion = asyncio.create_task(ingest(services))
        for round in range(1, 4):
            await publish_all(services.queue, make_events(2))
            async with asyncio.timeout(120):
                while True:
                    if len(await _ids(services)) == 2 * round:
                        break
                    await asyncio.sleep(0.02)
        assert not ingestion.done()
        ingestion.cancel()

    async def test_lingering_ends_before_the_deadline(self, services: Services) -> None:
        services.settings = services.settings.model_copy(update={"ingest_linger": 600.0})
        await publish_all(services.queue, make_events(2))
        start = asyncio.get_running_loop().time()

        report = await ingest(services, deadline=start + 2)

        assert report.received == 2
        assert 1 < asyncio.get_running_loop().time() - start < 60

    @pytest.mark.parametrize("source", ["queue", "outbox"])
    async def test_a_batch_that_hangs_is_given_up_and_comes_again(
        self, services: Services, monkeypatch: pytest.MonkeyPatch, source: str
    ) -> None:
        monkeypatch.setattr("tailrace.telemetry.ingest._GRACE", 0.5)
        events = make_events(3)
        if source == "queue":
            await publish_all(services.queue, events)
        else:
            await _put_into_outbox(services, events)
        start = asyncio.get_running_loop().time()

        async with hold_writers(services):
            report = await ingest(services, deadline=start + 0.5)

        assert report == IngestReport()
        assert asyncio.get_running_loop().time() - start < 20
        # It is no fault of theirs.
        claims = await rows(services, "SELECT claims FROM telemetry_outbox WHERE claims <> 0")
        assert claims == []
        assert (await ingest(services)).inserted == 3

    async def test_a_slow_batch_is_held_from_others(
        self, services: Services, settings: Settings
    ) -> None:
        """However long it takes, nobody else is handed its messages."""
        services.queue = RedisStreamsQueue(services.redis, max_length=100, hold=60)
        other = RedisStreamsQueue(services.redis, max_length=100, hold=60)
        # It holds them anew every second, and no pause of the machine is as long as they are held.
        services.queue.hold = 3
        await publish_all(services.queue, make_events(3))

        async def extended() -> None:
            """Wait until what is held is held anew."""
            longest = -1
            async with asyncio.timeout(120):
                while (idle := await self._idle(services)) >= longest:
                    longest = idle
                    await asyncio.sleep(0.02)

        async with hold_writers(services) as lock:
            ingestion = asyncio.create_task(ingest(services))
            await lock.wait_for_waiters()
            for _ in range(2):
                await extended()
                assert await other.receive(10) == []
            await lock.release()
            report = await ingestion

        assert (report.received, report.inserted, report.duplicates) == (3, 3, 0)

    async def _idle(self, services: Services) -> int:
        """Return the milliseconds since a message was delivered, or its hold was extended."""
        held = await services.redis.xpending_range(
            "tailrace:inference-events", "ingest", min="-", max="+", count=1
        )
        return held[0]["time_since_delivered"]

    async def test_a_hold_ends_with_its_batch_though_the_client_hears_of_no_end(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        extending = asyncio.Event()

        async def extend(ids: list[str]) -> None:
            extending.set()
            # As asyncio.wait_for does when what it waits for is done just then.
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

        services.queue = MemoryQueue(hold=3)
        monkeypatch.setattr(services.queue, "extend", extend)
        await publish_all(services.queue, make_events(3))

        async with hold_writers(services) as lock:
            ingestion = asyncio.create_task(ingest(services))
            await extending.wait()
            await lock.release()
            async with asyncio.timeout(60):
                report = await ingestion

        assert report.inserted == 3


class TestSize:
    async def test_large_events_are_read_a_few_at_a_time(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        events = [make_event(metadata={"a": "b" * 30_000}) for _ in range(300)]
        await publish_all(services.queue, events)
        await _put_into_outbox(services, events[:150])
        monkeypatch.setattr("tailrace.telemetry.ingest.RECEIVE_BYTES", 1_000_000)

        report = await ingest(services)

        assert (report.received, report.outbox, report.inserted) == (300, 150, 300)
        # Of the queue's 9 MB two batches are made, of the outbox's 4.5 five.
        assert report.batches >= 6
