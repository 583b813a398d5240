"""What the adapter of Anthropic's API sends and reads beyond what every kind is asked for."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from tailrace.providers.anthropic import Anthropic
from tailrace.providers.base import (
    Delta,
    FilePart,
    ModelRequest,
    PartMetadata,
    PromptMessage,
    ProviderError,
    ReasoningPart,
    ResponseStart,
    TextDelta,
    TextPart,
)
from tailrace.settings import ProviderSettings
from tests.support.model_server import Exchange, ModelServer, Script
from tests.support.transcripts import FOLDER, play

CACHED = {"cache_control": {"type": "ephemeral"}}


@pytest.fixture
async def provider(model_server: ModelServer) -> AsyncIterator[Anthropic]:
    adapter = _adapter(model_server.base_url, api_key=SecretStr("sk-very-secret"))
    yield adapter
    await adapter.close()


def _adapter(base_url: str, **others: Any) -> Anthropic:
    return Anthropic(ProviderSettings(name="claude", kind="anthropic", base_url=base_url, **others))


def _request(*messages: PromptMessage) -> ModelRequest:
    return ModelRequest("claude-opus-4-8", messages, max_output_tokens=50)


HI = _request(PromptMessage.of_text("user", "Hi"))


async def _collect(provider: Anthropic, request: ModelRequest = HI) -> list[Delta]:
    return [delta async for deltas in provider.stream(request) for delta in deltas]


def _sending(*data: bytes) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        for piece in data:
            await exchange.send(piece)
            await asyncio.sleep(0)

    return script


def _event(type: str, **fields: Any) -> bytes:
    data = json.dumps({"type": type, **fields}, ensure_ascii=False).encode()
    return b"event: %s\ndata: %s\n\n" % (type.encode(), data)


END = _event("message_delta", delta={"stop_reason": "end_turn"}) + _event("message_stop")


async def test_a_call_is_signed_and_versioned_by_the_sdk(provider, model_server) -> None:
    model_server.script = play("anthropic", "plain")

    await _collect(provider)

    (exchange,) = model_server.exchanges
    assert (exchange.method, exchange.path) == ("POST", "/v1/messages")
    assert "sk-very-secret" in exchange.headers["authorization"]
    assert exchange.headers["anthropic-version"]
    assert "thinking" not in exchange.body


async def test_documents_go_as_documents_and_text_as_text(provider, model_server) -> None:
    model_server.script = play("anthropic", "plain")
    files = (
        FilePart("application/pdf", b"%PDF-1.7", "report.pdf"),
        FilePart("text/markdown", "grüß dich".encode(), None),
    )

    await _collect(provider, _request(PromptMessage("user", files)))

    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjc="}
    text = {"type": "text", "media_type": "text/plain", "data": "grüß dich"}
    assert model_server.exchanges[0].body["messages"][0]["content"] == [
        {"type": "document", "source": source, "title": "report.pdf"},
        {"type": "document", "source": text, **CACHED},
    ]


async def test_a_file_that_no_model_reads_is_refused_before_a_call(provider, model_server) -> None:
    message = PromptMessage("user", (FilePart("video/mp4", b""),))

    with pytest.raises(ProviderError, match="video/mp4") as caught:
        await _collect(provider, _request(message))

    assert caught.value.type == "invalid_request"
    assert model_server.exchanges == []


async def test_what_the_api_refuses_of_earlier_turns_is_left_out(provider, model_server) -> None:
    model_server.script = play("anthropic", "plain")
    thought = ReasoningPart("hm", {"anthropic": {"signature": "s"}})
    redacted = ReasoningPart("", {"anthropic": {"redactedData": "r"}})

    await _collect(
        provider,
        _request(
            PromptMessage.of_text("user", "one"),
            PromptMessage("assistant", (thought, redacted, TextPart("two"))),
            PromptMessage.of_text("user", "three"),
            PromptMessage("assistant", (ReasoningPart("unsigned"), TextPart(" \n"))),
            PromptMessage("assistant", (TextPart("four"), thought, redacted)),
            PromptMessage.of_text("user", "five"),
        ),
    )

    assert [m["content"] for m in model_server.exchanges[0].body["messages"]] == [
        [{"type": "text", "text": "one"}],
        [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "r"},
            {"type": "text", "text": "two"},
        ],
        [{"type": "text", "text": "three"}],
        [{"type": "text", "text": "four"}],
        [{"type": "text", "text": "five", **CACHED}],
    ]


async def test_a_conversation_of_nothing_is_refused_before_a_call(provider, model_server) -> None:
    with pytest.raises(ProviderError) as caught:
        await _collect(provider, _request(PromptMessage.of_text("user", " ")))

    assert caught.value.type == "invalid_request"
    assert model_server.exchanges == []


async def test_without_a_key_nothing_is_sent(model_server, monkeypatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "of the environment")
    adapter = _adapter(model_server.base_url)

    for ask in (_collect(adapter), adapter.models(), adapter.count_tokens(HI)):
        with pytest.raises(ProviderError, match="api_key") as caught:
            await ask
        assert caught.value.type == "authentication"

    assert model_server.exchanges == []
    await adapter.close()


async def test_events_cut_anywhere_are_put_together(provider, model_server) -> None:
    text = {"type": "text_delta", "text": "grüß"}
    data = _event("message_start", message={"id": "m1", "model": "c"})
    data += _event("content_block_delta", index=0, delta=text) + END
    model_server.script = _sending(*(data[cut : cut + 1] for cut in range(len(data))))

    deltas = await _collect(provider)

    assert deltas[:2] == [ResponseStart("m1", "c"), TextDelta("grüß")]


async def test_a_signature_in_pieces_is_one_and_hidden_thinking_has_no_text(
    provider, model_server
) -> None:
    pieces = [{"type": "signature_delta", "signature": half} for half in ("c2ln", "bmF0")]
    model_server.script = _sending(
        _event("content_block_start", content_block={"type": "thinking", "thinking": ""}),
        *(_event("content_block_delta", delta=piece) for piece in pieces),
        _event("content_block_stop", index=0),
        END,
    )

    deltas = await _collect(provider)

    assert deltas[0] == PartMetadata("reasoning", {"anthropic": {"signature": "c2lnbmF0"}})


async def test_what_carries_nothing_is_a_sign_of_life(provider, model_server) -> None:
    waiting = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        await exchange.send(_event("ping"))
        await waiting.wait()
        await exchange.send(_event("an_event_of_next_year", delta={"type": "x"}) + END)

    model_server.script = script
    stream = provider.stream(HI)

    assert await anext(stream) == []
    waiting.set()
    assert [delta async for deltas in stream for delta in deltas] != []


@pytest.mark.parametrize(
    "data",
    [
        b'data: {"type": 7}\n\n',
        b'data: {"type": "message_delta", "usage": "much"}\n\n',
        b'data: {"type": "content_block_delta", "delta": {"text": "\xff"}}\n\n',
        b"data:\n\n",
        b"x" * ((1 << 22) + 10),
    ],
)
async def test_what_is_no_event_is_a_protocol_error(provider, model_server, data) -> None:
    model_server.script = _sending(data)

    with pytest.raises(ProviderError) as caught:
        await _collect(provider)

    assert caught.value.type == "protocol"


async def test_a_list_of_another_shape_is_a_protocol_error(provider, model_server) -> None:
    model_server.script = lambda exchange: exchange.respond(
        200, b'{"data": "none"}', content_type="application/json"
    )

    for ask in (provider.models(), provider.count_tokens(HI)):
        with pytest.raises(ProviderError) as caught:
            await ask
        assert caught.value.type == "protocol"


async def test_an_answer_that_does_not_come_is_a_timeout(model_server) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.client_closed.wait()

    model_server.script = script
    adapter = _adapter(model_server.base_url, api_key=SecretStr("k"), first_chunk_timeout=0.1)

    with pytest.raises(ProviderError) as caught:
        await adapter.models()

    assert caught.value.type == "timeout"
    await asyncio.wait_for(model_server.exchanges[0].client_closed.wait(), 60)
    await adapter.close()


async def test_a_connection_serves_one_call_after_another() -> None:
    data = (FOLDER / "anthropic" / "plain.sse").read_bytes().partition(b"\n\n")[2]
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while sent := await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b"":
            length = sent.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            await reader.readexactly(int(length))
            writer.write(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    adapter = _adapter(f"http://127.0.0.1:{port}", api_key=SecretStr("k"))
    try:
        for _ in range(3):
            await _collect(adapter)
        assert connections == 1
    finally:
        await adapter.close()
        server.close()
