"""The list of conversations: its order, its filters, its pages."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.cursor import Cursors
from tailrace.db import queries
from tailrace.db.pool import connect
from tailrace.services import Services
from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient


async def _list(user: ChatClient, **params: Any) -> dict[str, Any]:
    response = await user.http.get("/api/conversations", params=params)
    assert response.status_code == 200, response.text
    return response.json()


async def _titles(user: ChatClient, **params: Any) -> list[str]:
    return [item["title"] for item in (await _list(user, **params))["items"]]


async def _make(user: ChatClient, title: str, **changes: Any) -> str:
    """Make a conversation whose title is a person's."""
    id = uuid4()
    await user.say(id, title)
    response = await user.http.patch(f"/api/conversations/{id}", json={"title": title, **changes})
    assert response.status_code == 200, response.text
    return str(id)


async def test_pinned_ones_come_first_then_the_last_used(user: ChatClient) -> None:
    first = await _make(user, "first", pinned=True)
    await _make(user, "second")
    await _make(user, "third", pinned=True)
    fourth = await _make(user, "fourth")

    assert await _titles(user) == ["third", "first", "fourth", "second"]
    await user.http.patch(f"/api/conversations/{fourth}", json={"pinned": True})
    await user.http.patch(f"/api/conversations/{first}", json={"pinned": False})
    # Arranging is no use: the time of the last turn is what counts.
    assert await _titles(user) == ["fourth", "third", "second", "first"]


async def test_archived_ones_are_in_a_list_of_their_own(user: ChatClient) -> None:
    await _make(user, "here")
    await _make(user, "away", archived=True)
    pinned = await _make(user, "away and pinned", archived=True, pinned=True)

    assert await _titles(user) == ["here"]
    assert await _titles(user, archived=True) == ["away and pinned", "away"]
    await user.http.patch(f"/api/conversations/{pinned}", json={"archived": False})
    assert await _titles(user) == ["away and pinned", "here"]


async def test_tags_filter_every_list(user: ChatClient) -> None:
    await _make(user, "a", tags=["work", "später"])
    await _make(user, "b", tags=["work"], archived=True)
    await _make(user, "c")

    assert await _titles(user, tag="work") == ["a"]
    assert await _titles(user, tag="später") == ["a"]
    assert await _titles(user, tag="work", archived=True) == ["b"]
    assert await _titles(user, tag="Work") == []


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_tags_are_listed_by_name_as_far_as_they_are_the_owners(
    user: ChatClient, http: httpx.AsyncClient, limit: int
) -> None:
    await _make(user, "a", tags=["work", "später", "x" * 50])
    await _make(user, "b", tags=["work", "\u00c4rger"], archived=True)
    deleted = await _make(user, "c", tags=["gone"])
    await user.http.delete(f"/api/conversations/{deleted}")
    other = ChatClient(httpx.AsyncClient(base_url=http.base_url))
    async with other.http:
        await other.register("eve@example.org")
        await _make(other, "d", tags=["theirs"])

    listed, cursor = [], None
    while cursor is not None or not listed:
        params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = (await user.http.get("/api/tags", params=params)).json()
        assert len(page["items"]) <= limit
        listed += page["items"]
        cursor = page["next_cursor"]

    assert listed == [
        {"tag": "später", "conversations": 1},
        {"tag": "work", "conversations": 2},
        {"tag": "x" * 50, "conversations": 1},
        {"tag": "\u00c4rger", "conversations": 1},
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
async def test_pages_hold_every_conversation_once(
    user: ChatClient, database: Database, limit: int
) -> None:
    ids = [await _make(user, str(n), pinned=n % 3 == 0) for n in range(7)]
    # Times may be equal, ids never are.
    await database.rows(
        "UPDATE conversations SET updated_at = '2026-01-01' WHERE id <> %s RETURNING 1", ids[3]
    )
    seen, cursor = [], None
    while True:
        page = await _list(user, limit=limit, **({"cursor": cursor} if cursor else {}))
        assert len(page["items"]) <= limit
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert sorted(item["id"] for item in seen) == sorted(ids)
    assert [item["pinned"] for item in seen] == [True] * 3 + [False] * 4
    assert seen[0]["id"] == ids[3]


async def test_the_lists_of_deleted_ones_has_pages_too(user: ChatClient) -> None:
    for n in range(3):
        id = await _make(user, str(n), tags=["t"])
        await user.http.delete(f"/api/conversations/{id}")

    first = await _list(user, deleted=True, limit=2, tag="t")
    second = await _list(user, deleted=True, limit=2, cursor=first["next_cursor"])

    titles = [item["title"] for page in (first, second) for item in page["items"]]
    assert titles == ["2", "1", "0"]
    assert second["next_cursor"] is None
    assert all(item["deleted_at"] for item in first["items"])


async def test_a_page_is_read_from_the_index(user: ChatClient, services: Services) -> None:
    me = (await user.http.get("/api/auth/me")).json()["id"]
    terms = {
        "owner_id": me,
        "limit": 31,
        "archived": False,
        "tag": None,
        "before_pinned": False,
        "before_time": datetime.now(UTC) - timedelta(days=1),
        "before_id": uuid4(),
    }
    async with connect(services.pool) as connection:
        await connection.execute(
            "INSERT INTO conversations (id, owner_id, title, title_source, model, updated_at)"
            " SELECT gen_random_uuid(), %s, 't', 'user', 'm', now() - n * interval '1 minute'"
            " FROM generate_series(1, 5000) AS n",
            (me,),
        )
        await connection.execute("ANALYZE conversations")
        cursor = await connection.execute(
            "EXPLAIN " + queries.load("conversations")["list_conversations"], terms
        )
        plan = "\n".join(row["QUERY PLAN"] for row in await cursor.fetchall())

    assert "Index Scan Backward using conversations_owner_idx" in plan
    # The runs of one conversation are sorted, the list is not.
    assert "updated_at DESC" not in plan


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "é"}, "cursor"),
        ({"cursor": "x" * 257}, "cursor"),
        ({"archived": "perhaps"}, "archived"),
        ({"deleted": "perhaps"}, "deleted"),
        ({"tag": "x" * 51}, "tag"),
        ({"tag": "a\0"}, "tag"),
    ],
)
async def test_a_parameter_that_cannot_be_used_is_named(
    user: ChatClient, params: dict[str, Any], field: str
) -> None:
    response = await user.http.get("/api/conversations", params=params)

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


async def test_a_cursor_that_was_tampered_with_is_none(
    user: ChatClient, services: Services
) -> None:
    for title in ("first", "second"):
        await _make(user, title)
    cursor = (await _list(user, limit=1))["next_cursor"]
    assert await _titles(user, limit=1, cursor=cursor) == ["first"]
    word, _, signature = cursor.rpartition(".")
    key = (False, datetime.now(UTC), uuid4())

    for forged in (
        word,
        f"{word[:-1]}{'A' if word[-1] != 'A' else 'B'}.{signature}",
        Cursors("somebody else's secret").encode(*key),
        # Of another list.
        services.cursors.encode(*key[1:]),
    ):
        response = await user.http.get("/api/conversations", params={"cursor": forged})

        assert response.status_code == 422
        assert [error["field"] for error in response.json()["errors"]] == ["cursor"]


_OFFSETS = st.timedeltas(timedelta(hours=-23), timedelta(hours=23))
_KEYS = st.tuples(st.booleans(), st.datetimes(timezones=_OFFSETS.map(timezone)), st.uuids())


@given(made=st.text(max_size=256) | _KEYS)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_no_cursor_breaks_the_list(
    user: ChatClient, services: Services, made: str | tuple[Any, ...]
) -> None:
    cursor = made if isinstance(made, str) else services.cursors.encode(*made)
    for params in ({"cursor": cursor}, {"cursor": cursor, "deleted": True}):
        response = await user.http.get("/api/conversations", params=params)

        assert response.status_code in (200, 422)
