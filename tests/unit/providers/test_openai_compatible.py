"""The adapter of chat completions against a real server that sends exact bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from tailrace.providers.base import (
    Delta,
    Finish,
    ModelRequest,
    PromptMessage,
    ProviderError,
    ReasoningDelta,
    ResponseStart,
    TextDelta,
    Usage,
)
from tailrace.providers.openai_compatible import OpenAICompatible
from tailrace.settings import ProviderSettings
from tests.support.model_server import Exchange, ModelServer, Script

REQUEST = ModelRequest("m", [PromptMessage.of_text("user", "Hi")], max_output_tokens=50)


@pytest.fixture
async def provider(model_server: ModelServer) -> AsyncIterator[OpenAICompatible]:
    adapter = _adapter(model_server)
    yield adapter
    await adapter.close()


def _adapter(server: ModelServer, **timeouts: float) -> OpenAICompatible:
    return OpenAICompatible(
        ProviderSettings(
            name="local",
            kind="openai_compatible",
            base_url=server.base_url,
            api_key=SecretStr("sk-very-secret"),
            **timeouts,  # pyright: ignore[reportArgumentType]
        )
    )


async def _collect(provider: OpenAICompatible) -> list[Delta]:
    return [delta async for deltas in provider.stream(REQUEST) for delta in deltas]


def _sending(*data: bytes) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        for piece in data:
            await exchange.send(piece)

    return script


async def test_a_plain_answer_becomes_typed_deltas(provider, model_server) -> None:
    deltas = await _collect(provider)

    assert deltas == [
        ResponseStart("c1", "m"),
        TextDelta("Hello"),
        TextDelta(" there"),
        Finish("stop"),
        Usage(input_tokens=3, output_tokens=2),
    ]
    sent = model_server.exchanges[0]
    assert (sent.method, sent.path) == ("POST", "/v1/chat/completions")
    assert sent.headers["authorization"] == "Bearer sk-very-secret"
    assert sent.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 50,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_reasoning_is_kept_apart_from_text(provider, model_server, name) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        await exchange.send_chunk({"choices": [{"delta": {name: "hm"}}]})
        await exchange.send_text("yes")
        await exchange.finish()

    model_server.script = script

    deltas = await _collect(provider)

    assert [d for d in deltas if isinstance(d, ReasoningDelta | TextDelta)] == [
        ReasoningDelta("hm"),
        TextDelta("yes"),
    ]


async def test_the_end_of_reasoning_and_the_start_of_an_answer_may_come_as_one(
    provider, model_server
) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        await exchange.send_chunk({"choices": [{"delta": {"reasoning": "I kn"}}]})
        await exchange.send_chunk({"choices": [{"delta": {"reasoning": "ow.", "content": "Y"}}]})
        await exchange.send_text("es")
        await exchange.finish()

    model_server.script = script

    deltas = await _collect(provider)

    assert [d for d in deltas if isinstance(d, ReasoningDelta | TextDelta)] == [
        ReasoningDelta("I kn"),
        ReasoningDelta("ow."),
        TextDelta("Y"),
        TextDelta("es"),
    ]


async def test_cached_and_reasoning_tokens_are_part_of_the_totals(provider, model_server) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        await exchange.send_text("x")
        usage = {
            "prompt_tokens": 100,
            "completion_tokens": 40,
            "prompt_tokens_details": {"cached_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 30},
        }
        finish = {"choices": [{"delta": {}, "finish_reason": "length"}], "usage": usage}
        await exchange.send_chunk(finish)

    model_server.script = script

    deltas = await _collect(provider)

    assert deltas[-2:] == [
        Finish("length"),
        Usage(100, 40, cache_read_input_tokens=64, reasoning_output_tokens=30),
    ]


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (b'data: {"choices":[{"delta":null,"finish_reason":"length"}]}\n\n', "length"),
        (b"data: [DONE]\n\n", "stop"),
        (b'data: {"choices":[{"delta":{},"finish_reason":"function_call"}]}\n\n', "tool_calls"),
        (b'data: {"choices":[{"delta":{},"finish_reason":"eos"}]}\n\n', "eos"),
    ],
)
async def test_an_answer_ends_for_a_reason(provider, model_server, tail, expected) -> None:
    model_server.script = _sending(b'data: {"choices":[{"delta":{"content":"<"}}]}\n\n', tail)

    assert (await _collect(provider))[1:] == [TextDelta("<"), Finish(expected)]


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"slow down","code":429}}',
        b'{\n  "error": {\n    "message": "slow down",\n    "code": 429\n  }\n}\n',
    ],
)
async def test_an_error_as_plain_json_is_read(provider, model_server, body) -> None:
    text = b'data: {"choices":[{"delta":{"content":"one"}}]}\n\n'
    model_server.script = _sending(text + body[:20], body[20:])

    with pytest.raises(ProviderError) as caught:
        await _collect(provider)

    assert caught.value.type == "rate_limited"


async def test_a_refusal_is_no_sign_of_life(provider, model_server) -> None:
    model_server.script = lambda exchange: exchange.respond(429, b"{}")

    with pytest.raises(ProviderError):
        await anext(provider.stream(REQUEST))


async def test_an_answer_that_is_no_stream_is_a_protocol_error(provider, model_server) -> None:
    model_server.script = _sending(b'{"choices":[{"message":{"content":"whole"}}]}')

    with pytest.raises(ProviderError) as caught:
        await _collect(provider)

    assert caught.value.type == "protocol"


async def test_chunks_cut_anywhere_are_put_together(provider, model_server) -> None:
    chunk = 'data: {"choices":[{"delta":{"content":"grüß"},"finish_reason":"stop"}]}\r\n\r\n'
    data = chunk.encode()
    gate = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        for cut in range(len(data)):
            await exchange.send(data[cut : cut + 1])
            await asyncio.sleep(0)
        await exchange.send(b": a comment\n\ndata:[DONE]\n\n")
        gate.set()

    model_server.script = script

    assert TextDelta("grüß") in await _collect(provider)
    assert gate.is_set()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, b'{"error":{"message":"bad key"}}', "authentication"),
        (403, b"{}", "permission"),
        (404, b'{"error":"model not found"}', "not_found"),
        (400, b'{"error":{"message":"maximum context length is 8192 tokens"}}', "context_length"),
        (400, b'{"error":{"message":"bad temperature"}}', "invalid_request"),
        (429, b"{}", "rate_limited"),
        (500, b"<html>oops</html>", "server_error"),
        (503, b"", "overloaded"),
        (302, b"", "protocol"),
    ],
)
async def test_refusals_are_classified(provider, model_server, status, body, expected) -> None:
    model_server.script = lambda exchange: exchange.respond(
        status, body, retry_after="7", location=model_server.base_url
    )

    with pytest.raises(ProviderError) as caught:
        await _collect(provider)

    assert caught.value.type == expected
    assert caught.value.retry_after == 7
    assert len(model_server.exchanges) == 1, "a redirect must not be followed with the key"
    assert "sk-very-secret" not in f"{caught.value!r} {provider!r} {vars(provider)!r}"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"data: {not json}\n\n", "protocol"),
        (b'data: {"choices": "wrong"}\n\n', "protocol"),
        (b"<html>\n", "protocol"),
        (b"x" * ((1 << 22) + 10), "protocol"),
        (b"", "incomplete"),
        (b'data: {"choices":[{"delta":{"content":"half"}}]}\n\n', "incomplete"),
        (b'data: {"error":{"message":"out of memory"}}\n\n', "server_error"),
    ],
)
async def test_what_is_no_answer_is_an_error(provider, model_server, data, expected) -> None:
    model_server.script = _sending(data)

    with pytest.raises(ProviderError) as caught:
        await _collect(provider)

    assert caught.value.type == expected


async def test_a_connection_cut_in_mid_answer_is_incomplete(provider, model_server) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:")
        exchange.reset()

    model_server.script = script

    with pytest.raises(ProviderError) as caught:
        await _collect(provider)

    assert caught.value.type == "incomplete"


async def test_a_server_that_is_not_there_is_a_connection_error(model_server) -> None:
    adapter = _adapter(model_server)
    await model_server.stop()

    with pytest.raises(ProviderError) as caught:
        await _collect(adapter)

    assert caught.value.type == "connection"
    await adapter.close()


@pytest.mark.parametrize("begin", [False, True])
async def test_a_cancelled_wait_closes_the_connection(provider, model_server, begin) -> None:
    asked = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        if begin:
            await exchange.begin_stream()
            await exchange.send_text("one")
        asked.set()
        await exchange.client_closed.wait()

    model_server.script = script
    task = asyncio.create_task(_collect(provider))
    await asked.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(model_server.exchanges[0].client_closed.wait(), 60)


async def test_connecting_is_bounded() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        # Connections nobody accepts fill the queue: the next one hangs.
        waiting = [socket.socket() for _ in range(4)]
        for other in waiting:
            other.setblocking(False)
            other.connect_ex(address)
        adapter = OpenAICompatible(
            ProviderSettings(
                name="local",
                kind="openai_compatible",
                base_url=f"http://127.0.0.1:{address[1]}/v1",
                connect_timeout=0.1,
            )
        )

        with pytest.raises(ProviderError) as caught:
            await _collect(adapter)

        for other in waiting:
            other.close()
    assert caught.value.type == "timeout"
    await adapter.close()


async def test_signs_of_life_are_told(provider, model_server) -> None:
    model_server.script = _sending(b": keep-alive\n\n")
    stream = provider.stream(REQUEST)

    assert await anext(stream) == []

    await stream.aclose()


async def test_closing_the_stream_closes_the_connection(provider, model_server) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        await exchange.send_text("one")
        await exchange.client_closed.wait()

    model_server.script = script
    stream = provider.stream(REQUEST)
    await anext(stream)

    await stream.aclose()

    await asyncio.wait_for(model_server.exchanges[0].client_closed.wait(), 60)


async def test_models_are_asked_of_the_server(provider, model_server) -> None:
    model_server.script = lambda exchange: exchange.respond(
        200, b'{"data":[{"id":"a"},{"id":"b"}]}'
    )

    assert [model.name for model in await provider.models()] == ["a", "b"]
    assert model_server.exchanges[0].path == "/v1/models"


async def test_a_kept_connection_that_its_server_closed_costs_nobody_an_answer(
    provider: OpenAICompatible, model_server: ModelServer
) -> None:
    """As llama.cpp does: it says that it keeps a connection, and closes it after a stream."""
    body = b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'

    async def keeps_it_not(exchange: Exchange) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: keep-alive\r\n"
        data = body + b"data: [DONE]\n\n"
        await exchange.send(head + b"content-length: %d\r\n\r\n" % len(data) + data)

    model_server.script = keeps_it_not

    for _ in range(20):
        deltas = [delta async for read in provider.stream(REQUEST) for delta in read]
        assert TextDelta("Hi") in deltas
