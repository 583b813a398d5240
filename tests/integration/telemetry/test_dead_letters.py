"""Dead letters: kept whole, shown without secrets, tried again by command, request or release."""

from typing import Any

import httpx
import psycopg
import pytest

from tailrace.db.migrate import migrate
from tailrace.db.pool import connect
from tailrace.queue.memory import MemoryQueue
from tailrace.services import Services
from tailrace.telemetry import dead_letters
from tailrace.telemetry import event as events
from tailrace.telemetry.dead_letters import MAX_ID
from tailrace.telemetry.event import SCHEMA_VERSION, encode
from tailrace.telemetry.ingest import IngestReport, ingest, replay
from tests.support.events import make_event, rows, value
from tests.support.migrations import migrate_up_to

_COUNT = "SELECT count(*) FROM inference_dead_letters"

# As a release of tomorrow may write it.
_NEWER = (
    b'{"id":"019a0000-0000-7000-8000-000000000001","schema_version":3,"kind":"video",'
    b'"status":"ok","started_at":"2026-11-21T10:00:00Z","duration":"PT1S","frames":12}'
)
# As version 1 was written.
_OLDER = (
    b'{"id":"019a0000-0000-7000-8000-000000000002","kind":"chat","status":"ok",'
    b'"started_at":"2026-11-21T10:00:00.5Z","duration":1.5,"provider_name":"my-claude",'
    b'"request_model":"claude-sonnet-4-5","response_model":"claude-sonnet-4-5-20250929",'
    b'"response_id":"msg_1","finish_reasons":["stop"],"input_tokens":1000,"output_tokens":100,'
    b'"input_preview":"hello","metadata":{"provider_kind":"anthropic","omitted_messages":3}}'
)


@pytest.fixture
async def services(services: Services) -> Services:
    services.queue = MemoryQueue()
    return services


async def _letters(services: Services) -> list[dict[str, Any]]:
    return await rows(services, "SELECT * FROM inference_dead_letters ORDER BY id")


async def _bury(services: Services, *payloads: bytes) -> list[int]:
    for payload in payloads:
        await services.queue.publish(payload)
    await ingest(services)
    return [row["id"] for row in await _letters(services)]


class TestSchemaVersions:
    async def test_an_event_of_version_1_lands_as_it_did_then(self, services: Services) -> None:
        await services.queue.publish(_OLDER)

        assert (await ingest(services)).inserted == 1

        (row,) = await rows(services, "SELECT * FROM inference_log")
        assert row["metadata"] == {"provider_kind": "anthropic", "omitted_messages": 3}
        assert row["input_preview"] == "hello"
        # Its price is known by the kind of its provider alone.
        assert (row["unpriced"], str(row["cost_usd"])) == (False, "0.004500000000")

    async def test_an_event_of_a_newer_release_is_parked_whole(self, services: Services) -> None:
        await services.queue.publish(_NEWER)

        report = await ingest(services)

        assert report == IngestReport(received=1, parked=1, batches=1)
        (letter,) = await _letters(services)
        assert bytes(letter["payload"]) == _NEWER
        assert letter["schema_version"] == 3
        assert (await ingest(services)).replayed == 0

    async def test_the_release_that_can_read_it_lands_it_by_itself(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event = make_event(schema_version=SCHEMA_VERSION + 1)
        await _bury(services, encode(event))
        assert [row["schema_version"] for row in await _letters(services)] == [SCHEMA_VERSION + 1]

        monkeypatch.setattr(events, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
        monkeypatch.setattr("tailrace.telemetry.ingest.SCHEMA_VERSION", SCHEMA_VERSION + 1)
        report = await ingest(services)

        assert (report.replayed, report.inserted) == (1, 1)
        assert await value(services, _COUNT) == 0


class TestExhausted:
    async def test_what_kills_whoever_takes_it_is_buried_unread(self, services: Services) -> None:
        services.queue = MemoryQueue(hold=0, max_deliveries=3)
        event = make_event()
        await services.queue.publish(encode(event))
        for _ in range(3):
            await services.queue.receive(1)

        report = await ingest(services)

        assert (report.inserted, report.dead) == (0, 1)
        assert await services.queue.depth() == 0
        (letter,) = await _letters(services)
        assert bytes(letter["payload"]) == encode(event)

        # It was innocent.
        assert await dead_letters.ask_replay(services.pool, None) == 1
        assert await replay(services) == IngestReport(replayed=1, inserted=1, batches=1)


class TestReplay:
    async def test_what_fails_again_stays_with_one_attempt_more(self, services: Services) -> None:
        good = make_event()
        bad, mended, other = await _bury(services, b"bad", b"mended", b"other")
        async with connect(services.pool) as connection:
            await connection.execute(
                "UPDATE inference_dead_letters SET payload = %s WHERE id = %s",
                (encode(good), mended),
            )
        first_seen = (await _letters(services))[0]["first_seen_at"]

        assert await dead_letters.ask_replay(services.pool, [bad, mended]) == 2
        report = await ingest(services)

        assert (report.replayed, report.inserted, report.dead) == (2, 1, 1)
        letters = {row["id"]: row for row in await _letters(services)}
        assert letters.keys() == {bad, other}
        assert [letters[id]["attempts"] for id in (bad, other)] == [2, 1]
        assert letters[bad]["first_seen_at"] == first_seen < letters[bad]["last_seen_at"]
        assert (await ingest(services)).replayed == 0

    async def test_all_leaves_out_what_this_release_cannot_read(self, services: Services) -> None:
        await _bury(services, b"bad", _NEWER)

        assert await dead_letters.ask_replay(services.pool, None) == 1

    async def test_many_are_replayed_in_batches(self, services: Services) -> None:
        services.settings = services.settings.model_copy(update={"ingest_batch_size": 3})
        await _bury(services, *(b"bad %d" % number for number in range(20)))

        assert await dead_letters.ask_replay(services.pool, None) == 20
        report = await replay(services)

        assert (report.replayed, report.dead) == (20, 20)
        assert {row["attempts"] for row in await _letters(services)} == {2}


async def test_letters_of_the_same_event_become_one_by_migration(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate_up_to(empty_database_url, "0015", monkeypatch)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO inference_dead_letters (source, source_id, reason, payload, attempts,"
            " first_seen_at, last_seen_at, replay_requested_at) VALUES"
            " ('queue', '1', 'first', 'twice', 2, '2026-01-02', '2026-01-04', NULL),"
            " ('queue', '2', 'other', 'once', 1, '2026-01-01', '2026-01-01', NULL),"
            " ('outbox', '1', 'later', 'twice', 3, '2026-01-01', '2026-01-03', '2026-01-05')"
        )

        await migrate(empty_database_url)

        letters = connection.execute(
            "SELECT id, source, attempts, payload, first_seen_at::date::text,"
            " last_seen_at::date::text, replay_requested_at::date::text"
            " FROM inference_dead_letters ORDER BY id"
        ).fetchall()
    assert letters == [
        (1, "queue", 5, b"twice", "2026-01-01", "2026-01-04", "2026-01-05"),
        (2, "queue", 1, b"once", "2026-01-01", "2026-01-01", None),
    ]


_SECRET = "sk-proj-0123456789abcdefghij"


class TestNoSecretShows:
    async def test_in_payload_and_reason(self, services: Services) -> None:
        payload = encode(make_event()).replace(b'"kind":"chat"', b'"kind":"%s"' % _SECRET.encode())
        assert _SECRET.encode() in payload
        (id,) = await _bury(services, payload)

        shown = await dead_letters.read(services.pool, id)

        assert _SECRET not in shown["payload"] + shown["reason"]
        assert "[redacted key]" in shown["payload"]
        assert shown["bytes"] == len(payload)


@pytest.fixture
async def admin(http: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of the first user, who is the admin."""
    await http.post(
        "/api/auth/register", json={"email": "a@example.org", "password": "correct horse battery"}
    )
    return http


_PATH = "/api/admin/dead-letters"


class TestApi:
    async def test_they_are_listed_page_by_page(
        self, services: Services, admin: httpx.AsyncClient
    ) -> None:
        ids = await _bury(services, b"one", b"two", _NEWER)

        page = (await admin.get(_PATH, params={"limit": 2})).json()
        rest = (await admin.get(_PATH, params={"limit": 2, "cursor": page["next_cursor"]})).json()

        assert [item["id"] for item in page["items"] + rest["items"]] == ids[::-1]
        assert rest["next_cursor"] is None
        assert "payload" not in page["items"][0]
        for parked, expected in ((True, ids[2:]), (False, ids[1::-1])):
            found = (await admin.get(_PATH, params={"parked": parked})).json()["items"]
            assert [item["id"] for item in found] == expected

    async def test_one_is_shown_replayed_and_purged(
        self, services: Services, admin: httpx.AsyncClient
    ) -> None:
        first, second = await _bury(services, b"\xff one", b"two")

        shown = (await admin.get(f"{_PATH}/{first}")).json()
        assert (shown["payload"], shown["attempts"], shown["bytes"]) == ("\ufffd one", 1, 5)
        asked = await admin.post(f"{_PATH}/replay", json={"ids": [first, 999_999]})
        assert (asked.status_code, asked.json()) == (202, {"asked": 1})
        assert (await ingest(services)).replayed == 1

        purged = await admin.post(f"{_PATH}/purge", json={"ids": [second]})
        assert purged.json() == {"purged": 1}
        early = {"all": True, "before": "2020-01-01T00:00:00Z"}
        assert (await admin.post(f"{_PATH}/purge", json=early)).json() == {"purged": 0}
        assert (await admin.post(f"{_PATH}/purge", json={"all": True})).json() == {"purged": 1}
        assert await value(services, _COUNT) == 0

    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            ("GET", "?cursor=nonsense", None, 422),
            ("GET", "?cursor=Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5XQ", None, 422),
            ("GET", "?limit=0", None, 422),
            ("GET", "/0", None, 404),
            ("GET", "/-1", None, 404),
            ("GET", "/word", None, 404),
            ("GET", f"/{MAX_ID + 1}", None, 404),
            ("GET", f"/{MAX_ID}", None, 404),
            ("GET", f"/{'9' * 6000}", None, 404),
            ("POST", "/replay", {}, 422),
            ("POST", "/replay", {"ids": []}, 422),
            ("POST", "/replay", {"ids": [MAX_ID + 1]}, 422),
            ("POST", "/replay", {"ids": [1], "all": True}, 422),
            ("POST", "/purge", {"all": True, "before": "2020-01-01T00:00:00"}, 422),
            ("POST", "/purge", {"before": "2020-01-01T00:00:00Z"}, 422),
        ],
    )
    async def test_bad_requests(
        self, admin: httpx.AsyncClient, method: str, path: str, body: Any, status: int
    ) -> None:
        response = await admin.request(method, _PATH + path, json=body)

        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"
