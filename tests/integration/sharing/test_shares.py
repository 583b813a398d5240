"""Links: what they show, to whom, and what they never tell."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
EMAIL = "ada@example.org"


@pytest.fixture
async def stranger(http: httpx.AsyncClient):
    """A browser without any cookie."""
    async with httpx.AsyncClient(base_url=http.base_url) as client:
        yield client


async def _say(user: ChatClient, conversation_id: UUID, text: str, **body: Any) -> None:
    async with user.chat(
        text, conversation_id=conversation_id, model="scripted/echo", **body
    ) as stream:
        await stream.rest()


async def _share(user: ChatClient, conversation_id: UUID, **body: Any) -> dict[str, Any]:
    response = await user.http.post(f"/api/conversations/{conversation_id}/shares", json=body)
    assert response.status_code == 201, response.text
    return response.json()


def _texts(shared: dict[str, Any]) -> list[str]:
    return [
        "".join(part["text"] for part in message["parts"] if part["type"] == "text")
        for message in shared["messages"]
    ]


async def test_a_link_shows_the_branch_as_it_was_to_anybody(
    user: ChatClient, stranger: httpx.AsyncClient
) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "First")
    share = await _share(user, conversation_id)
    before = (await stranger.get(f"/api/shared/{share['token']}")).json()

    await _say(user, conversation_id, "Second")
    await user.http.patch(f"/api/conversations/{conversation_id}", json={"title": "Secret plans"})
    response = await stranger.get(f"/api/shared/{share['token']}")

    assert response.status_code == 200
    assert response.json() == before
    assert [message["role"] for message in before["messages"]] == ["user", "assistant"]
    assert _texts(before)[0] == "First"
    assert before["messages"][1]["model"] == "echo"
    assert "set-cookie" not in response.headers
    assert response.headers["cache-control"] == "private, no-store"
    assert "noindex" in response.headers["x-robots-tag"]
    assert response.headers["referrer-policy"] == "no-referrer"


async def test_the_page_of_a_link_is_not_indexed_and_tells_nobody(
    stranger: httpx.AsyncClient,
) -> None:
    page = await stranger.get(f"/shared/{'A' * 43}")

    assert page.status_code == 200
    assert "noindex" in page.headers["x-robots-tag"]
    assert page.headers["referrer-policy"] == "no-referrer"


async def test_an_edit_made_later_does_not_show(
    user: ChatClient, stranger: httpx.AsyncClient
) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "First")
    share = await _share(user, conversation_id)
    await _say(user, conversation_id, "Edited", parent_id=None)

    shared = (await stranger.get(f"/api/shared/{share['token']}")).json()

    assert _texts(shared)[0] == "First"
    assert len(shared["messages"]) == 2


async def test_a_link_ends_at_the_message_that_was_shared(
    user: ChatClient, stranger: httpx.AsyncClient
) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "First")
    await _say(user, conversation_id, "Second")
    messages = (await user.conversation(conversation_id))["messages"]

    for number, message in enumerate(messages, start=1):
        share = await _share(user, conversation_id, message_id=message["id"])
        shared = (await stranger.get(f"/api/shared/{share['token']}")).json()
        assert len(shared["messages"]) == share["messages"] == number


async def test_a_link_tells_nothing_of_its_owner(
    user: ChatClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "First")
    signed = [
        {"type": "reasoning", "text": "Hm", "providerMetadata": {"p": {"signature": "sig-1"}}},
        {"type": "text", "text": "Yes", "providerMetadata": {"p": {"signature": "sig-2"}}},
        {"type": "data-secret", "data": "hidden"},
    ]
    metadata = {"model": "acme/m", "run_id": str(uuid4()), "usage": {"input_tokens": 98765}}
    rows = await database.rows(
        "UPDATE messages SET parts = %s, metadata = %s WHERE role = 'assistant'"
        " RETURNING id, conversation_id",
        json.dumps(signed),
        json.dumps(metadata),
    )
    owner = await database.value("SELECT id FROM users")
    share = await _share(user, conversation_id)

    text = (await stranger.get(f"/api/shared/{share['token']}")).text

    assert '"Hm"' in text
    identifying = [EMAIL, "ada", str(owner), str(conversation_id), str(rows[0]["id"]), share["id"]]
    for hidden in [*identifying, "sig-", "providerMetadata", "98765", "acme", "hidden", "run_id"]:
        assert hidden not in text
    assert json.loads(text)["shared_by"] is None


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"show_name": True}, "ada"),
        ({"show_name": True, "name": " Ada L. "}, "Ada L."),
        ({"show_name": False}, None),
    ],
)
async def test_a_name_is_shown_when_asked_for(
    user: ChatClient, stranger: httpx.AsyncClient, body: dict[str, Any], name: str | None
) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "First")
    share = await _share(user, conversation_id, **body)

    assert (await stranger.get(f"/api/shared/{share['token']}")).json()["shared_by"] == name


async def _only_picture(database: Database) -> str:
    query = "SELECT id FROM attachments WHERE media_type = 'image/png'"
    return str(await database.value(query))


async def test_files_come_through_the_link_of_their_branch_alone(
    user: ChatClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    conversation_id = uuid4()
    page = base64.b64encode(b"<script>alert(1)</script>").decode()
    picture = base64.b64encode(PNG).decode()
    message = {
        "id": "m1",
        "role": "user",
        "parts": [
            {"type": "text", "text": "Look"},
            {"type": "file", "mediaType": "image/png", "filename": 'a "b".png',
             "url": f"data:image/png;base64,{picture}"},
            {"type": "file", "mediaType": "text/html", "url": f"data:text/html;base64,{page}"},
        ],
    }  # fmt: skip
    body = {"id": str(conversation_id), "message": message, "model": "scripted/echo"}
    await user.http.post("/api/chat", json=body)
    share = await _share(user, conversation_id)
    await _say(user, conversation_id, "Other branch", parent_id=None)
    other = await _share(user, conversation_id)

    parts = (await stranger.get(f"/api/shared/{share['token']}")).json()["messages"][0]["parts"]
    image, html = [await stranger.get(part["url"]) for part in parts[1:]]

    assert [part["type"] for part in parts] == ["text", "file", "file"]
    assert parts[1]["filename"] == 'a "b".png'
    assert image.content == PNG
    # The owner's own address of it is for the owner alone.
    kept = (await user.http.get(f"/api/conversations/{conversation_id}/export")).json()
    assert base64.b64decode(kept["messages"][0]["parts"][1]["url"].partition(",")[2]) == PNG
    owned = await user.http.get("/api/attachments/" + await _only_picture(database))
    assert (await stranger.get(owned.json()["url"])).status_code == 404
    assert image.headers["content-type"] == "image/png"
    assert image.headers["cache-control"] == "private, no-store"
    # A page that somebody shared never runs under our address.
    assert html.headers["content-type"].startswith("text/plain")
    assert html.headers["content-disposition"].startswith("attachment")
    assert html.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in html.headers["content-security-policy"]
    for path in ("1/2", "1/3", "1/1", "2/1", "9/9"):
        assert (await stranger.get(f"/api/shared/{other['token']}/files/{path}")).status_code == 404
    for path in ("0/1", "1/0", "x/1", "1/99999999999999999999"):
        assert (await stranger.get(f"/api/shared/{share['token']}/files/{path}")).status_code == 422


async def test_what_is_deleted_is_no_longer_seen(
    user: ChatClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "First")
    await _say(user, conversation_id, "Second")
    share = await _share(user, conversation_id)
    path = f"/api/conversations/{conversation_id}"
    messages = (await user.conversation(conversation_id))["messages"]

    deleted = await user.http.delete(f"{path}/messages/{messages[2]['id']}")
    assert deleted.is_success, deleted.text
    assert len((await stranger.get(f"/api/shared/{share['token']}")).json()["messages"]) == 2

    await user.http.delete(path)
    assert (await stranger.get(f"/api/shared/{share['token']}")).status_code == 404
    assert (await user.http.get(f"{path}/shares")).status_code == 404

    await user.http.post(f"{path}/restore")
    assert (await stranger.get(f"/api/shared/{share['token']}")).status_code == 200
    await user.http.delete(f"{path}/messages/{messages[0]['id']}")
    assert (await stranger.get(f"/api/shared/{share['token']}")).status_code == 404


async def test_a_link_is_revoked_alone_or_with_all(
    user: ChatClient, stranger: httpx.AsyncClient
) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "First")
    shares = [await _share(user, conversation_id) for _ in range(3)]
    path = f"/api/conversations/{conversation_id}/shares"

    async def alive() -> list[bool]:
        return [
            (await stranger.get(f"/api/shared/{share['token']}")).status_code == 200
            for share in shares
        ]

    assert (await user.http.delete(f"{path}/{shares[1]['id']}")).status_code == 204
    assert await alive() == [True, False, True]
    assert (await user.http.delete(f"{path}/{shares[1]['id']}")).status_code == 404
    assert (await user.http.delete(path)).status_code == 204
    assert await alive() == [False, False, False]
    assert (await user.http.get(path)).json()["items"] == []


async def test_a_link_runs_out(
    user: ChatClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "First")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    share = await _share(user, conversation_id, expires_at=tomorrow.isoformat())
    assert (await stranger.get(f"/api/shared/{share['token']}")).status_code == 200

    await database.rows("UPDATE shares SET expires_at = now() RETURNING id")
    assert (await stranger.get(f"/api/shared/{share['token']}")).status_code == 410
    assert datetime.fromisoformat(share["expires_at"]) == tomorrow
    await user.http.delete(f"/api/conversations/{conversation_id}/shares/{share['id']}")
    assert (await stranger.get(f"/api/shared/{share['token']}")).status_code == 404


async def test_links_rest_while_the_account_is_disabled(
    user: ChatClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "First")
    share = await _share(user, conversation_id)

    for disabled_at, status in (("now()", 404), ("NULL", 200)):
        await database.rows(f"UPDATE users SET disabled_at = {disabled_at} RETURNING id")
        assert (await stranger.get(f"/api/shared/{share['token']}")).status_code == status


async def test_links_are_listed_without_their_tokens(user: ChatClient, database: Database) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "First")
    made = [await _share(user, conversation_id) for _ in range(5)]

    seen, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        path = f"/api/conversations/{conversation_id}/shares"
        page = (await user.http.get(path, params=params)).json()
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert [item["id"] for item in seen] == [share["id"] for share in reversed(made)]
    assert all("token" not in item for item in seen)
    assert seen[0]["token_hint"] == made[-1]["token"][:6]
    stored = await database.rows("SELECT * FROM shares")
    assert not any(share["token"] in str(row) for share in made for row in stored)


async def test_nothing_is_shared_of_somebody_else(
    user: ChatClient, http: httpx.AsyncClient
) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "First")
    share = await _share(user, conversation_id)
    path = f"/api/conversations/{conversation_id}/shares"
    async with httpx.AsyncClient(base_url=http.base_url) as other_http:
        await ChatClient(other_http).register("eve@example.org")
        for method, where in (
            ("POST", path),
            ("GET", path),
            ("DELETE", path),
            ("DELETE", f"{path}/{share['id']}"),
            ("POST", f"/api/conversations/{uuid4()}/shares"),
        ):
            body = {} if method == "POST" else None
            response = await other_http.request(method, where, json=body)
            assert response.status_code == 404, (method, where)
    assert (await user.http.get(path)).json()["items"][0]["id"] == share["id"]


async def test_an_answer_under_way_is_not_shared(user: ChatClient) -> None:
    conversation_id = uuid4()
    async with user.chat("Hi", conversation_id=conversation_id, model="scripted/story") as stream:
        await stream.until("start")
        response = await user.http.post(f"/api/conversations/{conversation_id}/shares", json={})
        await user.stop(conversation_id)
        await stream.rest()
    assert response.status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2040-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"message_id": "no such"}, "message_id"),
        ({"message_id": str(uuid4())}, "message_id"),
        ({"message_id": "nothing"}, "message_id"),
        ({"message_id": "x" * 65}, "message_id"),
        ({"show_name": True, "name": ""}, "name"),
        ({"show_name": True, "name": "a\0b"}, "name"),
        ({"show_name": True, "name": "x" * 101}, "name"),
        ({"name": "Ada"}, "body"),
        ({"unknown": 1}, "unknown"),
        ([], "body"),
    ],
)
async def test_a_field_that_cannot_be_accepted_is_named(
    user: ChatClient, database: Database, body: Any, field: str
) -> None:
    conversation_id = uuid4()
    await _say(user, conversation_id, "First")

    response = await user.http.post(f"/api/conversations/{conversation_id}/shares", json=body)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field
    assert await database.value("SELECT count(*) FROM shares") == 0


@pytest.mark.parametrize("token", ["x", "A" * 43, "é" * 43, "A" * 42 + "%00", "." * 43, "%2e%2e"])
async def test_a_guessed_link_leads_nowhere(stranger: httpx.AsyncClient, token: str) -> None:
    response = await stranger.get(f"/api/shared/{token}")

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
