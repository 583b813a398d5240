"""Arranging a conversation, deleting it, getting it back."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tailrace.settings import Settings
from tests.integration.conftest import Database, site
from tests.support.chat_client import ChatClient, user_message
from tests.support.model_server import Exchange, ModelServer, answer, begin_and_wait


async def _patch(user: ChatClient, id: object, **changes: Any) -> dict[str, Any]:
    response = await user.http.patch(f"/api/conversations/{id}", json=changes)
    assert response.status_code == 200, response.text
    return response.json()


def _chats(model_server: ModelServer) -> list[dict[str, Any]]:
    return [e.body for e in model_server.exchanges if e.body["max_tokens"] > 30]


async def test_what_is_set_is_kept_and_the_rest_stays(user: ChatClient) -> None:
    id = uuid4()
    await user.say(id, "Hi")
    before = await user.conversation(id)

    named = await _patch(user, id, title="  A name ", tags=[" b ", "a", "b"], pinned=True)

    assert named == {**before, "title": "A name", "tags": ["b", "a"], "pinned": True}
    assert await user.conversation(id) == named
    held = await _patch(
        user,
        id,
        model="scripted/echo",
        system_prompt="Be brief.",
        parameters={"max_output_tokens": 50, "reasoning_effort": "low", "temperature": 0.5},
        archived=True,
    )
    assert held == {
        **named,
        "model": "scripted/echo",
        "system_prompt": "Be brief.",
        "parameters": {"max_output_tokens": 50, "reasoning_effort": "low", "temperature": 0.5},
        "archived": True,
    }
    bare = await _patch(
        user, id, system_prompt=None, parameters={}, tags=[], pinned=False, archived=False
    )
    assert bare == {**before, "title": "A name", "model": "scripted/echo"}
    assert await _patch(user, id) == bare


async def test_a_persons_title_is_never_replaced(
    user: ChatClient, model_server: ModelServer, database: Database
) -> None:
    renamed = asyncio.Event()
    id = uuid4()

    async def script(exchange: Exchange) -> None:
        if exchange.body["max_tokens"] > 100:
            return await answer("Hello")(exchange)
        await renamed.wait()
        await answer("A model's title")(exchange)

    model_server.script = script
    async with user.chat("Hi", conversation_id=id) as stream:
        await stream.until("text-delta")
        await _patch(user, id, title="Mine")
        renamed.set()
        await stream.rest()

    # Nor is the page told of one.
    assert "data-title" not in stream.types
    assert (await user.conversation(id))["title"] == "Mine"
    assert await database.value("SELECT title_source FROM conversations") == "user"
    await user.say(id, "And now?")
    assert (await user.conversation(id))["title"] == "Mine"


class TestHolding:
    """How a conversation is held: its own system prompt and parameters reach the model."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        # Titles are another model's, so that only chats are seen.
        return settings.model_copy(
            update={"system_prompt": "House rules.", "title_model": "scripted/echo"}
        )

    async def test_its_prompt_and_parameters_reach_the_model(
        self, user: ChatClient, model_server: ModelServer
    ) -> None:
        id, other = uuid4(), uuid4()
        a1 = await user.say(id, "One", message_id="q1")
        parameters = {"max_output_tokens": 77, "temperature": 0}
        await _patch(user, id, system_prompt="Be brief.", parameters=parameters)
        await user.say(id, "Two")
        await user.regenerate(id, a1)
        await user.say(other, "Elsewhere")
        await _patch(user, id, system_prompt=None, parameters={})
        await user.say(id, "Three")

        told = [
            (body["messages"][0]["content"], body["max_tokens"], body.get("temperature"))
            for body in _chats(model_server)
        ]
        house, own = ("House rules.", 4096, None), ("House rules.\n\nBe brief.", 77, 0.0)
        assert told == [house, own, own, house, house]

    async def test_its_model_answers_where_none_is_named(self, user: ChatClient) -> None:
        id = uuid4()
        await user.say(id, "One")
        await _patch(user, id, model="scripted/echo")
        await user.say(id, "Two")
        await user.say(id, "Three", model="local/m")
        await user.say(id, "Four")

        messages = (await user.conversation(id))["messages"]
        models = [message["metadata"]["model"] for message in messages[1::2]]
        assert models == ["local/m", "scripted/echo", "local/m", "local/m"]


class TestEffort:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        provider = settings.providers[0]
        model = provider.models[0].model_copy(update={"capabilities": frozenset({"reasoning"})})
        provider = provider.model_copy(update={"models": (model,)})
        return settings.model_copy(
            update={
                "providers": (provider, *settings.providers[1:]),
                "title_model": "scripted/echo",
            }
        )

    async def test_a_request_says_it_before_the_conversation_does(
        self, user: ChatClient, model_server: ModelServer
    ) -> None:
        id = uuid4()
        await user.say(id, "One")
        await _patch(user, id, parameters={"reasoning_effort": "low"})
        await user.say(id, "Two")
        await user.say(id, "Three", reasoning_effort="high")

        efforts = [body.get("reasoning_effort") for body in _chats(model_server)]
        assert efforts == [None, "low", "high"]


async def test_deleted_is_hidden_everywhere_at_once(
    user: ChatClient, model_server: ModelServer, database: Database
) -> None:
    id = uuid4()
    a1 = await user.say(id, "Hi", message_id="q1")
    model_server.script = begin_and_wait("Partial")
    path = f"/api/conversations/{id}"
    async with user.chat("More", conversation_id=id) as stream:
        await stream.until("text-delta")
        run_id = stream.response.headers["x-tailrace-run-id"]

        deleted = await user.http.delete(path)

        async with user.follow(id) as follower:
            assert follower.response.status_code == 404
        # Nobody will read on: the model is not paid for it.
        await stream.rest()
        assert stream.types[-2:] == ["abort", "[DONE]"]

    assert deleted.status_code == 204
    assert (await user.http.get("/api/conversations")).json()["items"] == []
    requests = [
        ("GET", path, None),
        ("PATCH", path, {"title": "x"}),
        ("PATCH", path, {"model": "local/m"}),
        ("DELETE", path, None),
        ("PUT", f"{path}/active-leaf", {"message_id": a1}),
        ("DELETE", f"{path}/messages/q1", None),
        ("PUT", f"{path}/messages/{a1}/feedback", {"rating": "up"}),
        ("DELETE", f"{path}/messages/{a1}/feedback", None),
        ("GET", f"/api/chat/{id}/stream", None),
        ("GET", f"/api/chat/{id}/stream?run_id={run_id}", None),
        ("POST", f"/api/chat/{id}/stop", {"run_id": run_id}),
        ("POST", "/api/chat", {"id": str(id), "message": user_message("More")}),
        (
            "POST",
            "/api/chat",
            {"id": str(id), "messageId": a1, "trigger": "regenerate-message"},
        ),
    ]
    for method, url, body in requests:
        response = await user.http.request(method, url, json=body)
        assert response.status_code == 404, (method, url, response.text)
    assert await database.value("SELECT count(*) FROM messages") == 4


async def test_restored_it_is_as_it_was(user: ChatClient, database: Database) -> None:
    id = uuid4()
    await user.say(id, "Hi")
    before = await _patch(user, id, tags=["kept"], pinned=True)
    await user.http.delete(f"/api/conversations/{id}")
    (listed,) = (await user.http.get("/api/conversations?deleted=true")).json()["items"]
    assert (listed["id"], listed["tags"]) == (str(id), ["kept"])

    for _ in range(2):
        response = await user.http.post(f"/api/conversations/{id}/restore")
        assert (response.status_code, response.json()) == (200, before)

    assert (await user.http.get("/api/conversations?deleted=true")).json()["items"] == []
    await user.say(id, "Go on")
    await user.http.delete(f"/api/conversations/{id}")
    await database.rows(
        "UPDATE conversations SET deleted_at = deleted_at - interval '31 days' RETURNING 1"
    )
    assert (await user.http.post(f"/api/conversations/{id}/restore")).status_code == 404
    assert (await user.http.get("/api/conversations?deleted=true")).json()["items"] == []


async def test_nobody_changes_anothers(user: ChatClient, http: httpx.AsyncClient) -> None:
    mine = uuid4()
    await user.say(mine, "Hi")
    gone = uuid4()
    await user.say(gone, "Hi")
    await user.http.delete(f"/api/conversations/{gone}")
    async with httpx.AsyncClient(base_url=http.base_url) as other_http:
        await ChatClient(other_http).register("eve@example.org")
        for id in (mine, gone, uuid4(), "nonsense", "%00"):
            path = f"/api/conversations/{id}"
            for method, url, body in [
                ("GET", path, None),
                ("PATCH", path, {"title": "Eve's"}),
                ("PATCH", path, {"model": "nowhere/m"}),
                ("DELETE", path, None),
                ("POST", f"{path}/restore", None),
            ]:
                response = await other_http.request(method, url, json=body)
                assert response.status_code == 404, (method, url, response.text)
        assert (await other_http.get("/api/conversations?deleted=true")).json()["items"] == []

    assert (await user.conversation(mine))["title"] != "Eve's"
    assert (await user.http.post(f"/api/conversations/{gone}/restore")).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "  "}, "title"),
        ({"title": None}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a\0b"}, "title"),
        ({"title": "a\nb"}, "title"),
        ({"title": 5}, "title"),
        ({"model": "nowhere/m"}, "model"),
        ({"model": None}, "model"),
        ({"model": "a\0/b"}, "model"),
        ({"tags": ["x"] * 21}, "tags"),
        ({"tags": [""]}, "tags.0"),
        ({"tags": ["ok", "x" * 51]}, "tags.1"),
        ({"tags": ["a\0"]}, "tags.0"),
        ({"tags": None}, "tags"),
        ({"pinned": None}, "pinned"),
        ({"pinned": "perhaps"}, "pinned"),
        ({"archived": {}}, "archived"),
        ({"system_prompt": "x" * 32_001}, "system_prompt"),
        ({"system_prompt": "a\0"}, "system_prompt"),
        ({"parameters": None}, "parameters"),
        ({"parameters": {"max_output_tokens": 0}}, "parameters.max_output_tokens"),
        ({"parameters": {"max_output_tokens": 4097}}, "parameters.max_output_tokens"),
        ({"parameters": {"temperature": -0.1}}, "parameters.temperature"),
        ({"parameters": {"temperature": 2.1}}, "parameters.temperature"),
        ({"parameters": {"temperature": "NaN"}}, "parameters.temperature"),
        ({"parameters": {"reasoning_effort": "huge"}}, "parameters.reasoning_effort"),
        ({"parameters": {"top_p": 1}}, "parameters.top_p"),
        ({"owner_id": str(uuid4())}, "owner_id"),
    ],
)
async def test_a_change_that_cannot_be_made_is_named(
    user: ChatClient, body: dict[str, Any], field: str
) -> None:
    id = uuid4()
    await user.say(id, "Hi")
    before = await user.conversation(id)

    response = await user.http.patch(f"/api/conversations/{id}", json=body)

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert await user.conversation(id) == before


async def test_half_a_character_is_no_title(user: ChatClient) -> None:
    id = uuid4()
    await user.say(id, "Hi")
    for name in ("title", "system_prompt"):
        response = await user.http.patch(
            f"/api/conversations/{id}",
            content=json.dumps({name: "\ud83d"}),
            headers={"content-type": "application/json"},
        )
        assert response.status_code == 422


async def test_a_lower_limit_of_the_server_holds_for_what_was_set_before(
    settings: Settings, web_root, user: ChatClient, model_server: ModelServer
) -> None:
    id = uuid4()
    await user.say(id, "Hi")
    await _patch(user, id, parameters={"max_output_tokens": 4000})
    async with site(settings.model_copy(update={"max_output_tokens": 200}), web_root) as http:
        http.cookies = user.http.cookies
        await ChatClient(http).say(id, "And now?")

    assert _chats(model_server)[-1]["max_tokens"] == 200
