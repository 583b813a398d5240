"""The views of the numbers over HTTP, against the same calls reckoned in Python."""

import csv
import io
import math
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from tailrace.http.site import create_app
from tailrace.ids import uuid7
from tailrace.services import Services
from tailrace.settings import ProviderSettings, Settings
from tailrace.telemetry.event import InferenceEvent
from tailrace.telemetry.ingest import ingest
from tests.support.chat_client import ChatClient
from tests.support.events import make_event, publish_all
from tests.support.serving import serve

_START = datetime(2026, 10, 24, 13, 20, tzinfo=UTC)
_END = _START + timedelta(days=3)
_SPAN = {"from": _START.isoformat(), "to": _END.isoformat()}


def _events(owners: list[UUID | None]) -> list[InferenceEvent]:
    rng = random.Random(11)
    return [
        make_event(
            started_at=_START + timedelta(seconds=rng.uniform(0, 3 * 86_400)),
            owner_id=(owner := rng.choice(owners)),
            kind="guest" if owner == owners[-1] else rng.choice(("chat", "title")),
            status=(status := rng.choice(("ok", "ok", "ok", "error", "cancelled"))),
            error_type=rng.choice(("overloaded", "timeout")) if status == "error" else None,
            finish_reasons=["stop"] if status == "ok" else [],
            request_model=rng.choice(("gpt-4o", "gpt-4o-mini")),
            duration=rng.lognormvariate(0, 1),
            time_to_first_chunk=rng.random() if status == "ok" else None,
            input_tokens=rng.randrange(3000),
            output_tokens=rng.randrange(300),
            input_preview=rng.choice(("=1+1", "hi, there", 'a "b"')),
        )
        for _ in range(600)
    ]


@pytest.fixture(scope="module")
async def world(
    module_database_url: str, module_valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SimpleNamespace]:
    """An admin, a user and a guest, with calls of theirs and of nobody's."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "index.html").touch()
    settings = Settings(
        database_url=SecretStr(module_database_url),
        redis_url=SecretStr(module_valkey_url),
        secret_key=SecretStr("a secret key that only tests use"),
        secure_cookies=False,
        request_rate="off",
        providers=(ProviderSettings(name="scripted", kind="scripted"),),
        default_model="scripted/echo",
    )
    services = Services(settings)
    await services.open()
    async with (
        serve(create_app(Services(settings), folder)) as base_url,
        httpx.AsyncClient(base_url=base_url, timeout=120) as admin,
        httpx.AsyncClient(base_url=base_url, timeout=120) as user,
    ):
        await ChatClient(admin).register("admin@example.org")
        await ChatClient(user).register("user@example.org")
        user_id, guest_id = UUID((await user.get("/api/auth/me")).json()["id"]), uuid7()
        events = _events([user_id, None, guest_id])
        await publish_all(services.queue, events)
        assert (await ingest(services)).inserted == len(events)
        yield SimpleNamespace(
            **{"admin": admin, "user": user, "user_id": user_id, "guest_id": guest_id},
            **{"events": events, "services": services},
        )
    await services.close()


async def _get(client: httpx.AsyncClient, view: str, **params: Any) -> Any:
    response = await client.get(f"/api/metrics/{view}", params=_SPAN | params)
    assert response.status_code == 200, response.text
    return response.json()


def _of(world: SimpleNamespace, **fields: Any) -> list[InferenceEvent]:
    return [
        event
        for event in world.events
        if all(getattr(event, name) == value for name, value in fields.items())
    ]


async def test_series_have_no_gap_by_the_clocks_of_a_zone(world: SimpleNamespace) -> None:
    for client, events in (
        (world.admin, world.events),
        (world.user, _of(world, owner_id=world.user_id)),
    ):
        found = await _get(client, "series", bucket="day", tz="Europe/Berlin")

        starts = [datetime.fromisoformat(point["start"]) for point in found["items"]]
        # The clocks go back on the second day.
        assert [start.isoformat() for start in starts] == [
            "2026-10-23T22:00:00+00:00",
            "2026-10-24T22:00:00+00:00",
            "2026-10-25T23:00:00+00:00",
            "2026-10-26T23:00:00+00:00",
        ]
        for point, start, end in zip(found["items"], starts, [*starts[1:], _END], strict=True):
            within = [event for event in events if start <= event.started_at < end]
            assert point["requests"] == len(within) > 0
            assert point["input_tokens"] == sum(event.input_tokens or 0 for event in within)
            assert point["duration"]["max"] == max(event.duration for event in within)


@pytest.mark.parametrize("bucket", ["auto", "hour", "900", "month"])
async def test_series_add_up(world: SimpleNamespace, bucket: str) -> None:
    found = await _get(world.admin, "series", bucket=bucket, tz="Asia/Kolkata")

    assert sum(point["requests"] for point in found["items"]) == len(world.events)
    assert found["bucket_seconds"] == {"auto": 3600, "hour": 3600, "900": 900}.get(bucket)


@pytest.mark.parametrize(
    ("by", "field"),
    [("model", "request_model"), ("provider", "provider_name"), ("kind", "kind"),
     ("status", "status"), ("error_type", "error_type"), ("finish_reason", "finish_reason")],
)  # fmt: skip
async def test_breakdowns(world: SimpleNamespace, by: str, field: str) -> None:
    def of(event: InferenceEvent) -> Any:
        if by == "finish_reason":
            return event.finish_reasons[0] if event.finish_reasons else None
        return getattr(event, field)

    for client, events in (
        (world.admin, world.events),
        (world.user, _of(world, owner_id=world.user_id)),
    ):
        found = await _get(client, "breakdown", by=by)

        expected = Counter(value for event in events if (value := of(event)) is not None)
        assert {item[field]: item["requests"] for item in found["items"]} == expected
        counts = [item["requests"] for item in found["items"]]
        assert counts == sorted(counts, reverse=True)
        assert found["truncated"] is False


async def test_an_admin_tells_users_apart_and_looks_at_one(world: SimpleNamespace) -> None:
    found = (await _get(world.admin, "breakdown", by="user"))["items"]

    own = _of(world, owner_id=world.user_id)
    assert found[0]["email"] == "user@example.org"
    assert found[0]["requests"] == len(own)
    assert found[0]["errors"] == sum(event.status == "error" for event in own)
    assert (found[1]["owner_id"], found[1]["requests"]) == (None, len(world.events) - len(own))
    for id in (world.user_id, world.guest_id):
        narrowed = await _get(world.admin, "overview", user_id=str(id))
        assert narrowed["requests"] == len(_of(world, owner_id=id))
    assert (await _get(world.admin, "overview", user_id=str(uuid7())))["requests"] == 0


async def test_nobody_else_does(world: SimpleNamespace) -> None:
    for view, params in (
        ("breakdown", {"by": "user"}),
        ("overview", {"user_id": str(uuid7())}),
        ("calls", {"user_id": str(uuid7())}),
        ("export", {"user_id": str(uuid7())}),
        ("live", {"user_id": str(uuid7())}),
    ):
        response = await world.user.get(f"/api/metrics/{view}", params=params)
        assert response.status_code == 403
    overview = await _get(world.user, "overview", user_id=str(world.user_id))
    assert overview["requests"] == len(_of(world, owner_id=world.user_id))


@pytest.mark.parametrize(
    "only",
    [{"request_model": "gpt-4o"}, {"kind": "title", "status": "error"}, {"provider_name": "none"}],
)
async def test_views_are_narrowed(world: SimpleNamespace, only: dict[str, str]) -> None:
    for client, events in (
        (world.admin, _of(world, **only)),
        (world.user, _of(world, owner_id=world.user_id, **only)),
    ):
        assert (await _get(client, "overview", **only))["requests"] == len(events)
        reasons = (await _get(client, "breakdown", by="error_type", **only))["items"]
        assert sum(item["requests"] for item in reasons) == sum(
            event.error_type is not None for event in events
        )
        calls = (await _get(client, "calls", limit="200", **only))["items"]
        assert {call["id"] for call in calls} <= {str(event.id) for event in events}
        assert len(calls) == min(200, len(events))


async def test_the_period_before_stands_beside(world: SimpleNamespace) -> None:
    params = {"from": _END.isoformat(), "to": (_END + timedelta(days=3)).isoformat()}
    found = await _get(world.admin, "overview", **params)

    assert found["requests"] == 0
    assert found["previous"]["requests"] == len(world.events)
    assert found["previous"]["from"] == _START.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("of", ["duration", "cost_usd"])
async def test_histograms(world: SimpleNamespace, of: str) -> None:
    found = await _get(world.admin, "histogram", of=of)

    assert sum(bucket["count"] for bucket in found["items"]) == len(world.events)
    if of == "duration":
        durations = [event.duration for event in world.events]
        middle = sorted(durations)[len(durations) // 2]
        assert found["distribution"]["p50"] == pytest.approx(middle, rel=0.03)
        first = found["items"][0]
        assert first["lower"] < min(durations) <= first["upper"]


async def test_the_slowest_and_the_costliest(world: SimpleNamespace) -> None:
    for client, events in (
        (world.admin, world.events),
        (world.user, _of(world, owner_id=world.user_id)),
    ):
        for params in ({}, {"request_model": "gpt-4o"}):
            known = [e for e in events if all(getattr(e, n) == v for n, v in params.items())]
            found = await _get(client, "top", by="duration", limit="7", **params)
            slowest = sorted((event.duration for event in known), reverse=True)[:7]
            assert [call["duration"] for call in found["items"]] == slowest
            costs = [
                float(c["cost_usd"])
                for c in (await _get(client, "top", by="cost_usd", **params))["items"]
            ]
            assert len(costs) == 20
            assert costs == sorted(costs, reverse=True)


async def test_calls_are_found_by_what_they_were(world: SimpleNamespace) -> None:
    found = await _get(world.admin, "calls", error_type="overloaded", limit="200")
    assert {call["error_type"] for call in found["items"]} == {"overloaded"}
    assert len(found["items"]) == len(_of(world, error_type="overloaded"))

    slow = await _get(world.admin, "calls", min_duration="3", finish_reason="stop", limit="200")
    expected = [event for event in world.events if event.duration >= 3 and event.finish_reasons]
    assert len(slow["items"]) == len(expected) > 0


async def test_views_come_as_tables(world: SimpleNamespace) -> None:
    for view, params, count in (
        ("overview", {}, 2),
        ("series", {"bucket": "day"}, 4),
        ("breakdown", {"by": "model"}, 2),
        ("histogram", {}, None),
        ("top", {}, 20),
    ):
        response = await world.admin.get(
            f"/api/metrics/{view}", params=_SPAN | params | {"format": "csv"}
        )
        assert response.headers["content-type"].startswith("text/csv")
        assert response.headers["content-disposition"].startswith("attachment")
        rows = list(csv.DictReader(io.StringIO(response.text)))
        assert rows
        assert count in (None, len(rows))
    (first, *_) = csv.DictReader(
        io.StringIO(
            (await world.admin.get("/api/metrics/series", params=_SPAN | {"format": "csv"})).text
        )
    )
    assert {"start", "requests", "duration_p95", "cost_usd"} <= first.keys()


async def test_every_call_can_be_exported(world: SimpleNamespace) -> None:
    exported = await _get(world.admin, "export")
    assert {call["id"] for call in exported} == {str(event.id) for event in world.events}

    response = await world.user.get("/api/metrics/export", params=_SPAN | {"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert {row["id"] for row in rows} == {
        str(event.id) for event in _of(world, owner_id=world.user_id)
    }
    # No spreadsheet is to reckon with what somebody wrote.
    assert {row["input_preview"] for row in rows} == {"'=1+1", "hi, there", 'a "b"'}
    assert await _get(world.user, "export", min_duration="1000000") == []


async def test_new_calls_show_up_live(world: SimpleNamespace) -> None:
    own, others, last = (make_event(owner_id=id) for id in (world.user_id, None, world.user_id))
    lines: list[str] = []
    async with world.user.stream("GET", "/api/metrics/live", params={"seconds": "600"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for line in stream.aiter_lines():
            lines.append(line)
            if line == ": following":
                await publish_all(world.services.queue, [own, others])
                await ingest(world.services)
            elif line == f"id: {own.id}":
                await publish_all(world.services.queue, [last])
                await ingest(world.services)
            elif line == f"id: {last.id}":
                break

    assert [line for line in lines if line.startswith("id: ")] == [
        f"id: {own.id}",
        f"id: {last.id}",
    ]
    assert lines.count("event: call") == 2
    (data,) = [line for line in lines if line.startswith("data: ")]
    assert '"cost_usd":"0.0035"' in data


async def test_one_call_in_full(user: ChatClient, services: Services) -> None:
    conversation_id = uuid7()
    async with user.chat("Hi there", conversation_id=conversation_id) as stream:
        await stream.rest()
    await ingest(services)
    calls = (await user.http.get("/api/metrics/calls")).json()["items"]
    id = next(call["id"] for call in calls if call["kind"] == "chat")

    call = (await user.http.get(f"/api/metrics/calls/{id}")).json()

    assert call["id"] == id
    assert call["conversation"] == {
        "id": str(conversation_id),
        "title": call["conversation"]["title"],
    }
    assert call["message"]["id"] == id
    assert call["message"]["parts"][-1]["text"] == "Hello there"
    assert call["attempts"] == 1
    assert call["failed_attempts"] == []
    for other in (str(uuid7()), "nonsense"):
        assert (await user.http.get(f"/api/metrics/calls/{other}")).status_code == 404


@pytest.mark.parametrize(
    ("view", "params", "field"),
    [
        ("series", {"bucket": "fortnight"}, "bucket"),
        ("series", {"bucket": "minute"}, "bucket"),
        ("series", {"tz": "Mars/Olympus"}, "tz"),
        ("breakdown", {}, "by"),
        ("breakdown", {"by": "colour"}, "by"),
        ("overview", {"kind": "song"}, "kind"),
        ("overview", {"user_id": "me"}, "user_id"),
        ("overview", {"request_model": "\0"}, "request_model"),
        ("histogram", {"of": "weight"}, "of"),
        ("top", {"limit": "1000"}, "limit"),
        ("calls", {"min_duration": "nan"}, "min_duration"),
        ("export", {"kind": "song"}, "kind"),
        ("export", {"request_model": "\0"}, "request_model"),
        ("export", {"from": "2026-01-01T00:00:00"}, "from"),
        ("export", {"min_duration": "nan"}, "min_duration"),
        ("export", {"colour": "red"}, None),
        ("live", {"seconds": "1e9"}, "seconds"),
    ],
)
async def test_bad_questions_are_told(
    world: SimpleNamespace, view: str, params: dict[str, str], field: str | None
) -> None:
    response = await world.admin.get(f"/api/metrics/{view}", params=_SPAN | params)

    assert response.status_code == 422, response.text
    if field:
        assert response.json()["errors"][0]["field"] == field


class TestPrometheus:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"metrics_token": SecretStr("a token of the scraper")})

    async def _scrape(self, http: httpx.AsyncClient) -> dict[str, Any]:
        response = await http.get(
            "/metrics", headers={"authorization": "Bearer a token of the scraper"}
        )
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
        return {family.name: family for family in text_string_to_metric_families(response.text)}

    async def test_it_needs_the_token(self, http: httpx.AsyncClient) -> None:
        for headers in ({}, {"authorization": "Bearer another"}, {"authorization": "Bearer é"}):
            raw = {name: value.encode() for name, value in headers.items()}
            assert (await http.get("/metrics", headers=raw)).status_code == 401

    async def test_it_tells_in_opentelemetry_s_names_what_was_counted(
        self, http: httpx.AsyncClient, services: Services
    ) -> None:
        rng = random.Random(2)
        durations = [rng.lognormvariate(0, 1.5) for _ in range(200)]
        odd = 'quo"ted\\ model\n'
        await publish_all(
            services.queue,
            [make_event(duration=value, time_per_output_chunk=0.02) for value in durations]
            + [make_event(request_model=odd, kind="embedding")],
        )
        await ingest(services)

        families = await self._scrape(http)

        duration = families["gen_ai_client_operation_duration_seconds"]
        assert duration.type == "histogram"
        samples = [s for s in duration.samples if s.labels["gen_ai_request_model"] == "gpt-4o"]
        buckets = {s.labels["le"]: s.value for s in samples if s.name.endswith("_bucket")}
        assert list(buckets.values()) == sorted(buckets.values())
        assert buckets["+Inf"] == len(durations)
        for bound, count in buckets.items():
            below = float(bound)
            assert sum(v <= below * 0.99 for v in durations) <= count
            assert count <= sum(v <= below * 1.01 for v in durations)
        (total,) = (s.value for s in samples if s.name.endswith("_sum"))
        assert total == pytest.approx(sum(durations))
        models = {s.labels["gen_ai_request_model"] for s in duration.samples}
        assert models == {"gpt-4o", odd}
        assert {s.labels["gen_ai_operation_name"] for s in duration.samples} == {
            "chat",
            "embeddings",
        }
        assert families["tailrace_cost_usd"].type == "counter"
        assert families["tailrace_queue_depth"].samples[0].value == 0
        assert families["gen_ai_client_operation_time_to_first_chunk_seconds"].samples
        assert families["gen_ai_client_operation_time_per_output_chunk_seconds"].samples

    async def test_tokens_are_a_histogram(
        self, http: httpx.AsyncClient, services: Services
    ) -> None:
        given = [None, 0, 1, 2, 4, 5, 1000, 2**26, 2**26 + 1, 10**9]
        await publish_all(
            services.queue,
            [make_event(input_tokens=tokens, output_tokens=7) for tokens in given],
        )
        await ingest(services)

        tokens = (await self._scrape(http))["gen_ai_client_token_usage"]

        assert tokens.type == "histogram"
        of_input, of_output = (
            [s for s in tokens.samples if s.labels["gen_ai_token_type"] == type]
            for type in ("input", "output")
        )
        buckets = {float(s.labels["le"]): s.value for s in of_input if "le" in s.labels}
        assert list(buckets) == [*(4.0**number for number in range(14)), math.inf]
        # What is not known was not observed.
        known = [value for value in given if value is not None]
        assert buckets == {bound: sum(v <= bound for v in known) for bound in buckets}
        names = ("gen_ai_client_token_usage_count", "gen_ai_client_token_usage_sum")
        told = {s.name: s.value for s in of_input}
        assert [told[name] for name in names] == [len(known), sum(known)]
        told = {s.name: s.value for s in of_output}
        assert [told[name] for name in names] == [10, 70]

    async def test_counters_never_go_back(
        self, http: httpx.AsyncClient, services: Services
    ) -> None:
        before: dict[tuple[Any, ...], float] = {}
        for number in range(3):
            await publish_all(services.queue, [make_event(duration=number)] * 2)
            await ingest(services)
            families = await self._scrape(http)
            now = {
                (sample.name, *sample.labels.items()): sample.value
                for family in families.values()
                if family.type in ("counter", "histogram")
                for sample in family.samples
            }
            assert all(now[key] >= value for key, value in before.items())
            before = now
        counted = [v for key, v in before.items() if key[0] == "tailrace_calls_total"]
        # The same event twice is one call.
        assert counted == [3]


async def test_without_a_token_there_are_no_metrics(http: httpx.AsyncClient) -> None:
    assert (await http.get("/metrics")).status_code == 404
