"""The functions as they are packed, run as processes against real servers.

What differs from Lambda is said in `function`: platform, interpreter and folders.
"""

import asyncio
import base64
import json
import secrets
import time
from uuid import UUID

import httpx
import psycopg
import pytest
import redis.asyncio

from tests.acceptance.aws.conftest import recorded
from tests.acceptance.aws.runtime_api import FunctionError
from tests.support.chat_client import ChatClient, Stream
from tests.support.model_server import answer

QUEUE = "tailrace:inference-events"


@pytest.fixture
async def database(environment):
    """Returns the rows of a query on this test's database."""
    url = environment["TAILRACE_DATABASE_URL"]
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:

        async def rows(query, *params):
            return await (await connection.execute(query, params)).fetchall()

        yield rows


class Gate:
    """A model that says each piece of its first answer only when it is told to.

    Any later call (a title) is answered at once.
    """

    def __init__(self, model_server):
        self._pieces = asyncio.Queue()
        self.exchange = None
        model_server.script = self._answer

    def say(self, piece):
        self._pieces.put_nowait(piece)

    def end(self):
        self._pieces.put_nowait(None)

    async def _answer(self, exchange):
        if self.exchange is not None:
            return await answer("A title")(exchange)
        self.exchange = exchange
        await exchange.begin_stream()
        while (piece := await self._pieces.get()) is not None:
            await exchange.send_text(piece)
        await exchange.finish()


async def test_words_arrive_as_the_model_says_them(deploy, model_server):
    gate = Gate(model_server)
    async with deploy("ChatFunction") as chat, ChatClient(chat.http).chat(guest=True) as stream:
        assert stream.response.status_code == 200
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert stream.response.headers["x-vercel-ai-ui-message-stream"] == "v1"
        assert (await stream.next()).type == "start"
        for piece in ("Water ", "runs ", "down", "hill."):
            # The next piece is said only after this one has been read: nothing was held back.
            gate.say(piece)
            assert (await stream.until("text-delta")).part["delta"] == piece
        gate.end()
        frames = await stream.rest()
        assert frames[-2].part == {"type": "finish", "finishReason": "stop"}
        assert frames[-1].type == "[DONE]"
        assert [frame.id for frame in frames[:-1]] == list(range(1, len(frames)))


async def test_nothing_is_left_to_do_when_the_response_has_ended(deploy, database, settings):
    async with deploy("ApiFunction") as api, deploy("ChatFunction") as chat:
        await ChatClient(api.http).register()
        chat.http.cookies.update(api.http.cookies)
        async with ChatClient(chat.http).chat("one two three", model="scripted/echo") as stream:
            await stream.rest()
            # From here on Lambda would have frozen it.
            await chat.process.kill()
    assert await database("SELECT status, parts FROM messages ORDER BY sequence") == [
        ("complete", [{"type": "text", "text": "one two three"}]),
        ("complete", [{"type": "text", "text": "one two three"}]),
    ]
    assert await database("SELECT * FROM runs WHERE closed_at IS NULL") == []
    async with redis.asyncio.Redis.from_url(settings.redis_url.get_secret_value()) as valkey:
        kinds = [json.loads(e[1][b"payload"])["kind"] for e in await valkey.xrange(QUEUE)]
    assert sorted(kinds) == ["chat", "title"]


async def test_an_answer_that_outlasts_its_function_is_interrupted_and_can_go_on(
    deploy, database, model_server
):
    gate = Gate(model_server)
    async with deploy("ApiFunction") as api, deploy("ChatFunction") as chat:
        await ChatClient(api.http).register()
        cookie = f"tailrace_session={api.http.cookies['tailrace_session']}"
        conversation_id = "01935a3e-7c1f-7d44-8f0e-2f1a5b6c7d8e"
        # Its start is no part of the time that it is told it has.
        await chat.api.ready.wait()
        invocation = chat.api.invoke(chat_event(conversation_id, "Count", cookie), timeout=8.0)
        await invocation.prelude()
        gate.say("One, two, ")
        body = b"".join([chunk async for chunk in invocation.chunks()]).decode()
        # The answer was whole, and its process alive, before Lambda would have ended both.
        assert time.time() * 1000 < invocation.deadline_ms
        assert '{"type":"abort","reason":"interrupted"}' in body
        assert body.endswith("data: [DONE]\n\n")
        assert await database("SELECT status, parts FROM messages WHERE role = 'assistant'") == [
            ("interrupted", [{"type": "text", "text": "One, two, "}])
        ]
        assert await database("SELECT * FROM runs WHERE closed_at IS NULL") == []
        assert gate.exchange.client_closed.is_set()

        asked = []

        async def go_on(exchange):
            asked.append(exchange.body["messages"])
            await answer("three.")(exchange)

        model_server.script = go_on
        chat.http.cookies.update(api.http.cookies)
        client = ChatClient(chat.http)
        await client.say(UUID(conversation_id), "Go on")
    assert [(m["role"], m["content"]) for m in asked[0]] == [
        ("user", "Count"),
        ("assistant", "One, two, "),
        ("user", "Go on"),
    ]


async def test_a_stop_reaches_a_run_in_another_instance(deploy, model_server):
    gate = Gate(model_server)
    async with (
        deploy("ChatFunction") as one,
        deploy("ChatFunction") as other,
        ChatClient(one.http).chat(guest=True) as stream,
    ):
        gate.say("Half an ")
        await stream.until("text-delta")
        other.http.cookies.update(one.http.cookies)
        run_id = stream.response.headers["x-tailrace-run-id"]
        response = await ChatClient(other.http).stop(conversation_of(stream), run_id=run_id)
        assert response.status_code == 202
        assert (await stream.until("abort")).part["reason"] == "cancelled"
        await asyncio.wait_for(gate.exchange.client_closed.wait(), 120)
        await stream.rest()


async def test_a_reader_resumes_through_another_instance(deploy, model_server):
    gate = Gate(model_server)
    async with (
        deploy("ApiFunction") as api,
        deploy("ChatFunction") as one,
        deploy("ChatFunction") as other,
    ):
        await ChatClient(api.http).register()
        one.http.cookies.update(api.http.cookies)
        other.http.cookies.update(api.http.cookies)
        async with ChatClient(one.http).chat() as first:
            gate.say("Half ")
            seen = await first.until("text-delta")
            async with ChatClient(other.http).follow(
                conversation_of(first), last_event_id=seen.id - 1
            ) as second:
                assert (await second.next()).part == seen.part
                gate.say("an answer")
                assert (await second.until("text-delta")).part["delta"] == "an answer"
                gate.end()
                assert (await second.rest())[-1].type == "[DONE]"
            await first.rest()


async def test_cookies_leave_as_cookies(deploy):
    overrides = {"TAILRACE_SECURE_COOKIES": "true"}
    async with deploy("ChatFunction", **overrides) as chat:
        event = recorded("function_url_post")
        event["cookies"] = []
        invocation = chat.api.invoke(event)
        prelude = await invocation.prelude()
        assert "set-cookie" not in prelude["headers"]
        [cookie] = prelude["cookies"]
        assert cookie.startswith("tailrace_guest=")
        assert {"HttpOnly", "Secure", "SameSite=lax"} <= set(cookie.split("; "))
        body = b"".join([chunk async for chunk in invocation.chunks()])
        assert "Zürich" in body.decode()
        event["cookies"] = [cookie.partition(";")[0]]
        assert (await chat.api.invoke(event).prelude())["cookies"] == []


async def test_api_gateway_reaches_chat_and_api_as_function_urls_do(deploy, model_server):
    gate = Gate(model_server)
    secure = {"TAILRACE_SECURE_COOKIES": "true"}
    async with deploy("ApiFunction", **secure) as api, deploy("ChatFunction", **secure) as chat:
        told = await api.api.invoke(recorded("api_rest_api_post")).result()
        assert told["statusCode"] == 201
        # A REST API takes no list of cookies.
        assert "cookies" not in told
        cookie = told["headers"]["set-cookie"]
        assert {"HttpOnly", "Secure"} <= set(cookie.split("; "))

        signed_in = f"theme=dark; {cookie.partition(';')[0]}"
        event = of_api_gateway("rest_api_post_base64", signed_in)
        body = json.loads(base64.b64decode(event["body"]))
        asked = {"id": body["id"], "message": body["messages"][-1]}
        event["body"] = base64.b64encode(json.dumps(asked).encode()).decode()
        invocation = chat.api.invoke(event)
        prelude = await invocation.prelude()
        assert prelude["statusCode"] == 200
        assert prelude["headers"]["content-type"].startswith("text/event-stream")
        assert prelude["cookies"] == []
        arrived = ""
        chunks = invocation.chunks()
        for piece in ("Water ", "runs ", "downhill."):
            # The next piece is said only after this one has been read: nothing was held back.
            gate.say(piece)
            while f'"delta":"{piece}"' not in arrived:
                arrived += (await anext(chunks)).decode()
        gate.end()
        arrived += b"".join([chunk async for chunk in chunks]).decode()
        assert arrived.endswith("data: [DONE]\n\n")

        listed = of_api_gateway("api_rest_api_get", signed_in)
        path = f"/api/conversations/{body['id']}"
        query = {"q": ["Zürich"], "limit": ["5"]}
        answers = [
            await api.api.invoke({**listed, "path": path}).result(),
            await api.api.invoke(
                {**listed, "path": "/api/search", "multiValueQueryStringParameters": query}
            ).result(),
        ]
    assert [answer["statusCode"] for answer in answers] == [200, 200], answers
    conversation, found = [json.loads(answer["body"]) for answer in answers]
    assert [message["role"] for message in conversation["messages"]] == ["user", "assistant"]
    assert "Zürich" in conversation["messages"][0]["parts"][0]["text"]
    assert [each["conversation_id"] for each in found["items"]] == [body["id"]]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "field"),
    [
        ("POST", "/api/chat", b"{", {}, 400, None),
        ("POST", "/api/chat", b"{}", {"content-type": "text/plain"}, 415, None),
        ("POST", "/api/chat", b'{"id": "x"}', {}, 422, "id"),
        ("GET", "/api/chat/nonsense/stream", None, {}, 404, None),
        ("GET", "/api/nothing", None, {}, 404, None),
        ("PUT", "/api/chat", b"{}", {}, 405, None),
    ],
)
async def test_errors_keep_their_status(deploy, method, path, body, headers, status, field):
    async with deploy("ChatFunction") as chat:
        headers = {"content-type": "application/json", **headers}
        response = await chat.http.request(method, path, content=body, headers=headers)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    if field:
        assert response.json()["errors"][0]["field"] == field


async def test_a_model_that_breaks_off_is_no_failure_of_the_function(deploy, settings):
    async with deploy("ChatFunction") as chat:
        async with ChatClient(chat.http).chat(guest=True, model="scripted/broken") as stream:
            frames = await stream.rest()
        assert frames[-2].part["errorType"] == "incomplete"
        assert stream.text == "This answer ends before"
        # The stream ended well, so the process is good for more.
        async with ChatClient(chat.http).chat(guest=True, model="scripted/echo") as stream:
            await stream.rest()
        assert stream.text == "Hi"


async def test_a_function_killed_in_mid_answer_breaks_the_stream(deploy, model_server):
    gate = Gate(model_server)
    async with deploy("ChatFunction") as chat, ChatClient(chat.http).chat(guest=True) as stream:
        gate.say("Half an ")
        await stream.until("text-delta")
        await chat.process.kill()
        with pytest.raises(httpx.RemoteProtocolError):
            await stream.rest()


async def test_the_function_starts_while_the_database_is_down(deploy):
    overrides = {
        "TAILRACE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "TAILRACE_DATABASE_TIMEOUT": "0.5",
    }
    async with deploy("ChatFunction", **overrides) as chat:
        path = "/api/chat/01935a3e-7c1f-7d44-8f0e-2f1a5b6c7d8e/stream"
        response = await chat.http.get(path)
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["ChatFunction", "ApiFunction", "IngestFunction"])
async def test_a_bad_setting_stops_the_start_with_one_line(deploy, name):
    async with deploy(name, TAILRACE_SECRET_KEY="too short a key") as function:
        report = await asyncio.wait_for(function.api.init_error, 120)
        assert await function.process.exit_code() == 1
    assert report["errorType"] == "SettingsError"
    assert report["errorMessage"].startswith("TAILRACE_SECRET_KEY: ")
    assert "\n" not in report["errorMessage"]
    assert "too short a key" not in function.process.log.read_text() + json.dumps(report)


async def test_under_the_stock_runtime_the_chat_is_whole_but_late(deploy):
    async with deploy("ChatFunction", on_stock_runtime=True) as chat:
        for _ in range(2):
            async with ChatClient(chat.http).chat(
                "one two three", guest=True, model="scripted/echo"
            ) as stream:
                assert stream.response.status_code == 200
                assert "content-length" in stream.response.headers
                await stream.rest()
            assert stream.text == "one two three"


async def test_the_api_function_answers_buffered(deploy):
    async with deploy("ApiFunction") as api:
        assert (await api.http.get("/healthz")).json() == {"status": "ok"}
        assert (await api.http.get("/readyz")).status_code == 200
        client = ChatClient(api.http)
        registered = await client.register()
        assert (await api.http.get("/api/auth/me")).json()["id"] == registered["id"]
        missing = await api.http.get("/api/conversations/01935a3e-7c1f-7d44-8f0e-2f1a5b6c7d8e")
        assert missing.status_code == 404
        assert missing.headers["content-type"] == "application/problem+json"
        assert (await api.http.post("/api/auth/logout")).status_code == 204


async def test_a_request_of_the_api_is_a_line_of_metrics(deploy):
    variables = {
        "TAILRACE_CLOUDWATCH_NAMESPACE": "Tailrace",
        "TAILRACE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "TAILRACE_DATABASE_TIMEOUT": "0.5",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_LEVEL": "INFO",
    }
    token = secrets.token_urlsafe(32)
    async with deploy("ApiFunction", **variables) as api:
        for path in ("/healthz", "/api/nothing", f"/api/shared/{token}"):
            await api.http.get(path)
        # Metrics are written before the answer is given.
        logged = api.process.logged()
    metrics = [line for line in logged if "_aws" in line]
    started = [line for line in metrics if "ColdStart" in line]
    assert [(line["service"], line["function_name"]) for line in started] == [("api", "tailrace")]
    requests = [line for line in metrics if "Requests" in line]
    assert [
        (line["service"], line["route"], line["status"], line["Errors"], line["Refused"])
        for line in requests
    ] == [
        ("api", "/healthz", 200, [0.0], [0.0]),
        ("api", None, 404, [0.0], [1.0]),
        ("api", "/api/shared/{token}", 503, [1.0], [0.0]),
    ]
    assert all(0 < line["Duration"][0] < 30 for line in requests)
    for line in requests:
        [directive] = line["_aws"]["CloudWatchMetrics"]
        assert directive["Dimensions"] == [["service"]]
    assert token not in json.dumps(logged)


async def test_ingest_lands_what_the_chat_published(deploy, database):
    async with deploy("ChatFunction") as chat:
        for model in ("scripted/echo", "scripted/error"):
            async with ChatClient(chat.http).chat(guest=True, model=model) as stream:
                await stream.rest()
    async with deploy("IngestFunction") as ingest:
        report = await ingest.api.invoke(recorded("scheduler")).result()
        assert (report["received"], report["inserted"]) == (2, 2)
        again = await ingest.api.invoke(recorded("scheduler")).result()
        assert (again["received"], again["inserted"]) == (0, 0)
    assert await database(
        "SELECT request_model, status FROM inference_log ORDER BY started_at"
    ) == [("echo", "ok"), ("error", "error")]


@pytest.mark.parametrize("name", ["IngestFunction", "MaintainFunction"])
async def test_a_database_that_sleeps_is_left_alone_while_nobody_calls(deploy, name):
    sleeps = {"TAILRACE_DATABASE_SLEEPS": "true"}
    out_of_reach = {
        "TAILRACE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "TAILRACE_DATABASE_TIMEOUT": "0.5",
    }
    async with deploy(name, **sleeps) as function:
        assert "resting" not in await function.api.invoke(recorded("scheduler")).result()
        assert await function.api.invoke(recorded("scheduler")).result() == {"resting": True}
    async with deploy(name, **sleeps, **out_of_reach) as function:
        assert await function.api.invoke(recorded("scheduler")).result() == {"resting": True}
        async with deploy("ApiFunction", **sleeps) as api:
            assert (await api.http.get("/healthz")).status_code == 200
            assert await function.api.invoke(recorded("scheduler")).result() == {"resting": True}
            await ChatClient(api.http).register()
        # Somebody came: there is work, for which it needs what it cannot reach.
        with pytest.raises(FunctionError):
            await function.api.invoke(recorded("scheduler")).result()


async def test_ingest_begins_nothing_when_its_time_is_up(deploy, database):
    async with (
        deploy("ChatFunction") as chat,
        ChatClient(chat.http).chat(guest=True, model="scripted/echo") as stream,
    ):
        await stream.rest()
    async with deploy("IngestFunction") as ingest:
        assert (await ingest.api.invoke({}, timeout=5.0).result())["received"] == 0
        assert (await ingest.api.invoke({}, timeout=60.0).result())["received"] == 1
    assert await database("SELECT count(*) FROM inference_log") == [(1,)]


async def test_ingest_fails_loudly_without_a_database(deploy):
    overrides = {
        "TAILRACE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "TAILRACE_DATABASE_TIMEOUT": "0.5",
    }
    async with deploy("IngestFunction", **overrides) as ingest:
        with pytest.raises(FunctionError):
            await ingest.api.invoke(recorded("scheduler")).result()


async def test_ingest_lands_what_sqs_hands_to_it(deploy, database):
    variables = {"TAILRACE_CLOUDWATCH_NAMESPACE": "Tailrace", "AWS_LAMBDA_LOG_FORMAT": "JSON"}
    async with deploy("IngestFunction", **variables) as ingest:
        answers = [await ingest.api.invoke(recorded("sqs")).result() for _ in range(2)]
        logged = ingest.process.logged()
    assert answers == [{"batchItemFailures": []}] * 2
    assert await database("SELECT kind FROM inference_log ORDER BY id") == [
        ("chat",),
        ("chat",),
        ("title",),
    ]
    assert await database("SELECT source_id, attempts FROM inference_dead_letters") == [
        ("059f36b4-87a3-44ab-83d2-66197595c004", 2)
    ]
    metrics = [line for line in logged if "_aws" in line]
    assert [line.get("Inserted") for line in metrics] == [[3.0], None]
    assert metrics[1]["DeadLetters"] == [1.0]


async def test_ingest_tells_sqs_what_did_not_land(deploy, database):
    async with deploy("IngestFunction") as ingest:
        answer = await ingest.api.invoke(recorded("sqs"), timeout=5.0).result()
    assert len(answer["batchItemFailures"]) == 4
    assert answer["batchItemFailures"][0] == {
        "itemIdentifier": "059f36b4-87a3-44ab-83d2-66197595c001"
    }
    assert await database("SELECT count(*) FROM inference_log") == [(0,)]


async def test_a_call_is_a_line_of_metrics(deploy):
    async with (
        deploy("ChatFunction", TAILRACE_CLOUDWATCH_NAMESPACE="Tailrace") as chat,
        ChatClient(chat.http).chat(guest=True, model="scripted/echo") as stream,
    ):
        await stream.rest()
        metrics = [line for line in chat.process.logged() if "_aws" in line]
    assert [(line["service"], line["Calls"], line["kind"]) for line in metrics] == [
        ("chat", 1, "guest")
    ]


async def test_maintain_closes_the_run_of_a_killed_function(deploy, database, model_server):
    gate = Gate(model_server)
    dead_soon = {"TAILRACE_RUN_DEAD_AFTER": "1"}
    async with (
        deploy("ApiFunction") as api,
        deploy("ChatFunction", **dead_soon) as chat,
        deploy("ChatFunction", **dead_soon) as other,
    ):
        await ChatClient(api.http).register()
        chat.http.cookies.update(api.http.cookies)
        other.http.cookies.update(api.http.cookies)
        async with ChatClient(chat.http).chat() as stream:
            gate.say("Half an answer")
            await stream.until("text-delta")
            # What a second reader can see is in the journal, and outlives the process.
            async with ChatClient(other.http).follow(conversation_of(stream)) as follower:
                await follower.until("text-delta")
            await chat.process.kill()
    async with deploy("MaintainFunction", **dead_soon) as maintain, asyncio.timeout(240):
        while await database("SELECT FROM runs WHERE closed_at IS NULL AND kind = 'chat'"):
            await maintain.api.invoke(recorded("scheduler")).result()
    assert await database("SELECT status, parts FROM messages WHERE role = 'assistant'") == [
        ("interrupted", [{"type": "text", "text": "Half an answer"}])
    ]


def chat_event(conversation_id: str, text: str, cookie: str) -> dict:
    """Return the event of a signed-in user's message."""
    message = {"id": "m1", "role": "user", "parts": [{"type": "text", "text": text}]}
    body = {"id": conversation_id, "message": message}
    return {**recorded("function_url_post"), "cookies": [cookie], "body": json.dumps(body)}


def of_api_gateway(name: str, cookies: str) -> dict:
    """Return an event of a REST API with these cookies."""
    event = recorded(name)
    event["headers"]["Cookie"] = cookies
    event["multiValueHeaders"]["Cookie"] = [cookies]
    return event


def conversation_of(stream: Stream) -> str:
    return json.loads(stream.response.request.content)["id"]
