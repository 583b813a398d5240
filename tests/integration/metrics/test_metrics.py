"""The numbers, against the same numbers reckoned in Python."""

import itertools
import math
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import fmean
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from tailrace.ids import uuid7
from tailrace.maintenance.partitions import create_partitions
from tailrace.metrics.calls import calls as list_calls
from tailrace.metrics.overview import overview
from tailrace.metrics.spans import Span
from tailrace.metrics.summary import Selection
from tailrace.problems import Problem
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry.event import InferenceEvent
from tailrace.telemetry.ingest import ingest
from tests.support.events import make_event, publish_all

_START = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
_END = _START + timedelta(days=1)
_OWNERS = [uuid7() for _ in range(3)]
_UTC = ZoneInfo("UTC")


def _calls() -> list[InferenceEvent]:
    """Return a thousand calls over a day and a half, in two partitions and the default one."""
    rng = random.Random(5)
    events = []
    for _ in range(1000):
        status = rng.choices(
            ("ok", "error", "cancelled", "timeout", "interrupted"), (85, 6, 4, 3, 2)
        )[0]
        local = rng.random() < 0.3
        told = status == "ok"
        events.append(
            make_event(
                status=status,
                started_at=_START + timedelta(seconds=rng.uniform(-6 * 3600, 30 * 3600)),
                owner_id=rng.choice(_OWNERS),
                provider_name="local" if local else "openai",
                request_model="smollm2" if local else rng.choice(("gpt-4o", "gpt-4o-mini")),
                duration=rng.lognormvariate(0, 1),
                time_to_first_chunk=rng.lognormvariate(-2, 1) if told else None,
                input_tokens=rng.randrange(2000) if told else None,
                output_tokens=rng.randrange(500) if told else None,
            )
        )
    return events


@pytest.fixture(scope="module")
def calls() -> list[InferenceEvent]:
    return _calls()


@pytest.fixture(scope="module")
async def log(
    module_database_url: str, module_valkey_url: str, calls: list[InferenceEvent]
) -> AsyncIterator[Services]:
    """Services over a log that holds the calls, for every test of this module."""
    services = Services(
        Settings(
            database_url=SecretStr(module_database_url),
            redis_url=SecretStr(module_valkey_url),
            secret_key=SecretStr("a secret key that only tests use"),
        )
    )
    await services.open()
    await create_partitions(services.pool, 0, _START.date())
    await publish_all(services.queue, calls)
    assert (await ingest(services)).inserted == len(calls)
    yield services
    await services.close()


def _percentile(values: list[float], fraction: float) -> float:
    """Interpolate between the two nearest, as percentile_cont is defined."""
    values = sorted(values)
    position = fraction * (len(values) - 1)
    low, high = values[math.floor(position)], values[math.ceil(position)]
    return low + (high - low) * (position - math.floor(position))


def _near(value: float) -> Any:
    """Within what histograms promise."""
    return pytest.approx(value, rel=0.01)


def _within(events: list[InferenceEvent], owner_id: UUID | None = None) -> list[InferenceEvent]:
    return [
        event
        for event in events
        if _START <= event.started_at < _END and owner_id in (None, event.owner_id)
    ]


def _durations(events: list[InferenceEvent]) -> list[float]:
    return [event.duration for event in events if event.status != "interrupted"]


def _first_chunks(events: list[InferenceEvent]) -> list[float]:
    return [e.time_to_first_chunk for e in events if e.time_to_first_chunk is not None]


def _errors(events: list[InferenceEvent]) -> int:
    return sum(event.status in ("error", "timeout", "interrupted") for event in events)


def _usd(event: InferenceEvent) -> Decimal:
    read, written = {
        "gpt-4o": ("2.5", "10"),
        "gpt-4o-mini": ("0.15", "0.6"),
        "smollm2": ("0", "0"),
    }[event.request_model]
    tokens = Decimal(read) * (event.input_tokens or 0) + Decimal(written) * (
        event.output_tokens or 0
    )
    return tokens / 1_000_000


class TestOverview:
    @pytest.mark.parametrize("owner_id", [None, _OWNERS[0]])
    async def test_sums_and_percentiles(
        self, log: Services, calls: list[InferenceEvent], owner_id: UUID | None
    ) -> None:
        expected = _within(calls, owner_id)

        found = await overview(log.pool, Selection(owner_id), Span.of(_START, _END), _UTC)

        assert (found["from"], found["to"]) == (_START, _END)
        assert found["requests"] == len(expected)
        assert found["errors"] == _errors(expected)
        assert found["error_rate"] == pytest.approx(_errors(expected) / len(expected))
        assert found["cancelled"] == sum(event.status == "cancelled" for event in expected)
        assert found["input_tokens"] == sum(event.input_tokens or 0 for event in expected)
        assert found["output_tokens"] == sum(event.output_tokens or 0 for event in expected)
        assert Decimal(found["cost_usd"]) == sum(map(_usd, expected))
        assert found["unpriced_requests"] == sum(
            event.provider_name == "local" or event.status == "interrupted" for event in expected
        )
        for name, fraction in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            assert found["duration"][name] == pytest.approx(
                _percentile(_durations(expected), fraction), rel=0.01
            )
            assert found["time_to_first_chunk"][name] == pytest.approx(
                _percentile(_first_chunks(expected), fraction), rel=0.01
            )
        assert found["duration"]["max"] == max(_durations(expected))
        assert found["duration"]["mean"] == pytest.approx(fmean(_durations(expected)))

    async def test_models(self, log: Services, calls: list[InferenceEvent]) -> None:
        by_model: dict[tuple[str, str], list[InferenceEvent]] = {}
        for event in _within(calls):
            by_model.setdefault((event.provider_name, event.request_model), []).append(event)

        found = (await overview(log.pool, Selection(None), Span.of(_START, _END), _UTC))["by_model"]

        assert {(m["provider_name"], m["request_model"]) for m in found} == by_model.keys()
        assert [m["requests"] for m in found] == sorted(map(len, by_model.values()), reverse=True)
        for model in found:
            expected = by_model[model["provider_name"], model["request_model"]]
            priced = model["provider_name"] != "local"
            assert model == {
                "provider_name": model["provider_name"],
                "request_model": model["request_model"],
                "requests": len(expected),
                "errors": _errors(expected),
                "error_rate": pytest.approx(_errors(expected) / len(expected)),
                "input_tokens": sum(event.input_tokens or 0 for event in expected),
                "output_tokens": sum(event.output_tokens or 0 for event in expected),
                "cost_usd": model["cost_usd"],
                "cancelled": sum(event.status == "cancelled" for event in expected),
                "unpriced_requests": model["unpriced_requests"],
                **dict.fromkeys(("cache_read_input_tokens", "cache_write_input_tokens"), 0),
                "reasoning_output_tokens": 0,
                "duration_p50": _near(_percentile(_durations(expected), 0.5)),
                "duration_p95": _near(_percentile(_durations(expected), 0.95)),
                "time_to_first_chunk_p50": _near(_percentile(_first_chunks(expected), 0.5)),
            }
            assert (model["cost_usd"] is not None) == priced

    async def test_the_series_has_no_gap_and_counts_every_call_once(
        self, log: Services, calls: list[InferenceEvent]
    ) -> None:
        found = await overview(log.pool, Selection(None), Span.of(_START, _END), _UTC)

        width = timedelta(seconds=found["bucket_seconds"])
        series = found["series"]
        starts = [point["start"] for point in series]
        assert all(b - a == width for a, b in itertools.pairwise(starts))
        assert starts[0] <= _START < starts[0] + width
        assert starts[-1] < _END <= starts[-1] + width
        for point in series:
            expected = [
                event
                for event in _within(calls)
                if point["start"] <= event.started_at < point["start"] + width
            ]
            assert point["requests"] == len(expected)
            assert point["errors"] == _errors(expected)
            assert point["output_tokens"] == sum(event.output_tokens or 0 for event in expected)
            for name, values in (
                ("duration_p95", _durations(expected)),
                ("time_to_first_chunk_p95", _first_chunks(expected)),
            ):
                assert point[name] == (_near(_percentile(values, 0.95)) if values else None)
        assert sum(point["requests"] for point in series) == found["requests"]

    async def test_nothing_to_sum_up(self, log: Services) -> None:
        found = await overview(
            log.pool, Selection(uuid7()), Span.of(_START, _START + timedelta(hours=1)), _UTC
        )

        assert (found["requests"], found["errors"], found["error_rate"]) == (0, 0, 0.0)
        assert (found["input_tokens"], found["cost_usd"], found["duration"]) == (0, None, None)
        assert (found["by_model"], found["bucket_seconds"]) == ([], 60)
        assert found["previous"]["requests"] == 0
        assert len(found["series"]) == 60
        assert found["series"][0] == {
            "start": _START,
            **{"requests": 0, "errors": 0, "output_tokens": 0},
            **{"duration_p95": None, "time_to_first_chunk_p95": None},
        }

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            (datetime.min.replace(tzinfo=UTC), _END),
            (_START, datetime.max.replace(tzinfo=UTC)),
        ],
    )
    async def test_a_span_beyond_all_dates_is_refused(
        self, log: Services, start: datetime, end: datetime
    ) -> None:
        with pytest.raises(Problem) as caught:
            await overview(log.pool, Selection(None), Span.of(start, end), _UTC)
        assert caught.value.status == 422


class TestCalls:
    @pytest.mark.parametrize("owner_id", [None, _OWNERS[1]])
    async def test_pages_give_each_call_once_the_newest_first(
        self, log: Services, calls: list[InferenceEvent], owner_id: UUID | None
    ) -> None:
        expected = sorted(
            _within(calls, owner_id), key=lambda event: (event.started_at, event.id), reverse=True
        )

        found, before = [], None
        while True:
            page = await list_calls(log.pool, owner_id, _START, _END, 70, before)
            found += page.items
            if (before := page.following) is None:
                break
            assert len(page.items) == 70

        assert [call["id"] for call in found] == [event.id for event in expected]

    async def test_calls_of_one_moment_are_told_apart(self, services: Services) -> None:
        events = [make_event(started_at=_START) for _ in range(5)]
        await publish_all(services.queue, events)
        await ingest(services)

        first = await list_calls(services.pool, None, _START, _END, 3)
        second = await list_calls(services.pool, None, _START, _END, 3, first.following)

        ids = [call["id"] for call in (*first.items, *second.items)]
        assert ids == sorted((event.id for event in events), reverse=True)
        assert second.following is None

    async def test_a_full_last_page_has_no_next(self, services: Services) -> None:
        await publish_all(services.queue, [make_event(started_at=_START) for _ in range(3)])
        await ingest(services)

        assert (await list_calls(services.pool, None, _START, _END, 3)).following is None

    async def test_a_call_is_shown_with_what_it_cost(self, services: Services) -> None:
        conversation_id = uuid7()
        event = make_event(
            started_at=_START,
            conversation_id=conversation_id,
            response_model="gpt-4o-2024-08-06",
            cache_read_input_tokens=600,
            input_preview="in",
            output_preview="out",
        )
        await publish_all(services.queue, [event])
        await ingest(services)

        page = await list_calls(services.pool, None, _START, _END, 10)

        assert page.items == [
            {
                "id": event.id,
                "started_at": _START,
                "kind": "chat",
                "status": "ok",
                "error_type": None,
                "provider_name": "openai",
                "request_model": "gpt-4o",
                "response_model": "gpt-4o-2024-08-06",
                "duration": 1.5,
                "time_to_first_chunk": 0.25,
                "time_per_output_chunk": None,
                "owner_id": None,
                "input_tokens": 1000,
                "output_tokens": 100,
                "cache_read_input_tokens": 600,
                "cache_write_input_tokens": None,
                "reasoning_output_tokens": None,
                "usage_estimated": False,
                "cost_usd": "0.00275",
                "unpriced": False,
                "finish_reasons": ["stop"],
                "conversation_id": conversation_id,
                "input_preview": "in",
                "output_preview": "out",
                "attempts": 1,
                "fallback_from": None,
                "failed_attempts": [],
                "omitted_messages": 0,
            }
        ]
