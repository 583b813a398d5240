"""Branches: editing a message, answering again, switching, deleting; and the order of it all."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient
from tests.support.model_server import ModelServer, answer, begin_and_wait

NOBODYS = "00000000-0000-4000-8000-000000000000"


def _told(model_server: ModelServer) -> list[str]:
    """Return what the model was last asked in a chat."""
    chats = [e.body for e in model_server.exchanges if e.body["max_tokens"] > 100]
    return [message["content"] for message in chats[-1]["messages"]]


def _texts(conversation: dict[str, Any]) -> list[str]:
    return [message["parts"][0]["text"] for message in conversation["messages"]]


async def _select(user: ChatClient, conversation_id: UUID, message_id: str) -> dict[str, Any]:
    response = await user.http.put(
        f"/api/conversations/{conversation_id}/active-leaf", json={"message_id": message_id}
    )
    assert response.status_code == 200, response.text
    return response.json()


async def _delete(user: ChatClient, conversation_id: UUID, message_id: str) -> httpx.Response:
    return await user.http.delete(f"/api/conversations/{conversation_id}/messages/{message_id}")


async def test_an_edited_message_stands_beside_the_old_one(
    user: ChatClient, model_server: ModelServer
) -> None:
    conversation_id = uuid4()
    model_server.script = answer("A1")
    a1 = await user.say(conversation_id, "Q1", message_id="q1")
    model_server.script = answer("A2")
    await user.say(conversation_id, "Q2", message_id="q2")
    model_server.script = answer("A3")
    await user.say(conversation_id, "Q2 again", message_id="q3", parent_id=a1)

    assert _told(model_server) == ["Q1", "A1", "Q2 again"]
    conversation = await user.conversation(conversation_id)
    assert _texts(conversation) == ["Q1", "A1", "Q2 again", "A3"]
    q1, first, edited, last = conversation["messages"]
    assert (q1["id"], q1["parent_id"], q1["siblings"]) == ("q1", None, ["q1"])
    assert (first["id"], first["parent_id"]) == (a1, "q1")
    assert (edited["parent_id"], edited["siblings"]) == (a1, ["q2", "q3"])
    assert (last["parent_id"], last["siblings"]) == ("q3", [last["id"]])

    # What comes next continues the branch that is shown.
    await user.say(conversation_id, "Q4")
    assert _told(model_server) == ["Q1", "A1", "Q2 again", "A3", "Q4"]


async def test_the_first_message_can_be_edited_too(
    user: ChatClient, model_server: ModelServer
) -> None:
    conversation_id = uuid4()
    await user.say(conversation_id, "Q1", message_id="q1")

    await user.say(conversation_id, "Better", message_id="q2", parent_id=None)

    assert _told(model_server) == ["Better"]
    conversation = await user.conversation(conversation_id)
    assert conversation["messages"][0]["siblings"] == ["q1", "q2"]
    assert conversation["messages"][0]["parent_id"] is None


async def test_an_edit_sent_twice_is_one(user: ChatClient, database: Database) -> None:
    conversation_id = uuid4()
    a1 = await user.say(conversation_id, "Q1")
    sent = {"message_id": "edit", "parent_id": None}

    runs = await asyncio.gather(*(user.say(conversation_id, "Q2", **sent) for _ in range(4)))

    assert len(set(runs)) == 1
    assert a1 not in runs
    assert await database.value("SELECT count(*) FROM messages") == 4


async def test_another_answer_may_come_from_another_model(
    user: ChatClient, model_server: ModelServer, database: Database
) -> None:
    conversation_id = uuid4()
    a1 = await user.say(conversation_id, "Q1", message_id="q1")
    await user.say(conversation_id, "Q2")

    again = await user.regenerate(conversation_id, a1, model="scripted/echo")

    conversation = await user.conversation(conversation_id)
    assert [message["id"] for message in conversation["messages"]] == ["q1", again]
    assert conversation["messages"][1]["siblings"] == [a1, again]
    assert conversation["messages"][1]["metadata"]["model"] == "scripted/echo"
    assert "Q1" in conversation["messages"][1]["parts"][0]["text"]
    models = await database.rows("SELECT metadata->>'model' AS m FROM messages ORDER BY sequence")
    assert [row["m"] for row in models] == [None, "local/m", None, "local/m", "scripted/echo"]
    # The message may be named by its question as well, and the question sent along.
    by_question = await user.regenerate(conversation_id, "q1")
    async with user.chat(
        "Q1", conversation_id=conversation_id, message_id="q1", trigger="regenerate-message"
    ) as stream:
        await stream.rest()
    run_id = stream.response.headers["x-tailrace-run-id"]
    messages = (await user.conversation(conversation_id))["messages"]
    assert messages[1]["siblings"] == [a1, again, by_question, run_id]


async def test_switching_shows_the_newest_leaf_below_and_goes_on_from_there(
    user: ChatClient, model_server: ModelServer
) -> None:
    conversation_id = uuid4()
    a1 = await user.say(conversation_id, "Q1", message_id="q1")
    await user.say(conversation_id, "Q2", message_id="q2")
    await user.say(conversation_id, "Q3", message_id="q3")
    await user.say(conversation_id, "Other", message_id="other", parent_id=a1)

    back = await _select(user, conversation_id, "q2")

    assert _texts(back) == ["Q1", "Hello there", "Q2", "Hello there", "Q3", "Hello there"]
    assert back == await user.conversation(conversation_id)
    await user.say(conversation_id, "Q4")
    assert _told(model_server)[-3:] == ["Q3", "Hello there", "Q4"]
    assert _texts(await _select(user, conversation_id, "other"))[2] == "Other"
    # From the root the newest branch is shown, not the one last looked at.
    assert _texts(await _select(user, conversation_id, "q1"))[-2] == "Q4"


async def test_switching_changes_no_order_in_the_list(user: ChatClient) -> None:
    first, second = uuid4(), uuid4()
    await user.say(first, "One", message_id="q")
    await user.say(second, "Two")
    await _select(user, first, "q")

    listed = (await user.http.get("/api/conversations")).json()["items"]

    assert [item["id"] for item in listed] == [str(second), str(first)]


async def test_a_deleted_branch_is_gone_and_what_stood_beside_it_is_shown(
    user: ChatClient, database: Database
) -> None:
    conversation_id = uuid4()
    a1 = await user.say(conversation_id, "Q1", message_id="q1")
    await user.say(conversation_id, "Old", message_id="old")
    await user.say(conversation_id, "New", message_id="new", parent_id=a1)
    await user.say(conversation_id, "More")

    response = await _delete(user, conversation_id, "new")

    assert response.status_code == 200
    assert _texts(response.json()) == ["Q1", "Hello there", "Old", "Hello there"]
    assert response.json() == await user.conversation(conversation_id)
    assert await database.value("SELECT count(*) FROM messages") == 4
    assert (await _delete(user, conversation_id, "new")).status_code == 404
    # An answer alone leaves its question, which can be answered again.
    a_old = response.json()["messages"][3]["id"]
    assert (await _delete(user, conversation_id, a_old)).json()["messages"][-1]["id"] == "old"
    again = await user.regenerate(conversation_id, "old")
    assert (await user.conversation(conversation_id))["messages"][-1]["id"] == again
    # Another branch than the one shown goes without a change of what is shown.
    side = await user.say(conversation_id, "Side", parent_id=a1)
    shown = (await _delete(user, conversation_id, "old")).json()
    assert shown["messages"][-1]["id"] == side
    # And at last all of it.
    assert (await _delete(user, conversation_id, "q1")).json()["messages"] == []
    assert await database.value("SELECT active_leaf_id FROM conversations") is None
    await user.say(conversation_id, "From the start")
    assert _texts(await user.conversation(conversation_id))[0] == "From the start"
    sequences = await database.rows("SELECT sequence FROM messages ORDER BY sequence")
    assert [row["sequence"] for row in sequences] == [12, 13]


async def test_a_question_without_its_answer_is_not_the_end(
    user: ChatClient, model_server: ModelServer
) -> None:
    conversation_id = uuid4()
    a1 = await user.say(conversation_id, "Q1", message_id="q1")
    await _delete(user, conversation_id, a1)

    # The very same message, sent again, is answered.
    await user.say(conversation_id, "Q1", message_id="q1")
    messages = (await user.conversation(conversation_id))["messages"]
    await _delete(user, conversation_id, messages[1]["id"])
    await user.say(conversation_id, "Q2")

    # Models insist on turns: the two questions go as one.
    assert [text.split() for text in _told(model_server)] == [["Q1", "Q2"]]


async def test_a_branch_is_not_deleted_from_under_its_run(
    user: ChatClient, model_server: ModelServer
) -> None:
    conversation_id = uuid4()
    a1 = await user.say(conversation_id, "Q1", message_id="q1")
    await user.say(conversation_id, "Q2", message_id="q2")
    model_server.script = begin_and_wait("Partial")
    async with user.chat("Q3", conversation_id=conversation_id, parent_id=a1) as stream:
        await stream.until("text-delta")

        refused = await _delete(user, conversation_id, "q1")
        beside = await _delete(user, conversation_id, "q2")
        assert (await user.stop(conversation_id)).status_code == 202
        await stream.rest()

    assert refused.status_code == 409
    assert refused.headers["content-type"] == "application/problem+json"
    assert beside.status_code == 200
    assert (await _delete(user, conversation_id, "q1")).status_code == 200


async def test_a_long_branch_can_be_deleted(user: ChatClient, database: Database) -> None:
    conversation_id = uuid4()
    await user.say(conversation_id, "Q", message_id="q")
    # A cascade from parent to child would go as deep as this.
    await database.rows(
        "WITH RECURSIVE n AS (SELECT 3 AS s UNION ALL SELECT s + 1 FROM n WHERE s < 20000),"
        " ids AS (SELECT s, gen_random_uuid() AS id FROM n),"
        " chain AS (SELECT s, id, lag(id, 1, (SELECT id FROM messages WHERE sequence = 2))"
        "           OVER (ORDER BY s) AS parent FROM ids)"
        " INSERT INTO messages (id, conversation_id, parent_id, sequence, role, status, parts)"
        " SELECT id, %s, parent, s, 'user', 'complete', '[]' FROM chain ORDER BY s RETURNING 1",
        conversation_id,
    )

    response = await _delete(user, conversation_id, "q")

    assert response.status_code == 200
    assert await database.value("SELECT count(*) FROM messages") == 0


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"parent_id": "unknown"}, 404, None),
        ({"parent_id": str(uuid4())}, 404, None),
        ({"parent_id": ""}, 422, "parent_id"),
        ({"parent_id": "a\0"}, 422, "parent_id"),
        ({"parent_id": 5}, 422, "parent_id"),
        ({"parent_id": "x" * 65}, 422, "parent_id"),
        ({"messageId": "unknown", "trigger": "regenerate-message"}, 404, None),
        ({"messageId": str(uuid4()), "trigger": "regenerate-message"}, 404, None),
        ({"messageId": "", "trigger": "regenerate-message"}, 422, "messageId"),
        ({"messageId": "q1", "trigger": "submit-message"}, 422, "messageId"),
        ({"messageId": "q1"}, 422, "messageId"),
    ],
)
async def test_a_place_that_does_not_exist_is_refused(
    user: ChatClient, database: Database, body: dict[str, Any], status: int, field: str | None
) -> None:
    conversation_id = uuid4()
    await user.say(conversation_id, "Q1", message_id="q1")
    for id in (conversation_id, uuid4()):
        message = {"id": "q2", "role": "user", "parts": [{"type": "text", "text": "Q2"}]}
        sent = {"id": str(id), "message": message, **body}
        response = await user.http.post("/api/chat", json=sent)

        assert response.status_code == status, response.text
        assert [e["field"] for e in response.json().get("errors", [])] == ([field] if field else [])
    assert await database.value("SELECT count(*) FROM messages") == 2
    assert await database.value("SELECT count(*) FROM conversations") == 1


async def test_a_message_cannot_take_the_id_of_an_answer(user: ChatClient) -> None:
    conversation_id = uuid4()
    a1 = await user.say(conversation_id, "Q1")

    async with user.chat("Q2", conversation_id=conversation_id, message_id=a1) as stream:
        assert stream.response.status_code == 422
        assert stream.response.json()["errors"][0]["field"] == "message.id"


async def test_nobody_reaches_into_anothers_tree(user: ChatClient, http: httpx.AsyncClient) -> None:
    mine, hers = uuid4(), uuid4()
    a1 = await user.say(mine, "Q1", message_id="q1")
    async with httpx.AsyncClient(base_url=http.base_url) as other_http:
        other = ChatClient(other_http)
        await other.register("eve@example.org")
        await other.say(hers, "Hers")
        for id in (mine, hers):
            selected = await other_http.put(
                f"/api/conversations/{id}/active-leaf", json={"message_id": a1}
            )
            assert selected.status_code == 404
            assert (await _delete(other, id, a1)).status_code == 404
            bodies: list[dict[str, Any]] = [
                {"parent_id": a1},
                {"messageId": a1, "trigger": "regenerate-message"},
                {"messageId": "q1", "trigger": "regenerate-message"},
            ]
            for body in bodies:
                async with other.chat("Mine now", conversation_id=id, **body) as stream:
                    assert stream.response.status_code == 404

    assert len((await user.conversation(mine))["messages"]) == 2


async def test_how_much_goes_is_told_before_it_goes(user: ChatClient, database: Database) -> None:
    conversation_id = uuid4()
    a1 = await user.say(conversation_id, "Q1", message_id="q1")
    await user.say(conversation_id, "Q2", message_id="q2")
    await user.say(conversation_id, "Q3", message_id="q3", parent_id=a1)
    await user.regenerate(conversation_id, "q3")
    path = f"/api/conversations/{conversation_id}/messages"

    told = {
        message: (await user.http.get(f"{path}/{message}/branch")).json()
        for message in ("q1", a1, "q2", "q3")
    }

    assert told == {
        "q1": {"messages": 7, "branches": 3},
        a1: {"messages": 6, "branches": 3},
        "q2": {"messages": 2, "branches": 1},
        "q3": {"messages": 3, "branches": 2},
    }
    assert (await user.http.get(f"{path}/q9/branch")).status_code == 404
    before = await database.value("SELECT count(*) FROM messages")
    await _delete(user, conversation_id, "q3")
    assert await database.value("SELECT count(*) FROM messages") == before - 3


async def test_the_head_tells_of_what_is_new(user: ChatClient, model_server: ModelServer) -> None:
    async def head() -> dict[str, Any]:
        return (await user.http.get(f"/api/conversations/{conversation_id}/head")).json()

    conversation_id = uuid4()
    a1 = await user.say(conversation_id, "Q1", message_id="q1")
    assert await head() == {"active_leaf_id": a1, "status": "complete", "active_run_id": None}

    model_server.script = begin_and_wait("Once")
    async with user.chat("Q2", conversation_id=conversation_id) as stream:
        await stream.until("text-delta")
        run_id = stream.response.headers["x-tailrace-run-id"]
        under_way = {"active_leaf_id": run_id, "status": "streaming", "active_run_id": run_id}
        assert await head() == under_way
        await _select(user, conversation_id, "q1")
        assert (await head())["active_leaf_id"] == run_id
        await user.stop(conversation_id)
        await stream.rest()
    assert await head() == {"active_leaf_id": run_id, "status": "cancelled", "active_run_id": None}

    await _delete(user, conversation_id, a1)
    assert await head() == {"active_leaf_id": "q1", "status": "complete", "active_run_id": None}
    await _delete(user, conversation_id, "q1")
    assert await head() == {"active_leaf_id": None, "status": None, "active_run_id": None}


@pytest.mark.parametrize("message_id", ["unknown", "%00", "x" * 65, "%F0%9F%8E%89", NOBODYS])
async def test_an_unknown_message_is_not_found(user: ChatClient, message_id: str) -> None:
    conversation_id = uuid4()
    await user.say(conversation_id, "Q1")

    assert (await _delete(user, conversation_id, message_id)).status_code == 404
    response = await user.http.put(
        f"/api/conversations/{conversation_id}/active-leaf", json={"message_id": message_id}
    )
    assert response.status_code in (404, 422)


async def test_a_tree_holds_under_everything_at_once(
    user: ChatClient, model_server: ModelServer, database: Database
) -> None:
    conversation_id = uuid4()
    a1 = await user.say(conversation_id, "Q1", message_id="q1")
    await user.say(conversation_id, "Q2", message_id="q2")

    async def edit(number: int) -> None:
        await user.say(conversation_id, f"Edit {number}", parent_id=a1)

    async def send(number: int) -> None:
        await user.say(conversation_id, f"Sent {number}")

    async def regenerate() -> None:
        await user.regenerate(conversation_id, "q1")

    async def switch() -> None:
        await _select(user, conversation_id, "q1")

    async def delete() -> None:
        assert (await _delete(user, conversation_id, "q2")).status_code in (200, 404, 409)

    await asyncio.gather(
        *(edit(n) for n in range(6)),
        *(send(n) for n in range(6)),
        *(regenerate() for _ in range(3)),
        *(switch() for _ in range(4)),
        *(delete() for _ in range(2)),
    )

    rows = await database.rows("SELECT id, parent_id, sequence, role, parts FROM messages")
    by_id = {row["id"]: row for row in rows}
    assert len({row["sequence"] for row in rows}) == len(rows)
    for row in rows:
        if row["parent_id"] is not None:
            parent = by_id[row["parent_id"]]
            assert parent["sequence"] < row["sequence"]
            assert parent["role"] != row["role"]
    edits = {row["parts"][0]["text"] for row in rows if row["parent_id"] == UUID(a1)}
    assert {f"Edit {n}" for n in range(6)} <= edits
    leaf = await database.value("SELECT active_leaf_id FROM conversations")
    assert leaf not in {row["parent_id"] for row in rows}
    shown = [message["id"] for message in (await user.conversation(conversation_id))["messages"]]
    assert shown[-1] == str(leaf)
    last = await database.value("SELECT last_sequence FROM conversations")
    assert max(row["sequence"] for row in rows) <= last
