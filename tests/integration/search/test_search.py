"""Search: what is found, for whom, in which order, and how it is shown."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from tailrace import search
from tailrace.db.pool import connect, transaction
from tailrace.ids import uuid7
from tailrace.maintenance import maintain
from tailrace.search import Filters
from tailrace.search import store as search_store
from tailrace.services import Services
from tests.support.chat_client import ChatClient

NOW = datetime.now(UTC)


class Owner:
    """A user whose conversations a test writes straight into the tables."""

    def __init__(self, services: Services, id: UUID) -> None:
        self.services = services
        self.id = id

    async def write(
        self,
        *texts: str,
        title: str = "zero",
        days_ago: float = 1,
        status: str = "complete",
        **columns: Any,
    ) -> UUID:
        """Write a conversation of messages a second apart, user and assistant in turns."""
        id, at = uuid7(), NOW - timedelta(days=days_ago)
        columns = {"model": "m", "tags": [], "deleted_at": None, **columns}
        async with transaction(self.services.pool) as connection:
            await connection.execute(
                "INSERT INTO conversations"
                " (id, owner_id, title, title_source, created_at, model, tags, deleted_at)"
                " VALUES (%s, %s, %s, 'user', %s, %s, %s, %s)",
                (id, self.id, title, at, columns["model"], columns["tags"], columns["deleted_at"]),
            )
            for number, text in enumerate(texts):
                await connection.execute(
                    "INSERT INTO messages"
                    " (id, conversation_id, sequence, role, status, parts, created_at)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                    (
                        *(uuid7(), id, number + 1, ("user", "assistant")[number % 2], status),
                        *(Jsonb([{"type": "text", "text": text}]), at + timedelta(seconds=number)),
                    ),
                )
            await connection.execute("SELECT search_index_rest(%s)", (id,))
        return id

    async def find(self, q: str, limit: int = 20, following: Any = None, **filters: Any) -> Any:
        """Return a page of matches."""
        return await search.find(
            self.services.pool, self.id, q, Filters(**filters), limit, following
        )

    async def texts(self, q: str, **options: Any) -> list[str]:
        """Return the snippets of a page, as text."""
        return list(map(plain, (await self.find(q, **options))["items"]))

    async def pages(self, q: str, limit: int) -> list[dict[str, Any]]:
        """Return the matches of every page."""
        items, following = [], None
        while True:
            page = await self.find(q, limit, following)
            items += page["items"]
            following = page["following"]
            if following is None:
                return items
            assert len(page["items"]) == limit


def plain(item: dict[str, Any]) -> str:
    """Return a snippet without its highlights."""
    return "".join(segment["text"] for segment in item["snippet"])


def matched(item: dict[str, Any]) -> list[str]:
    """Return the pieces of a snippet that are highlighted."""
    return [segment["text"] for segment in item["snippet"] if segment["match"]]


async def make_owner(services: Services) -> Owner:
    id = uuid7()
    async with connect(services.pool) as connection:
        await connection.execute(
            "INSERT INTO users (id, email, password_hash, role) VALUES (%s, %s, 'x', 'user')",
            (id, f"{id}@example.org"),
        )
    return Owner(services, id)


@pytest.fixture
async def owner(services: Services) -> Owner:
    return await make_owner(services)


async def test_a_chat_is_found_as_soon_as_its_answer_stands(user: ChatClient) -> None:
    conversation_id = uuid4()
    async with user.chat(
        "Where do herons nest?", conversation_id=conversation_id, model="scripted/echo"
    ) as stream:
        await stream.rest()
    await user.http.patch(f"/api/conversations/{conversation_id}", json={"title": "On herons"})

    page = (await user.http.get("/api/search", params={"q": "heron"})).json()

    assert {item["role"] for item in page["items"]} == {None, "user", "assistant"}
    assert {item["conversation_id"] for item in page["items"]} == {str(conversation_id)}
    assert page["items"][0]["message_id"] is None
    shown = {message["id"] for message in (await user.conversation(conversation_id))["messages"]}
    assert {item["message_id"] for item in page["items"][1:]} == shown
    assert all(matched(item) == ["herons"] for item in page["items"])
    assert page["next_cursor"] is None
    assert page["corrected"] is False


async def test_an_answer_is_found_once_it_is_final_and_as_it_is_last(owner: Owner) -> None:
    conversation_id = await owner.write("heron", status="streaming")
    assert await owner.texts("heron") == []

    async with connect(owner.services.pool) as connection:
        for status, text in (("interrupted", "heron"), ("complete", "heron and stork")):
            await connection.execute(
                "UPDATE messages SET status = %s, parts = %s WHERE conversation_id = %s",
                (status, Jsonb([{"type": "text", "text": text}]), conversation_id),
            )
            assert await owner.texts("heron") == [text]

        await connection.execute(
            "UPDATE conversations SET title = 'Cranes' WHERE id = %s", (conversation_id,)
        )
    assert await owner.texts("zero") == []
    assert await owner.texts("crane") == ["Cranes"]


async def test_only_text_is_searched(owner: Owner) -> None:
    conversation_id = await owner.write("heron")
    parts = [
        {"type": "reasoning", "text": "secretly"},
        {"type": "file", "mediaType": "text/plain", "filename": "secretly.txt", "url": "data:,x"},
        {"type": "text", "text": "first"},
        {"type": "text", "text": "last"},
    ]
    async with connect(owner.services.pool) as connection:
        await connection.execute(
            "UPDATE messages SET parts = %s WHERE conversation_id = %s",
            (Jsonb(parts), conversation_id),
        )

    assert await owner.texts("secretly") == []
    assert await owner.texts("first last") == ["first last"]


async def test_each_text_is_found_in_its_own_language(owner: Owner) -> None:
    texts = {
        "english": ("How many studies are there about the running of the mills?", "study mill"),
        "german": ("Wie viele alte Häuser stehen in der Stadt und was kosten sie?", "Haus"),
        "french": ("Est-ce que les chevaux sont dans la forêt avec nous ?", "cheval"),
        "russian": ("Сколько стоят эти книги и где их можно купить?", "книга"),
        "spanish": ("¿Qué dicen las canciones que cantamos en la fiesta?", "canción"),
    }
    for text, _ in texts.values():
        await owner.write(text)

    for text, q in texts.values():
        found = await owner.find(q)
        assert [text.startswith(plain(item)) for item in found["items"]] == [True], q
        assert matched(found["items"][0])


@pytest.mark.parametrize(
    ("text", "q", "shown"),
    [
        ("我们训练大型语言模型", "语言模型", "语言模型"),
        ("GPT模型を評価する", "模型", "模型"),
        ("한국어를 검색했다", "한국어", "한국어"),
        ("ฉันรักภาษาไทย", "ภาษา", "ภาษา"),
    ],
)
async def test_a_word_is_found_where_none_is_spaced(
    owner: Owner, text: str, q: str, shown: str
) -> None:
    await owner.write(text)
    await owner.write(text[::-1])

    found = (await owner.find(q))["items"]

    assert list(map(plain, found)) == [text]
    assert shown in matched(found[0])[0]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("black cat", {"a black cat", "a cat that is black"}),
        ('"black cat"', {"a black cat"}),
        ("cats or dog", {"a black cat", "a cat that is black", "a white dog"}),
        ("cat -that -black", set()),
        ("black -cats", {"a black horse"}),
        ('black -"black cat"', {"a cat that is black", "a black horse"}),
        ("the", set()),
        ('"" - ! & | ( ) : * <-> \\ \'', set()),
    ],
)
async def test_a_query_is_read_as_a_web_search(owner: Owner, q: str, found: set[str]) -> None:
    for text in ("a black cat", "a cat that is black", "a black horse", "a white dog"):
        await owner.write(text)

    assert set(await owner.texts(q)) == found


@pytest.mark.parametrize(
    ("text", "q", "shown"),
    [
        ("we run kubernetes here", "kuberntes", "kubernetes"),
        ("we run kubernetes here", "ukbernetes", "kubernetes"),
        ("we run kubernetes here", "kuberne", "kubernetes"),
        ("we receive the parcels", "recieve parcel", "receive"),
        ("was ist die Bundesverfassung für uns", "Bundesverfasung", "Bundesverfassung"),
        ("мы говорим про электричество и воду", "электирчество", "электричество"),
        ("a table in the café", "cafe", "café"),
    ],
)
async def test_a_misspelt_word_finds_the_one_that_was_meant(
    owner: Owner, text: str, q: str, shown: str
) -> None:
    await owner.write(text, "nothing of the kind")
    await maintain(owner.services)

    page = await owner.find(q)

    assert list(map(plain, page["items"])) == [text]
    assert shown in matched(page["items"][0])
    assert page["corrected"]


async def test_pages_of_a_misspelt_word_fit_together(owner: Owner) -> None:
    for _ in range(5):
        await owner.write("kubernetes", "kubernetes")
    await maintain(owner.services)

    items = await owner.pages("kuberntes", 3)

    assert len({item["message_id"] for item in items}) == len(items) == 10


async def test_words_of_others_mend_nothing_and_deleted_words_are_forgotten(
    services: Services, owner: Owner
) -> None:
    other = await make_owner(services)
    await other.write("the password is xylophone")
    gone = await owner.write("the password is glockenspiel")
    await owner.write("a password")
    await maintain(services)
    assert (await owner.find("xylophon"))["items"] == []
    assert (await owner.find("glokenspiel"))["corrected"]

    async with connect(services.pool) as connection:
        await connection.execute("DELETE FROM conversations WHERE id = %s", (gone,))
        report = await maintain(services)
        rows = await connection.execute(
            "SELECT word FROM search_words WHERE owner_id = %s", (owner.id,)
        )
        words = {row["word"] for row in await rows.fetchall()}

    assert report.indexed == 2
    assert words == {"password", "zero"}
    assert not (await owner.find("glokenspiel"))["corrected"]


async def test_an_account_leaves_no_word_behind(services: Services, owner: Owner) -> None:
    await owner.write("glockenspiel")
    async with connect(services.pool) as connection:
        await connection.execute("DELETE FROM users WHERE id = %s", (owner.id,))
        await maintain(services)
        for table in ("titles", "messages", "words", "changes"):
            rows = await connection.execute(f"SELECT FROM search_{table}".encode())
            assert rows.rowcount == 0


async def test_titles_come_first_then_the_more_and_the_newer(owner: Owner) -> None:
    one, many = "otter mink cat", "otter otter cat"
    await owner.write(one, days_ago=400)
    await owner.write(one, days_ago=2)
    await owner.write(many, days_ago=3)
    await owner.write("nothing", title="Otter", days_ago=700)
    await owner.write("nothing", title="Otters", days_ago=3)

    items = (await owner.find("otter"))["items"]

    assert [plain(item) for item in items[:3]] == ["Otters", "Otter", many]
    assert [(NOW - item["created_at"]).days for item in items[3:]] == [2, 400]
    assert [item["message_id"] is None for item in items] == [True, True, False, False, False]


async def test_snippets_are_text_whatever_the_text_is(owner: Owner) -> None:
    nasty = "<script>alert('heron')</script> \x02heron\x03 \x1f& <b>heron</b> \U0001f600"
    await owner.write("word " * 400 + nasty + " word" * 400, title="<i>heron</i>")

    title, message = (await owner.find("heron"))["items"]

    assert plain(title) == "<i>heron</i>"
    assert matched(title) == ["heron"]
    assert matched(message) == ["heron"] * 3
    assert "<script>alert('heron')</script>" in plain(message)
    assert len(plain(message)) < 400
    assert not set(plain(message)) & set("\x02\x03\x1f")


async def test_filters_leave_what_they_say(owner: Owner) -> None:
    await owner.write("heron one", tags=["birds", "work"], model="a/b", days_ago=10)
    await owner.write("heron two", tags=["work"], model="a/c", days_ago=20)
    await owner.write("heron three", title="heron three", days_ago=30)

    def ago(days: float) -> datetime:
        return NOW - timedelta(days=days)

    for filters, found in (
        ({}, {"heron one", "heron two", "heron three"}),
        ({"tag": "birds"}, {"heron one"}),
        ({"tag": "work"}, {"heron one", "heron two"}),
        ({"tag": "wor"}, set()),
        ({"model": "a/c"}, {"heron two"}),
        ({"tag": "birds", "model": "a/c"}, set()),
        ({"start": ago(15)}, {"heron one"}),
        ({"end": ago(15)}, {"heron two", "heron three"}),
        ({"start": ago(25), "end": ago(15)}, {"heron two"}),
    ):
        assert set(await owner.texts("heron", **filters)) == found, filters


async def test_a_tag_of_many_conversations_is_a_filter_all_the_same(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, word in enumerate(("one", "two", "three", "four")):
        await owner.write(f"heron {word}", tags=["even"] if place % 2 else [])
    few = set(await owner.texts("heron", tag="even"))
    monkeypatch.setattr(search_store, "_FEW", 1)

    assert few == set(await owner.texts("heron", tag="even")) == {"heron two", "heron four"}


async def test_nobody_finds_what_is_not_theirs_or_was_deleted(
    services: Services, owner: Owner
) -> None:
    await (await make_owner(services)).write("heron", title="heron")
    await owner.write("heron", title="heron", deleted_at=NOW)

    assert await owner.texts("heron") == []
    assert await owner.texts("heron", tag="x") == []


async def test_a_guest_finds_nothing(guest: ChatClient) -> None:
    page = await guest.http.get("/api/search", params={"q": "heron"})

    assert page.json() == {"items": [], "next_cursor": None, "corrected": False}


async def test_pages_fit_together_while_messages_arrive(owner: Owner) -> None:
    for _ in range(3):
        await owner.write(*["heron"] * 100, title="heron")
    seen, following = [], None
    while True:
        page = await owner.find("heron", 37, following)
        seen += page["items"]
        following = page["following"]
        if following is None:
            break
        await owner.write("heron", title="heron", days_ago=-1)
        assert len(page["items"]) == 37

    assert len(seen) == 303
    assert len({item["message_id"] or item["conversation_id"] for item in seen}) == 303


_SHARED = hypothesis_settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_TEXTS = st.lists(
    st.lists(st.sampled_from(["heron", "otter", "mink", "cat"]), min_size=1, max_size=4).map(
        " ".join
    ),
    max_size=6,
)


@hypothesis_settings(_SHARED, max_examples=25)
@given(
    mine=st.lists(st.tuples(_TEXTS, st.booleans()), max_size=6),
    others=_TEXTS,
    limit=st.integers(1, 5),
    window=st.integers(1, 5),
    glance=st.integers(1, 4),
    look=st.integers(1, 12),
    enough=st.integers(1, 5),
)
async def test_every_match_of_the_owner_is_shown_exactly_once(
    services: Services,
    mine: list[tuple[list[str], bool]],
    others: list[str],
    limit: int,
    window: int,
    glance: int,
    look: int,
    enough: int,
) -> None:
    owner, other = await make_owner(services), await make_owner(services)
    expected = []
    for texts, deleted in mine:
        title = texts[0] if texts else "none"
        await owner.write(*texts, title=title, deleted_at=NOW if deleted else None)
        if not deleted:
            expected += [text for text in (title, *texts) if "heron" in text]
    await other.write(*others, title="heron")

    with pytest.MonkeyPatch.context() as patch:
        # Windows of any size show the same.
        patch.setattr(search_store, "_WINDOW", window)
        patch.setattr(search_store, "_GLANCE", glance)
        patch.setattr(search_store, "_LOOK", look)
        patch.setattr(search_store, "_ENOUGH", min(enough, window))
        items = await owner.pages("heron", limit)

    assert sorted(map(plain, items)) == sorted(expected)
    titles = [item["message_id"] is None for item in items]
    assert titles == sorted(titles, reverse=True)


@hypothesis_settings(_SHARED, max_examples=150)
@given(q=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1,
                 max_size=60))  # fmt: skip
async def test_no_query_is_too_odd(services: Services, q: str) -> None:
    owner = await make_owner(services)
    await owner.write(q, "black cat", title=q[:80])
    await maintain(services)

    page = await owner.find(q)

    assert all(item["snippet"] for item in page["items"])


def _params(**changes: Any) -> dict[str, Any]:
    return {"q": "heron", **changes}


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "q"),
        (_params(q=""), "q"),
        (_params(q="x" * 201), "q"),
        (_params(q="a\0b"), "q"),
        (_params(tag="\0"), "tag"),
        (_params(tag="x" * 101), "tag"),
        (_params(model="\0"), "model"),
        (_params(limit=0), "limit"),
        (_params(limit=51), "limit"),
        (_params(cursor="nonsense"), "cursor"),
        (_params(cursor="WzEsMl0"), "cursor"),
        (_params(**{"from": "2026-01-01"}), "from"),
        (_params(**{"from": "2026-01-01T00:00:00"}), "from"),
        (_params(**{"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}), "from"),
    ],
)
async def test_what_cannot_be_read_is_refused_by_name(
    user: ChatClient, params: dict[str, Any], field: str
) -> None:
    response = await user.http.get("/api/search", params=params)

    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]


@pytest.mark.parametrize("bound", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
async def test_the_ends_of_time_are_times(user: ChatClient, bound: str) -> None:
    for name in ("from", "to"):
        response = await user.http.get(f"/api/search?q=heron&{name}={bound}")
        assert response.status_code == 200, response.text


async def test_a_cursor_of_somebody_else_shows_nothing_of_others(
    http: httpx.AsyncClient, user: ChatClient, services: Services
) -> None:
    other = await make_owner(services)
    for _ in range(3):
        await other.write("heron", title="heron")
    cursor = services.cursors.encode(*(await other.find("heron", 1))["following"])

    response = await user.http.get("/api/search", params={"q": "heron", "cursor": cursor})

    assert response.json()["items"] == []
