"""Quotas and budgets: exact counters, refused chats, and what an admin gives."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tailrace.ids import uuid7
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry.event import InferenceEvent, encode
from tailrace.telemetry.ingest import ingest
from tests.integration.conftest import Database, site
from tests.support.chat_client import ChatClient
from tests.support.events import make_event, publish_all
from tests.support.model_server import Exchange, ModelServer


@pytest.fixture(autouse=True)
async def _one_day() -> None:
    """Keep clear of midnight, at which counts begin anew: wait for it where it is near."""
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    left = (midnight - now).total_seconds()
    if left < 60:
        await asyncio.sleep(left + 0.1)


@asynccontextmanager
async def _changed(
    settings: Settings, web_root: Path, **changes: Any
) -> AsyncIterator[httpx.AsyncClient]:
    async with site(settings.model_copy(update=changes), web_root) as http:
        yield http


async def _send(client: ChatClient, **body: Any) -> httpx.Response:
    async with client.chat("Hi", **body) as stream:
        await stream.rest()
    return stream.response


async def _used(
    services: Services, user_id: str, *, tokens: int = 0, hours_ago: float = 0
) -> InferenceEvent:
    """Let a user have made a call, and count it."""
    event = make_event(
        owner_id=UUID(user_id),
        started_at=datetime.now(UTC) - timedelta(hours=hours_ago),
        input_tokens=tokens,
        output_tokens=0,
    )
    await publish_all(services.queue, [event])
    await ingest(services)
    return event


async def test_counters_are_exact_whatever_ingestion_goes_through(
    settings: Settings, services: Services, user: ChatClient, database: Database
) -> None:
    users = [UUID((await user.http.get("/api/auth/me")).json()["id"])]
    for number in range(3):
        await user.register(f"user-{number}@example.org")
        users.append(UUID((await user.http.get("/api/auth/me")).json()["id"]))
    rng = random.Random(5)
    now = datetime.now(UTC)
    events = [
        make_event(
            owner_id=rng.choice([*users, uuid7(), None]),
            started_at=now - timedelta(hours=rng.randrange(72), seconds=rng.random()),
            input_tokens=rng.choice([None, rng.randrange(10_000)]),
            output_tokens=rng.choice([None, rng.randrange(1000)]),
            request_model=rng.choice(["gpt-4o", "nobody-knows"]),
        )
        for _ in range(600)
    ]
    payloads = [encode(event) for event in events + rng.sample(events, 150)]
    payloads += [b"poison", b'{"id": 1}']
    rng.shuffle(payloads)
    for payload in payloads:
        await services.queue.publish(payload)
    # What is delivered again later is in the log already.
    several = [Services(settings.model_copy(update={"ingest_batch_size": 40})) for _ in range(3)]
    for each in several:
        await each.open()
    reports = await asyncio.gather(*(ingest(each) for each in several))
    for event in rng.sample(events, 50):
        await services.queue.publish(encode(event))
    reports.append(await ingest(services))
    for each in several:
        await each.close()

    assert sum(report.inserted for report in reports) == len(events)
    counted = await database.rows(
        "SELECT user_id, day, calls, tokens, cost_usd FROM user_usage ORDER BY 1, 2"
    )
    logged = await database.rows(
        "SELECT owner_id AS user_id, (started_at AT TIME ZONE 'UTC')::date AS day,"
        " count(*) AS calls, sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) AS tokens,"
        " sum(coalesce(cost_usd, 0)) AS cost_usd"
        " FROM inference_log WHERE owner_id = ANY (%s) GROUP BY 1, 2 ORDER BY 1, 2",
        users,
    )
    assert counted == logged
    assert len({row["user_id"] for row in counted}) == len(users)
    expected = sum((e.input_tokens or 0) + (e.output_tokens or 0) for e in events)
    total = (await database.rows("SELECT sum(tokens) AS t, sum(calls) AS c FROM total_usage"))[0]
    assert (total["t"], total["c"]) == (expected, len(events))


async def test_a_used_up_quota_refuses_until_the_day_is_over(
    settings: Settings, services: Services, web_root: Path, database: Database
) -> None:
    async with _changed(settings, web_root, user_tokens_per_day=1000) as http:
        user = ChatClient(http)
        me = await user.register()
        message_id, conversation_id = str(uuid4()), uuid4()
        first = await _send(user, conversation_id=conversation_id, message_id=message_id)
        assert first.status_code == 200
        await _used(services, me["id"], tokens=1000)

        refused = await _send(user)

        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        midnight = (datetime.now(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0)
        wait = (midnight - datetime.now(UTC)).total_seconds()
        assert abs(int(refused.headers["retry-after"]) - wait) < 5
        assert refused.json()["detail"] == (
            f"Your tokens for today are used up. They are renewed at {midnight:%Y-%m-%d} 00:00 UTC."
        )
        again = await _send(user, conversation_id=conversation_id, message_id=message_id)
        assert again.status_code == 200, "an answer that stands is no new call"
        assert await database.value("SELECT count(*) FROM conversations") == 1
        assert await database.value("SELECT count(*) FROM messages") == 2


async def test_yesterday_counts_for_the_month_and_last_month_for_nothing(
    settings: Settings, services: Services, web_root: Path
) -> None:
    async with _changed(settings, web_root, user_tokens_per_day=1000) as http:
        user = ChatClient(http)
        me = await user.register()
        await _used(services, me["id"], tokens=5000, hours_ago=24)
        await _used(services, me["id"], tokens=7000, hours_ago=24 * 40)
        usage = (await http.get("/api/usage")).json()
        used = {quota["name"]: quota["used"] for quota in usage["quotas"]}
        is_first = datetime.now(UTC).day == 1
        assert used["tokens_per_day"] == 0
        assert used["tokens_per_month"] == (0 if is_first else 5000)
        assert (await _send(user)).status_code == 200


async def test_parallel_chats_do_not_go_past_a_quota(
    settings: Settings, web_root: Path, model_server: ModelServer, database: Database
) -> None:
    released = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        await exchange.send_text("Hello")
        await released.wait()
        await exchange.finish()

    model_server.script = script
    changes = {"user_tokens_per_month": 2500, "max_output_tokens": 1000}
    async with _changed(settings, web_root, **changes) as http:
        user = ChatClient(http)
        await user.register()

        async def send() -> tuple[int, dict[str, Any]]:
            async with user.chat("Hi") as stream:
                if stream.response.status_code == 200:
                    passed.append(None)
                else:
                    refused.append(None)
                if len(passed) + len(refused) == 8:
                    released.set()
                await stream.rest()
            return stream.response.status_code, stream.response.headers

        passed: list[None] = []
        refused: list[None] = []
        answers = await asyncio.gather(*(send() for _ in range(8)))

        assert sorted(status for status, _ in answers) == [200] * 3 + [429] * 5
        waits = {headers["retry-after"] for status, headers in answers if status == 429}
        assert waits == {"5"}, "it is not used up as yet"
        assert await database.value("SELECT count(*) FROM conversations") == 3
        # What they took is far less than what they might have.
        assert (await _send(user)).status_code == 200


async def test_what_ingestion_has_not_counted_yet_is_pending_and_then_counted_once(
    user: ChatClient, services: Services
) -> None:
    async with user.chat("Hi") as stream:
        await stream.rest()
    before = (await user.http.get("/api/usage")).json()
    await ingest(services)
    after = (await user.http.get("/api/usage")).json()

    assert before["pending_tokens"] > 0
    assert before["quotas"][0]["used"] == 0
    assert after["pending_tokens"] == 0
    assert after["quotas"][0]["used"] == before["pending_tokens"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("user_usd_per_day", "What your calls may cost for today is used up."),
        ("user_usd_per_month", "What your calls may cost for this month is used up."),
        ("user_tokens_per_month", "Your tokens for this month are used up."),
        ("budget_usd_per_day", "The budget of this service for today is used up."),
        ("budget_usd_per_month", "The budget of this service for this month is used up."),
    ],
)
async def test_money_and_months_run_out_too(
    settings: Settings, services: Services, web_root: Path, change: str, sentence: str
) -> None:
    async with _changed(settings, web_root, **{change: Decimal("0.01")}) as http:
        user = ChatClient(http)
        me = await user.register()
        assert (await _send(user)).status_code == 200
        await ingest(services)
        await _used(services, me["id"], tokens=10_000)

        refused = await _send(user)

        assert refused.status_code == 429
        assert refused.json()["detail"].startswith(sentence)
        whose = "Budget" if change.startswith("budget") else "Quota"
        assert refused.json()["title"] == f"{whose} reached"
        async with httpx.AsyncClient(base_url=http.base_url) as nobody:
            guest = await _send(ChatClient(nobody), guest=True)
        assert guest.status_code == (429 if change.startswith("budget") else 200)


async def test_an_admin_gives_a_user_a_quota_and_takes_it_back(
    settings: Settings, services: Services, web_root: Path
) -> None:
    async with (
        _changed(settings, web_root, user_tokens_per_day=100) as http,
        httpx.AsyncClient(base_url=http.base_url, timeout=120) as other,
    ):
        admin, user = ChatClient(http), ChatClient(other)
        await admin.register()
        me = await user.register("bob@example.org")
        await _used(services, me["id"], tokens=100)
        path = f"/api/admin/users/{me['id']}/quota"
        assert (await _send(user)).status_code == 429

        given = await http.put(path, json={"tokens_per_day": "unlimited", "usd_per_month": "2.50"})
        assert given.status_code == 200, given.text
        quotas = {quota["name"]: quota for quota in given.json()["quotas"]}
        assert (quotas["tokens_per_day"]["limit"], quotas["tokens_per_day"]["own"]) == (None, True)
        assert (quotas["usd_per_month"]["limit"], quotas["usd_per_day"]["own"]) == ("2.5", False)
        assert quotas["tokens_per_day"]["used"] == 100
        assert (await _send(user)).status_code == 200

        assert (await http.put(path, json={"tokens_per_day": 0})).status_code == 200
        assert (await _send(user)).status_code == 429
        assert (await http.put(path, json={})).json()["quotas"][0]["limit"] == 100

        assert (await other.put(path, json={})).status_code == 403
        assert (await http.put(f"/api/admin/users/{uuid4()}/quota", json={})).status_code == 404
        assert (await http.get("/api/admin/users/x/quota")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"tokens_per_day": -1},
        {"tokens_per_day": 10**16},
        {"tokens_per_day": 1.5},
        {"tokens_per_day": "many"},
        {"usd_per_day": "Infinity"},
        {"usd_per_day": "NaN"},
        {"usd_per_day": "1e400"},
        {"colour": "red"},
        [],
    ],
)
async def test_a_quota_that_is_none_is_refused(http: httpx.AsyncClient, body: Any) -> None:
    me = await ChatClient(http).register()

    response = await http.put(f"/api/admin/users/{me['id']}/quota", json=body)

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


async def test_usage_tells_rates_and_quotas_and_costs_nothing(
    settings: Settings, web_root: Path
) -> None:
    rates = {"user_rate": "3/hour", "address_rate": "600/day"}
    changes = {**rates, "user_usd_per_day": Decimal("1.5")}
    async with _changed(settings, web_root, **changes) as http:
        user = ChatClient(http)
        await user.register()
        await _send(user)
        for _ in range(2):
            usage = (await http.get("/api/usage")).json()
            assert {rate["name"]: rate["remaining"] for rate in usage["rates"]} == {
                "user": 2,
                "address": 599,
            }
        limits = {quota["name"]: quota["limit"] for quota in usage["quotas"]}
        assert limits == {
            "tokens_per_day": None,
            "tokens_per_month": None,
            "usd_per_day": "1.5",
            "usd_per_month": None,
        }
        async with httpx.AsyncClient(base_url=http.base_url) as nobody:
            usage = (await nobody.get("/api/usage")).json()
        assert [rate["name"] for rate in usage["rates"]] == ["guest", "guest-address", "address"]
        assert usage["quotas"] == []


async def test_usage_tells_of_calls_whose_price_is_unknown(
    user: ChatClient, services: Services
) -> None:
    me = (await user.http.get("/api/auth/me")).json()
    models = ["gpt-4o", "nobody-knows", "nobody-knows"]
    events = [make_event(owner_id=UUID(me["id"]), request_model=model) for model in models]
    await publish_all(services.queue, events)
    await ingest(services)

    usage = (await user.http.get("/api/usage")).json()

    quotas = {quota["name"]: quota for quota in usage["quotas"]}
    assert {name: quota["unpriced_calls"] for name, quota in quotas.items()} == {
        "tokens_per_day": 0,
        "tokens_per_month": 0,
        "usd_per_day": 2,
        "usd_per_month": 2,
    }
    assert Decimal(quotas["usd_per_day"]["used"]) > 0


async def test_who_is_gone_has_used_nothing(
    user: ChatClient, services: Services, database: Database
) -> None:
    me = (await user.http.get("/api/auth/me")).json()
    await _used(services, me["id"], tokens=10)
    assert await database.value("SELECT count(*) FROM user_usage") == 1
    async with services.pool.connection() as connection:
        await connection.execute("DELETE FROM users WHERE id = %s", (me["id"],))
    await _used(services, me["id"], tokens=10)

    assert await database.value("SELECT count(*) FROM user_usage") == 0
    assert await database.value("SELECT tokens FROM total_usage") == 20
