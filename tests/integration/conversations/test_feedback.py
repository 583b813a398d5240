"""A thumb and a note on an answer."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tailrace.services import Services
from tailrace.telemetry.ingest import ingest
from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient


def _path(conversation_id: object, message_id: object) -> str:
    return f"/api/conversations/{conversation_id}/messages/{message_id}/feedback"


async def test_a_rating_is_shown_and_leads_to_the_call(
    user: ChatClient, services: Services, database: Database
) -> None:
    id = uuid4()
    answer_id = await user.say(id, "Hi")

    put = await user.http.put(_path(id, answer_id), json={"rating": "down", "note": "Wrong.\nNo."})

    assert (put.status_code, put.json()) == (200, {"rating": "down", "note": "Wrong.\nNo."})
    messages = (await user.conversation(id))["messages"]
    assert [message["feedback"] for message in messages] == [None, put.json()]
    await ingest(services)
    rated = await database.rows(
        "SELECT kind, rating FROM inference_log JOIN message_feedback ON message_id = id"
    )
    assert rated == [{"kind": "chat", "rating": "down"}]

    # A second thought replaces the first, the note included.
    await user.http.put(_path(id, answer_id), json={"rating": "up"})
    assert (await user.conversation(id))["messages"][1]["feedback"] == {
        "rating": "up",
        "note": None,
    }
    assert (await user.http.delete(_path(id, answer_id))).status_code == 204
    assert (await user.conversation(id))["messages"][1]["feedback"] is None
    assert (await user.http.delete(_path(id, answer_id))).status_code == 404


async def test_many_at_once_leave_one(user: ChatClient, database: Database) -> None:
    id = uuid4()
    answer_id = await user.say(id, "Hi")

    responses = await asyncio.gather(
        *(user.http.put(_path(id, answer_id), json={"rating": "up"}) for _ in range(8))
    )

    assert {response.status_code for response in responses} == {200}
    assert await database.value("SELECT count(*) FROM message_feedback") == 1


async def test_it_goes_with_its_message(user: ChatClient, database: Database) -> None:
    id = uuid4()
    answer_id = await user.say(id, "Hi", message_id="q1")
    await user.http.put(_path(id, answer_id), json={"rating": "up"})

    await user.http.delete(f"/api/conversations/{id}/messages/q1")

    assert await database.value("SELECT count(*) FROM message_feedback") == 0


async def test_only_ones_own_answers_can_be_rated(
    user: ChatClient, http: httpx.AsyncClient, database: Database
) -> None:
    id, other_id = uuid4(), uuid4()
    answer_id = await user.say(id, "Hi", message_id="q1")
    await user.say(other_id, "Hi")
    question_id = await database.value("SELECT id FROM messages WHERE client_message_id = 'q1'")
    for path in (
        _path(id, "q1"),
        _path(id, question_id),
        _path(id, uuid4()),
        _path(other_id, answer_id),
        _path(uuid4(), answer_id),
        _path("x", "y"),
        _path("%00", "%00"),
    ):
        assert (await user.http.put(path, json={"rating": "up"})).status_code == 404
        assert (await user.http.delete(path)).status_code == 404
    async with httpx.AsyncClient(base_url=http.base_url) as other_http:
        await ChatClient(other_http).register("eve@example.org")
        assert (
            await other_http.put(_path(id, answer_id), json={"rating": "up"})
        ).status_code == 404
        await user.http.put(_path(id, answer_id), json={"rating": "down"})
        assert (await other_http.delete(_path(id, answer_id))).status_code == 404
    assert await database.value("SELECT count(*) FROM message_feedback") == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "rating"),
        ({"rating": "meh"}, "rating"),
        ({"rating": None}, "rating"),
        ({"rating": "up", "note": "x" * 2001}, "note"),
        ({"rating": "up", "note": "a\0"}, "note"),
        ({"rating": "up", "note": 5}, "note"),
        ({"rating": "up", "stars": 5}, "stars"),
    ],
)
async def test_a_rating_that_cannot_be_kept_is_refused(
    user: ChatClient, body: dict[str, Any], field: str
) -> None:
    id = uuid4()
    answer_id = await user.say(id, "Hi")

    response = await user.http.put(_path(id, answer_id), json=body)

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
