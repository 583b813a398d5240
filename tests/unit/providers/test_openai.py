"""What the suite of all providers leaves open of OpenAI's Responses API."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from tailrace.providers.base import (
    Delta,
    FilePart,
    Finish,
    ModelRequest,
    PromptMessage,
    ProviderError,
    ReasoningPart,
    TextDelta,
    TextPart,
)
from tailrace.providers.openai import OpenAI
from tailrace.providers.openai_errors import error_in_stream
from tailrace.settings import ModelSettings, ProviderSettings
from tests.support.model_server import Exchange, ModelServer

DONE = (
    b'data: {"type":"response.created","response":{"id":"r","model":"m"}}\n\n'
    b'data: {"type":"response.output_text.delta","delta":"gr\xc3\xbc\xc3\x9f"}\r\n\r\n'
    b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r"}}\n\n'
)


@pytest.fixture
async def provider(model_server: ModelServer) -> AsyncIterator[OpenAI]:
    adapter = OpenAI(
        ProviderSettings(
            name="openai",
            kind="openai",
            base_url=model_server.base_url,
            api_key=SecretStr("sk-very-secret"),
            models=(ModelSettings(name="plain-1", capabilities=frozenset()),),
        )
    )
    yield adapter
    await adapter.close()


async def _answer(exchange: Exchange) -> None:
    await exchange.begin_stream()
    await exchange.send(DONE)


async def _collect(provider: OpenAI, request: ModelRequest) -> list[Delta]:
    return [delta async for deltas in provider.stream(request) for delta in deltas]


def _asking(model: str, *parts, effort=None) -> ModelRequest:
    message = PromptMessage("user", parts or (TextPart("Hi"),))
    return ModelRequest(model, [message], 50, reasoning_effort=effort)


@pytest.mark.parametrize(
    ("model", "effort", "reasoning", "include"),
    [
        ("gpt-5.1", None, None, True),
        ("gpt-5.1", "none", {"effort": "none"}, True),
        ("gpt-5.1", "high", {"effort": "high", "summary": "auto"}, True),
        ("gpt-5", "none", {"effort": "minimal"}, True),
        ("gpt-5-mini-2025-08-07", "none", {"effort": "minimal"}, True),
        ("gpt-5-codex", "none", {"effort": "low"}, True),
        ("o4-mini", "none", {"effort": "low"}, True),
        ("gpt-4o", "high", None, False),
        ("ft:gpt-4.1-mini:acme::1", "low", None, False),
        ("gpt-5-chat-latest", "low", None, False),
        ("plain-1", "low", None, False),
    ],
)
async def test_effort_is_told_as_the_model_takes_it(
    provider, model_server, model, effort, reasoning, include
) -> None:
    model_server.script = _answer

    await _collect(provider, _asking(model, effort=effort))

    body = model_server.exchanges[0].body
    assert body.get("reasoning") == reasoning
    assert ("include" in body) == include


async def test_files_have_the_forms_of_the_api(provider, model_server) -> None:
    model_server.script = _answer

    await _collect(
        provider,
        _asking(
            "gpt-5.1",
            FilePart("application/pdf", b"%PDF", "a.pdf"),
            FilePart("text/csv", b"a,b", "t.csv"),
            FilePart("image/webp", b"img"),
        ),
    )

    assert model_server.exchanges[0].body["input"][0]["content"] == [
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": "data:application/pdf;base64,JVBERg==",
        },
        {"type": "input_text", "text": "t.csv:\na,b"},
        {"type": "input_image", "image_url": "data:image/webp;base64,aW1n", "detail": "auto"},
    ]


async def test_a_file_of_another_type_is_refused_before_the_call(provider, model_server) -> None:
    with pytest.raises(ProviderError) as caught:
        await _collect(provider, _asking("gpt-5.1", FilePart("audio/wav", b"")))

    assert caught.value.type == "invalid_request"
    assert model_server.exchanges == []


async def test_an_earlier_turn_goes_back_as_it_came(provider, model_server) -> None:
    model_server.script = _answer
    answer = PromptMessage(
        "assistant",
        (
            ReasoningPart("", {"openai": {"itemId": "rs_1", "reasoningEncryptedContent": "gA"}}),
            ReasoningPart("another API's", {"anthropic": {"signature": "x"}}),
            ReasoningPart("nobody's"),
            TextPart("Let me see.", {"openai": {"itemId": "msg_1", "phase": "commentary"}}),
            TextPart("It is 4."),
        ),
    )

    await _collect(provider, ModelRequest("gpt-5.1", [answer], 50))

    assert model_server.exchanges[0].body["input"] == [
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "gA", "summary": []},
        {"role": "assistant", "content": "Let me see.", "phase": "commentary"},
        {"role": "assistant", "content": "It is 4."},
    ]


async def test_reasoning_that_led_nowhere_is_left_out(provider, model_server) -> None:
    model_server.script = _answer
    thought = {"openai": {"itemId": "rs_1", "reasoningEncryptedContent": "gA"}}
    stopped = PromptMessage("assistant", (TextPart("Let me see."), ReasoningPart("Hm", thought)))

    await _collect(
        provider, ModelRequest("gpt-5.1", [stopped, PromptMessage.of_text("user", "So?")], 50)
    )

    assert model_server.exchanges[0].body["input"] == [
        {"role": "assistant", "content": "Let me see."},
        {"role": "user", "content": [{"type": "input_text", "text": "So?"}]},
    ]


async def test_events_cut_anywhere_are_put_together(provider, model_server) -> None:
    for cut in range(len(DONE)):

        async def script(exchange: Exchange, cut: int = cut) -> None:
            await exchange.begin_stream()
            await exchange.send(DONE[:cut])
            await exchange.send(DONE[cut:])

        model_server.script = script

        deltas = await _collect(provider, _asking("gpt-5.1"))

        assert deltas[1:] == [TextDelta("grüß"), Finish("stop")]


async def test_events_that_mean_nothing_here_are_signs_of_life(provider, model_server) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        await exchange.send(b'data: {"type":"response.in_progress","response":{"id":"r"}}\n\n')
        await exchange.client_closed.wait()

    model_server.script = script
    stream = provider.stream(_asking("gpt-5.1"))

    assert await anext(stream) == []

    await stream.aclose()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": "rate_limit_exceeded", "message": "x"}, "rate_limited"),
        ({"code": "server_is_overloaded", "message": "x"}, "overloaded"),
        ({"code": "invalid_prompt", "message": "x"}, "invalid_request"),
        ({"code": "image_too_large", "message": "x"}, "invalid_request"),
        ({"code": None, "type": "invalid_request_error", "message": "x"}, "invalid_request"),
        ({"code": "invalid_api_key", "message": "x"}, "authentication"),
        ({"code": 429, "message": "x"}, "rate_limited"),
        ({"code": "503", "message": "x"}, "overloaded"),
        ({"code": 400, "message": "maximum context length is 8192"}, "context_length"),
        ({"type": "exceed_context_size_error", "message": "x"}, "context_length"),
        ({"code": "never_seen", "message": "x"}, "server_error"),
        ("out of memory", "server_error"),
        ({}, "server_error"),
    ],
)
def test_an_error_in_a_stream_has_a_class(error, expected) -> None:
    assert error_in_stream(error).type == expected
