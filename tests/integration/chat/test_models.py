"""Models as a chat meets them: fallbacks, files, reasoning that is taken back, a full context."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from tailrace.providers import registry
from tailrace.providers.anthropic import Anthropic
from tailrace.providers.base import Delta, ModelRequest, Usage
from tailrace.services import Services
from tailrace.settings import ModelSettings, ProviderSettings, Settings
from tailrace.telemetry.ingest import ingest
from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient
from tests.support.model_server import Exchange, ModelServer, answer

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.7\n%%EOF\n"
KEY = "sk-never-shown-0123456789"


@pytest.fixture
def settings(settings: Settings, model_server: ModelServer) -> Settings:
    """Add Claude at the test's server, one without a key, and fallbacks."""
    root = model_server.base_url.removesuffix("/v1")
    claude = ProviderSettings(
        name="anthropic",
        kind="anthropic",
        base_url=root,
        api_key=SecretStr(KEY),
        models=(
            ModelSettings(
                name="claude-opus-4-8",
                context_window=200_000,
                capabilities=frozenset({"vision", "documents", "reasoning"}),
            ),
            ModelSettings(
                name="claude-haiku-4-5", context_window=200_000, capabilities=frozenset()
            ),
        ),
    )
    keyless = ProviderSettings(
        name="keyless", kind="openai", models=(ModelSettings(name="gpt-5-mini"),)
    )
    discovered = ProviderSettings(
        name="discovered", kind="openai_compatible", base_url=model_server.base_url
    )
    return settings.model_copy(
        update={
            "providers": (*settings.providers, claude, keyless, discovered),
            "fallbacks": {
                "scripted/error": ("keyless/gpt-5-mini", "scripted/echo"),
                "scripted/too-long": ("scripted/small",),
            },
            "model_attempts": 2,
            "system_prompt": "Be brief.",
        }
    )


def _file(data: bytes, media_type: str, filename: str = "f") -> dict[str, Any]:
    url = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    return {"type": "file", "mediaType": media_type, "filename": filename, "url": url}


def _message(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"id": str(uuid4()), "role": "user", "parts": list(parts)}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _sse(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


async def _claude(exchange: Exchange) -> None:
    """Think, sign the thought, answer."""
    await exchange.begin_stream()
    usage = {"input_tokens": 20, "cache_read_input_tokens": 100, "output_tokens": 1}
    message = {"id": "msg_1", "model": "claude-opus-4-8", "usage": usage}

    def block(index: int, kind: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"type": "content_block_start", "index": index, "content_block": kind},
            *({"type": "content_block_delta", "index": index, "delta": d} for d in deltas),
            {"type": "content_block_stop", "index": index},
        ]

    await exchange.send(
        _sse(
            {"type": "message_start", "message": message},
            *block(
                0,
                {"type": "thinking", "thinking": ""},
                {"type": "thinking_delta", "thinking": "Hm."},
                {"type": "signature_delta", "signature": "c2lnbmVk"},
            ),
            *block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Yes."}),
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": 9},
            },
            {"type": "message_stop"},
        )
    )


async def test_a_fallback_answers_and_everybody_is_told(
    user: ChatClient, database: Database, services: Services
) -> None:
    conversation_id = uuid4()

    async with user.chat(
        "Hello there", conversation_id=conversation_id, model="scripted/error"
    ) as stream:
        first = await stream.until("message-metadata")
        assert stream.text == "", "told before the first word"
        frames = await stream.rest()

    assert stream.text == "Hello there"
    for told in (
        first.part,
        frames[-3].part if "message-metadata" in frames[-3].type else first.part,
    ):
        assert told["messageMetadata"]["model"] == "scripted/echo"
        assert told["messageMetadata"]["fallback_from"] == "scripted/error"
    kept = (await user.conversation(conversation_id))["messages"][-1]
    assert kept["metadata"]["model"] == "scripted/echo"
    assert kept["metadata"]["fallback_from"] == "scripted/error"

    await ingest(services)
    row = (await database.rows("SELECT * FROM inference_log WHERE kind = 'chat'"))[0]
    assert (row["provider_name"], row["request_model"]) == ("scripted", "echo")
    assert row["fallback_from"] == "scripted/error"
    assert row["status"] == "ok"
    assert row["attempts"] == 3
    assert [f["error_type"] for f in row["metadata"]["failed_attempts"]] == ["overloaded"] * 2
    call = (await user.http.get("/api/metrics/calls")).json()["items"]
    listed = next(item for item in call if item["kind"] == "chat")
    assert listed["attempts"] == 3
    assert [f["request_model"] for f in listed["failed_attempts"]] == ["error", "error"]


async def test_the_event_has_every_attempt_though_nobody_answered(
    user: ChatClient, database: Database, services: Services
) -> None:
    async with user.chat("word " * 300, model="scripted/too-long") as stream:
        await stream.rest()

    assert "error" in stream.types
    await ingest(services)
    row = (await database.rows("SELECT * FROM inference_log WHERE kind = 'chat'"))[0]
    assert (row["status"], row["fallback_from"], row["attempts"]) == ("error", None, 1)
    assert [
        (failed["request_model"], failed["error_type"])
        for failed in row["metadata"]["failed_attempts"]
    ] == [("too-long", "context_length"), ("small", "context_length")]


@pytest.mark.parametrize(
    "thought", [None, {"type": "redacted_thinking", "data": "aGlkZGVu"}], ids=["silent", "hidden"]
)
async def test_what_was_told_of_tokens_counts_though_nothing_was_said(
    user: ChatClient,
    model_server: ModelServer,
    database: Database,
    services: Services,
    thought: dict[str, Any] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = asyncio.Event()
    tell = Anthropic.stream

    async def stream(self: Anthropic, request: ModelRequest) -> AsyncGenerator[list[Delta]]:
        async with aclosing(tell(self, request)) as told:
            async for deltas in told:
                yield deltas
                # Whoever asks for more has taken what there was.
                if any(isinstance(delta, Usage) for delta in deltas):
                    taken.set()

    monkeypatch.setattr(Anthropic, "stream", stream)

    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        usage = {"input_tokens": 20, "cache_read_input_tokens": 100, "output_tokens": 3}
        message = {"id": "msg_1", "model": "claude-opus-4-8", "usage": usage}
        await exchange.send(_sse({"type": "message_start", "message": message}))
        if thought is not None:
            await exchange.send(_sse({"type": "content_block_start", "content_block": thought}))
        await exchange.client_closed.wait()

    model_server.script = script
    conversation_id = uuid4()
    asked = {"conversation_id": conversation_id, "model": "anthropic/claude-opus-4-8"}
    async with user.chat("Is it?", **asked) as stream:
        await asyncio.wait_for(taken.wait(), 60)
        await user.stop(conversation_id)
        await stream.rest()

    await ingest(services)
    row = (await database.rows("SELECT * FROM inference_log WHERE kind = 'chat'"))[0]
    assert row["status"] == "cancelled"
    assert (row["input_tokens"], row["cache_read_input_tokens"], row["output_tokens"]) == (
        120,
        100,
        3,
    )
    assert row["usage_estimated"] is True
    assert row["cost_usd"] is not None


async def test_a_thought_is_kept_with_its_signature_and_sent_back(
    user: ChatClient, model_server: ModelServer, database: Database, services: Services
) -> None:
    model_server.script = _claude
    conversation_id = uuid4()
    asked = {"model": "anthropic/claude-opus-4-8", "reasoning_effort": "high"}

    async with user.chat("Is it?", conversation_id=conversation_id, **asked) as stream:
        await stream.rest()
    async with user.chat("Sure?", conversation_id=conversation_id, **asked) as stream:
        await stream.rest()

    ended = next(f for f in stream.frames if f.type == "reasoning-end")
    assert ended.part["providerMetadata"] == {
        "anthropic": {"signature": "c2lnbmVk"},
        "tailrace": {"model": "anthropic/claude-opus-4-8"},
    }
    chats = [e.body for e in model_server.exchanges if "Sure?" in json.dumps(e.body)]
    thought, said = chats[-1]["messages"][1]["content"]
    assert thought == {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"}
    assert said["text"] == "Yes."
    assert "Be brief." in json.dumps(chats[-1]["system"])
    assert chats[-1]["output_config"] == {"effort": "high"}
    await ingest(services)
    row = (await database.rows("SELECT * FROM inference_log WHERE kind = 'chat'"))[0]
    # Cached tokens are a part of the input: 20 fresh and 100 read from the cache.
    assert (row["input_tokens"], row["cache_read_input_tokens"], row["output_tokens"]) == (
        120,
        100,
        9,
    )
    assert row["usage_estimated"] is False
    assert row["cost_usd"] is not None


async def test_a_thought_is_not_sent_to_another_model(
    user: ChatClient, model_server: ModelServer
) -> None:
    model_server.script = _claude
    conversation_id = uuid4()

    for model in ("anthropic/claude-opus-4-8", "anthropic/claude-haiku-4-5"):
        async with user.chat("Is it?", conversation_id=conversation_id, model=model) as stream:
            await stream.rest()

    assert stream.text == "Yes."
    sent = next(
        e.body["messages"] for e in model_server.exchanges if e.body["model"] == "claude-haiku-4-5"
    )
    assert [block["type"] for block in sent[1]["content"]] == ["text"]


async def test_a_picture_and_a_document_reach_the_model_and_stay_with_their_message(
    user: ChatClient, model_server: ModelServer
) -> None:
    model_server.script = _claude
    conversation_id = uuid4()
    message = _message(
        _file(PNG, "image/png", "dot.png"), _file(PDF, "application/pdf"), _text("What is it?")
    )
    body = {"id": str(conversation_id), "message": message, "model": "anthropic/claude-opus-4-8"}

    response = await user.http.post("/api/chat", json=body)
    model_server.script = answer("A dot.")
    async with user.chat("And now?", conversation_id=conversation_id, model="local/m") as stream:
        await stream.rest()

    assert response.status_code == 200
    sent = model_server.exchanges[0].body["messages"][0]["content"]
    assert [part["type"] for part in sent] == ["image", "document", "text"]
    assert base64.b64decode(sent[0]["source"]["data"]) == PNG
    kept = (await user.conversation(conversation_id))["messages"][0]["parts"]
    assert [{**part, "url": None} for part in kept[:2]] == [
        {**part, "url": None} for part in message["parts"][:2]
    ]
    assert kept[2] == message["parts"][2]
    assert (await user.http.get(kept[0]["url"])).content == PNG
    # This model reads neither: it is told that something was there.
    later = model_server.exchanges[-1].body["messages"][1]["content"]
    assert "dot.png: not shown" in json.dumps(later)
    told = next(f for f in stream.frames if f.type == "message-metadata")
    assert told.part["messageMetadata"]["omitted_files"] == 2
    answered = (await user.conversation(conversation_id))["messages"][-1]
    assert answered["metadata"]["omitted_files"] == 2


async def test_a_guests_picture_and_thoughts_come_from_the_browser(
    guest: ChatClient, model_server: ModelServer
) -> None:
    model_server.script = _claude
    thought = {
        "type": "reasoning",
        "text": "Hm.",
        "providerMetadata": {"anthropic": {"signature": "c2lnbmVk"}},
    }
    branch = [
        _message(_file(PNG, "image/png"), _text("What is it?")),
        {"id": "a", "role": "assistant", "parts": [thought, _text("A dot.")]},
        _message(_text("Sure?")),
    ]
    body = {"id": str(uuid4()), "messages": branch, "model": "anthropic/claude-opus-4-8"}

    assert (await guest.http.post("/api/chat", json=body)).status_code == 200

    first, second, _ = model_server.exchanges[0].body["messages"]
    assert first["content"][0]["type"] == "image"
    assert second["content"][0]["signature"] == "c2lnbmVk"


async def test_what_did_not_fit_is_told(
    user: ChatClient, database: Database, services: Services
) -> None:
    conversation_id = uuid4()
    long = "word " * 60
    for number in range(3):
        async with user.chat(
            f"{number} {long}", conversation_id=conversation_id, model="scripted/small"
        ) as stream:
            await stream.rest()

    kept = (await user.conversation(conversation_id))["messages"][-1]
    assert kept["status"] == "complete"
    assert kept["metadata"]["omitted_messages"] == 4
    await ingest(services)
    rows = await database.rows(
        "SELECT metadata FROM inference_log WHERE kind = 'chat' ORDER BY started_at"
    )
    assert [row["metadata"].get("omitted_messages", 0) for row in rows] == [0, 2, 4]


@pytest.mark.parametrize(
    ("parts", "field", "said"),
    [
        ([_text("x"), _file(PNG, "image/png")], "message.parts.1", "reads no images"),
        ([_file(PDF, "application/pdf")], "message.parts.0", "reads no PDF"),
        ([_file(b"MZ\x90\0", "image/png")], "message.parts.0.mediaType", "image/webp"),
        ([_file(b"\xff\xfe", "text/plain")], "message.parts.0.mediaType", "UTF-8"),
        ([_file(b"", "text/plain")], "message.parts.0.url", "empty"),
        (
            [{**_file(PNG, "image/png"), "url": "https://example.org/x.png"}],
            "message.parts.0.url",
            "data:",
        ),
        (
            [{**_file(PNG, "image/png"), "url": "data:image/png;base64,@@"}],
            "message.parts.0.url",
            "base64",
        ),
        ([_file(PNG + b"\0" * (3 << 20), "image/png")], "message.parts.0", "3,145,728"),
        ([_file(b"x", "text/plain")] * 5, "message.parts", "4 are allowed"),
        ([_text("word " * 300)], "message.parts", "256"),
    ],
)
async def test_a_message_that_the_model_cannot_read_is_refused_before_anything_happens(
    user: ChatClient, database: Database, parts: list[dict[str, Any]], field: str, said: str
) -> None:
    model = "scripted/small" if "256" in said else "scripted/text"
    body = {"id": str(uuid4()), "message": _message(*parts), "model": model}

    response = await user.http.post("/api/chat", json=body)

    assert response.status_code == 422
    problem = response.json()
    assert [error["field"] for error in problem["errors"]] == [field]
    assert said in json.dumps(problem)
    assert await database.value("SELECT count(*) FROM messages") == 0
    assert await database.value("SELECT count(*) FROM runs") == 0


@pytest.mark.parametrize("subtype", ["\0", 'x" onload="', "x" * 300])
async def test_text_of_a_type_that_is_none_is_plain_text(user: ChatClient, subtype: str) -> None:
    conversation_id = uuid4()
    message = _message(_file(b"Hello", f"text/{subtype}"))
    body = {"id": str(conversation_id), "message": message, "model": "scripted/text"}
    body["message"]["parts"][0]["mediaType"] = "text/plain"

    response = await user.http.post("/api/chat", json=body)

    assert response.status_code == 200
    (kept,) = (await user.conversation(conversation_id))["messages"][0]["parts"]
    assert kept["mediaType"] == "text/plain"
    assert (await user.http.get(kept["url"])).content == b"Hello"


async def test_a_picture_alone_gives_its_name_to_the_conversation(user: ChatClient) -> None:
    message = _message(_file(PNG, "image/png", "sunset.png"))
    body = {"id": str(uuid4()), "message": message, "model": "scripted/refusal"}

    response = await user.http.post("/api/chat", json=body)

    assert response.status_code == 200
    assert '"finishReason":"content-filter"' in response.text
    listed = (await user.http.get("/api/conversations")).json()["items"]
    assert listed[0]["title"]


async def test_the_catalogue_tells_what_models_can_do_and_what_they_cost(
    user: ChatClient,
) -> None:
    catalogue = (await user.http.get("/api/models")).json()

    items = {item["id"]: item for item in catalogue["items"]}
    claude = items["anthropic/claude-opus-4-8"]
    assert claude["context_window"] == 200_000
    assert claude["capabilities"] == ["documents", "reasoning", "vision"]
    assert claude["available"] is False, "the test's server lists no models"
    assert claude["input_price"] is not None
    assert items["scripted/echo"]["available"] is True
    assert items["scripted/echo"]["input_price"] is None
    assert items["keyless/gpt-5-mini"]["available"] is False
    assert items["keyless/gpt-5-mini"]["reason"] == "The server has no API key for keyless."
    assert KEY not in json.dumps(catalogue)


async def test_a_model_without_a_key_is_refused_with_the_reason(
    user: ChatClient, database: Database
) -> None:
    message = _message(_text("Hi"))
    body = {"id": str(uuid4()), "message": message, "model": "keyless/gpt-5-mini"}

    response = await user.http.post("/api/chat", json=body)

    assert response.status_code == 422
    assert "no API key" in response.text
    assert await database.value("SELECT count(*) FROM runs") == 0


async def test_a_new_model_is_found_without_a_restart(
    user: ChatClient, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_FRESH", 0.0)
    offered = ["old"]

    async def script(exchange: Exchange) -> None:
        if exchange.path.endswith("/models"):
            data = [{"id": name} for name in offered]
            await exchange.respond(200, json.dumps({"data": data}).encode())
        else:
            await answer("Hello")(exchange)

    model_server.script = script
    body = {"id": str(uuid4()), "message": _message(_text("Hi")), "model": "discovered/new"}
    assert (await user.http.post("/api/chat", json=body)).status_code == 422

    offered.append("new")

    assert (await user.http.post("/api/chat", json=body)).status_code == 200
    items = (await user.http.get("/api/models")).json()["items"]
    assert {"discovered/old", "discovered/new"} <= {item["id"] for item in items}
