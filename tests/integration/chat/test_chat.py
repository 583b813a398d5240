"""Chats of users and guests through the site, from the request to the rows."""

import asyncio
from uuid import uuid4

import httpx
import pytest

from tailrace.settings import Settings
from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient
from tests.support.model_server import Exchange, ModelServer, answer, begin_and_wait


async def test_an_answer_streams_in_the_ui_message_protocol(user: ChatClient) -> None:
    async with user.chat("Hi there") as stream:
        frames = await stream.rest()

    headers = stream.response.headers
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["x-vercel-ai-ui-message-stream"] == "v1"
    start = frames[0].part
    assert start["messageId"] == headers["x-tailrace-run-id"]
    kinds = [kind for kind in stream.types if kind != "data-title"]
    assert kinds == [
        "start",
        "start-step",
        "text-start",
        "text-delta",
        "text-delta",
        "text-end",
        "message-metadata",
        "finish-step",
        "finish",
        "[DONE]",
    ]
    assert stream.text == "Hello there"
    assert [frame.id for frame in frames[:-1]] == list(range(1, len(frames)))
    metadata = next(f.part["messageMetadata"] for f in frames if f.type == "message-metadata")
    assert metadata["usage"] == {
        "input_tokens": 3,
        "output_tokens": 2,
        "cache_read_input_tokens": None,
        "reasoning_output_tokens": None,
        "usage_estimated": False,
    }
    assert 0 < metadata["time_to_first_chunk"] <= metadata["duration"]


async def test_a_conversation_is_kept_and_sent_to_the_model(
    user: ChatClient, model_server: ModelServer
) -> None:
    conversation_id = uuid4()
    for text in ("First question", "Second question"):
        async with user.chat(text, conversation_id=conversation_id) as stream:
            await stream.rest()

    conversation = await user.conversation(conversation_id)

    assert [(m["role"], m["status"], m["parts"][0]["text"]) for m in conversation["messages"]] == [
        ("user", "complete", "First question"),
        ("assistant", "complete", "Hello there"),
        ("user", "complete", "Second question"),
        ("assistant", "complete", "Hello there"),
    ]
    assert conversation["active_run_id"] is None
    chats = [e.body for e in model_server.exchanges if e.body["max_tokens"] > 100]
    assert [m["content"] for m in chats[1]["messages"]] == [
        "First question",
        "Hello there",
        "Second question",
    ]


async def test_a_new_conversation_gets_a_title(
    user: ChatClient, model_server: ModelServer, database: Database
) -> None:
    async def script(exchange: Exchange) -> None:
        title = exchange.body["max_tokens"] < 100
        await answer('Title: "Greetings"' if title else "Hello")(exchange)

    model_server.script = script
    conversation_id = uuid4()

    async with user.chat("Hi", conversation_id=conversation_id) as stream:
        await stream.rest()

    assert {"type": "data-title", "data": {"title": "Greetings"}, "transient": True} in [
        frame.part for frame in stream.frames
    ]
    assert (await user.conversation(conversation_id))["title"] == "Greetings"
    listed = (await user.http.get("/api/conversations")).json()["items"]
    assert [item["title"] for item in listed] == ["Greetings"]
    assert await database.value("SELECT count(*) FROM runs WHERE closed_at IS NULL") == 0


class TestTitleModel:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"title_model": "scripted/echo"})

    async def test_makes_the_titles(self, user: ChatClient, database: Database) -> None:
        async with user.chat("Rivers of Europe") as stream:
            await stream.rest()

        # The script echoes the instruction, which the model of the chat would not.
        title = next(f.part["data"]["title"] for f in stream.frames if f.type == "data-title")
        assert title.startswith("Write a title")
        assert await database.value("SELECT title_source FROM conversations") == "model"


async def test_eight_posts_at_once_all_succeed_in_some_order(
    user: ChatClient, database: Database
) -> None:
    conversation_id = uuid4()

    async def post(number: int) -> str:
        async with user.chat(f"Question {number}", conversation_id=conversation_id) as stream:
            await stream.rest()
            return stream.types[-1]

    assert await asyncio.gather(*(post(n) for n in range(8))) == ["[DONE]"] * 8

    messages = (await user.conversation(conversation_id))["messages"]
    assert len(messages) == 16
    assert [m["role"] for m in messages] == ["user", "assistant"] * 8
    assert {m["parts"][0]["text"] for m in messages[::2]} == {f"Question {n}" for n in range(8)}
    sequences = await database.rows("SELECT sequence FROM messages ORDER BY sequence")
    assert [row["sequence"] for row in sequences] == list(range(1, 17))


async def test_the_same_message_sent_again_is_one_message(
    user: ChatClient, model_server: ModelServer
) -> None:
    released = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        await exchange.send_text("Once")
        await released.wait()
        await exchange.finish()

    model_server.script = script
    sent = {"conversation_id": uuid4(), "message_id": "retry-me"}

    async with user.chat("Hi", **sent) as first:
        await first.until("text-delta")
        async with user.chat("Hi", **sent) as while_streaming:
            await while_streaming.until("text-delta")
            released.set()
            await while_streaming.rest()
        await first.rest()
    async with user.chat("Hi", **sent) as afterwards:
        await afterwards.rest()

    assert first.text == while_streaming.text == afterwards.text == "Once"
    run_ids = {
        s.response.headers["x-tailrace-run-id"] for s in (first, while_streaming, afterwards)
    }
    assert len(run_ids) == 1
    assert afterwards.types[-2:] == ["finish", "[DONE]"]
    assert len((await user.conversation(sent["conversation_id"]))["messages"]) == 2


async def test_a_reader_resumes_where_it_was_and_another_joins_late(
    user: ChatClient, model_server: ModelServer
) -> None:
    released = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        for piece in ("a", "b", "c"):
            await exchange.send_text(piece)
        await released.wait()
        for piece in ("d", "e"):
            await exchange.send_text(piece)
        await exchange.finish()

    model_server.script = script
    conversation_id = uuid4()
    async with user.chat("Hi", conversation_id=conversation_id) as first:
        seen = [await first.until("text-delta"), await first.until("text-delta")]
    assert [frame.part["delta"] for frame in seen] == ["a", "b"]

    async with (
        user.follow(conversation_id, last_event_id=seen[1].id) as resumed,
        user.follow(conversation_id) as late,
    ):
        await resumed.until("text-delta")
        await late.until("text-delta")
        assert (await user.conversation(conversation_id))["messages"][-1]["status"] == "streaming"
        released.set()
        await asyncio.gather(resumed.rest(), late.rest())

    assert resumed.text == "cde"
    assert late.text == "abcde"
    assert resumed.types[-1] == late.types[-1] == "[DONE]"
    assert [f.id for f in resumed.frames[:-1]] == [
        f.id for f in late.frames[:-1] if (f.id or 0) > (seen[1].id or 0)
    ]
    message = (await user.conversation(conversation_id))["messages"][-1]
    assert (message["status"], message["parts"][0]["text"]) == ("complete", "abcde")
    async with user.follow(conversation_id) as nothing:
        assert nothing.response.status_code == 204


async def test_the_tail_of_a_finished_run_can_still_be_read(guest: ChatClient) -> None:
    conversation_id = uuid4()
    async with guest.chat("Hi", conversation_id=conversation_id, guest=True) as first:
        seen = await first.until("text-delta")
        run_id = first.response.headers["x-tailrace-run-id"]
        await first.rest()

    async with guest.follow(conversation_id, last_event_id=seen.id, run_id=run_id) as tail:
        await tail.rest()

    assert tail.text == " there"
    assert tail.types[-1] == "[DONE]"


async def test_stop_closes_the_provider_and_keeps_the_partial(
    user: ChatClient, model_server: ModelServer, database: Database
) -> None:
    model_server.script = begin_and_wait("Partial")
    conversation_id = uuid4()

    async with user.chat("Hi", conversation_id=conversation_id) as stream:
        await stream.until("text-delta")
        run_id = stream.response.headers["x-tailrace-run-id"]
        exchange = model_server.exchanges[0]
        response = await user.stop(conversation_id, run_id=run_id)
        await asyncio.wait_for(exchange.client_closed.wait(), 60)
        await stream.rest()

    assert response.status_code == 202
    assert response.json() == {"run_id": run_id, "status": "stopping"}
    assert stream.types[-2:] == ["abort", "[DONE]"]
    message = (await user.conversation(conversation_id))["messages"][-1]
    assert (message["status"], message["parts"][0]["text"]) == ("cancelled", "Partial")
    assert message["metadata"]["usage"]["usage_estimated"] is True
    assert (await user.stop(conversation_id, run_id=run_id)).status_code == 204
    assert await database.value("SELECT count(*) FROM runs WHERE closed_at IS NULL") == 0


async def test_a_run_outlives_its_reader(
    user: ChatClient, model_server: ModelServer, database: Database
) -> None:
    released = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        await exchange.send_text("Still")
        await released.wait()
        await exchange.send_text(" here")
        await exchange.finish()

    model_server.script = script
    conversation_id = uuid4()
    async with user.chat("Hi", conversation_id=conversation_id) as stream:
        await stream.until("text-delta")
    released.set()

    async with user.follow(conversation_id) as late:
        if late.response.status_code == 200:
            await late.rest()

    message = (await user.conversation(conversation_id))["messages"][-1]
    assert (message["status"], message["parts"][0]["text"]) == ("complete", "Still here")


async def test_retry_after_an_error_answers_the_same_message_again(
    user: ChatClient, model_server: ModelServer
) -> None:
    model_server.script = lambda exchange: exchange.respond(500, b"{}")
    sent = {"conversation_id": uuid4(), "message_id": "m1"}
    async with user.chat("Hi", **sent) as failed:
        await failed.rest()
    assert failed.types[-2:] == ["error", "[DONE]"]
    model_server.script = answer("Fine")

    async with user.chat("Hi", **sent, trigger="regenerate-message") as retried:
        await retried.rest()

    assert retried.text == "Fine"
    messages = (await user.conversation(sent["conversation_id"]))["messages"]
    assert [(m["role"], m["status"]) for m in messages] == [
        ("user", "complete"),
        ("assistant", "complete"),
    ]


async def test_retry_after_a_reload_is_the_same_message_too(
    user: ChatClient, model_server: ModelServer
) -> None:
    model_server.script = lambda exchange: exchange.respond(500, b"{}")
    conversation_id = uuid4()
    async with user.chat("Hi", conversation_id=conversation_id, message_id="m1") as failed:
        await failed.rest()
    model_server.script = answer("Fine")

    question = (await user.conversation(conversation_id))["messages"][0]
    async with user.chat(
        "Hi",
        conversation_id=conversation_id,
        message_id=question["id"],
        trigger="regenerate-message",
    ) as retried:
        await retried.rest()

    messages = (await user.conversation(conversation_id))["messages"]
    assert [(m["role"], m["parts"][0]["text"]) for m in messages] == [
        ("user", "Hi"),
        ("assistant", "Fine"),
    ]


async def test_a_stopped_answer_does_not_wait_for_its_title(
    user: ChatClient, model_server: ModelServer
) -> None:
    title_asked = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        if exchange.body["max_tokens"] < 100:
            title_asked.set()
        else:
            await exchange.send_text("Partial")
        await exchange.client_closed.wait()

    model_server.script = script
    conversation_id = uuid4()
    async with user.chat("Hi", conversation_id=conversation_id) as stream:
        await asyncio.wait_for(title_asked.wait(), 60)
        await user.stop(conversation_id)
        await stream.rest()

    assert stream.types[-2:] == ["abort", "[DONE]"]
    for exchange in model_server.exchanges:
        await asyncio.wait_for(exchange.client_closed.wait(), 60)


async def test_a_guest_chats_with_the_branch_it_holds(
    guest: ChatClient, model_server: ModelServer, database: Database
) -> None:
    history = [
        {"id": "1", "role": "user", "parts": [{"type": "text", "text": "One"}]},
        {
            "id": "2",
            "role": "assistant",
            "parts": [{"type": "step-start"}, {"type": "text", "text": "Two"}],
        },
        {"id": "3", "role": "user", "parts": [{"type": "text", "text": "Three"}]},
    ]
    body = {"id": str(uuid4()), "messages": history}

    response = await guest.http.post("/api/chat", json=body)

    assert response.status_code == 200
    assert "tailrace_guest" in response.cookies
    assert [m["content"] for m in model_server.exchanges[0].body["messages"]] == [
        "One",
        "Two",
        "Three",
    ]
    assert await database.value("SELECT count(*) FROM conversations") == 0
    me = (await guest.http.get("/api/auth/me")).json()
    assert (me["kind"], me["guest_remaining"]) == ("guest", me["guest_limit"] - 1)


async def test_nobody_reaches_anothers_run(
    user: ChatClient, model_server: ModelServer, http: httpx.AsyncClient
) -> None:
    model_server.script = begin_and_wait("secret")
    conversation_id = uuid4()
    async with user.chat("Hi", conversation_id=conversation_id) as stream:
        await stream.until("text-delta")
        run_id = stream.response.headers["x-tailrace-run-id"]
        async with httpx.AsyncClient(base_url=http.base_url) as other_http:
            other = ChatClient(other_http)
            await other.register("eve@example.org")
            async with other.follow(conversation_id) as peek:
                assert peek.response.status_code == 404
            async with other.follow(conversation_id, run_id=run_id) as peek:
                assert peek.response.status_code == 404
            async with other.follow(uuid4(), run_id=run_id) as peek:
                assert peek.response.status_code == 404
            assert (await other.stop(conversation_id, run_id=run_id)).status_code == 404
            async with other.chat("Mine now", conversation_id=conversation_id) as intruder:
                assert intruder.response.status_code == 404
            read = await other_http.get(f"/api/conversations/{conversation_id}")
            assert read.status_code == 404
        await user.stop(conversation_id)
        await stream.rest()
    assert stream.types[-2:] == ["abort", "[DONE]"]


@pytest.mark.parametrize(
    ("guest_limit", "guest_address_limit"), [(2, 100), (100, 2)], ids=["cookie", "address"]
)
class TestGuestLimit:
    @pytest.fixture
    def settings(self, settings, guest_limit, guest_address_limit):
        return settings.model_copy(
            update={"guest_limit": guest_limit, "guest_address_limit": guest_address_limit}
        )

    async def test_holds(self, http: httpx.AsyncClient, guest_limit: int) -> None:
        statuses = []
        for _ in range(3):
            client = ChatClient(http)
            if guest_limit > 2:
                http.cookies.clear()  # A dropped cookie does not reset the count of the address.
            async with client.chat(guest=True) as stream:
                await stream.rest()
                statuses.append(stream.response.status_code)

        assert statuses == [200, 200, 429]
        assert int(stream.response.headers["retry-after"]) > 0
        assert stream.response.headers["content-type"] == "application/problem+json"
