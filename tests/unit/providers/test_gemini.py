"""What the suite of all providers leaves open of Gemini: thinking, files, Vertex."""

from collections.abc import AsyncIterator

import google.auth
import google.auth.credentials
import google.auth.exceptions
import pytest
from pydantic import SecretStr

from tailrace.providers.base import (
    Delta,
    FilePart,
    Finish,
    ModelRequest,
    PartMetadata,
    PromptMessage,
    ProviderError,
    ReasoningDelta,
    ReasoningPart,
    TextDelta,
    TextPart,
)
from tailrace.providers.gemini import Gemini
from tailrace.settings import ProviderSettings
from tests.support.model_server import Exchange, ModelServer

DONE = (
    b'data: {"candidates":[{"content":{"parts":[{"text":"hm","thought":true,'
    b'"thoughtSignature":"c2ln"}]}}]}\r\n\r\n'
    b'data: {"candidates":[{"content":{"parts":[{"text":"gr\xc3\xbc\xc3\x9f"}]},'
    b'"finishReason":"STOP"}]}\r\n\r\n'
)


class Token(google.auth.credentials.Credentials):
    """Credentials of an application that need no network."""

    def refresh(self, request) -> None:
        self.token = "ya29.token"


def _settings(server: ModelServer, **others) -> ProviderSettings:
    base_url = server.base_url.removesuffix("/v1") + "/v1beta"
    return ProviderSettings(name="google", kind="gemini", base_url=base_url, **others)


@pytest.fixture
async def provider(model_server: ModelServer) -> AsyncIterator[Gemini]:
    adapter = Gemini(_settings(model_server, api_key=SecretStr("AIza-very-secret")))
    yield adapter
    await adapter.close()


@pytest.fixture
async def vertex(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Gemini]:
    monkeypatch.setattr(google.auth, "default", lambda **_: (Token(), "of-the-machine"))
    adapter = Gemini(_settings(model_server, project="acme", location="europe-west4"))
    yield adapter
    await adapter.close()


async def _answer(exchange: Exchange) -> None:
    await exchange.begin_stream()
    await exchange.send(DONE)


async def _collect(provider: Gemini, request: ModelRequest) -> list[Delta]:
    return [delta async for deltas in provider.stream(request) for delta in deltas]


def _asking(model: str = "gemini-3.5-flash", *parts, effort=None, limit=4096) -> ModelRequest:
    message = PromptMessage("user", parts or (TextPart("Hi"),))
    return ModelRequest(model, [message], limit, reasoning_effort=effort)


@pytest.mark.parametrize(
    ("model", "effort", "limit", "expected"),
    [
        ("gemini-3.5-flash", None, 4096, None),
        (
            "gemini-3.5-flash",
            "medium",
            4096,
            {"thinkingLevel": "MEDIUM", "includeThoughts": True},
        ),
        (
            "gemini-3.5-flash",
            "none",
            4096,
            {"thinkingLevel": "MINIMAL", "includeThoughts": False},
        ),
        (
            "gemini-3.1-pro-preview",
            "none",
            4096,
            {"thinkingLevel": "LOW", "includeThoughts": False},
        ),
        ("gemini-2.5-flash", "none", 4096, {"thinkingBudget": 0, "includeThoughts": False}),
        ("gemini-2.5-flash", "low", 4096, {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-flash", "high", 4096, {"thinkingBudget": 2048, "includeThoughts": True}),
        ("gemini-2.5-pro", "none", 4096, {"thinkingBudget": 128, "includeThoughts": False}),
        ("gemini-2.0-flash", "high", 4096, None),
        ("gemma-3-27b-it", "high", 4096, None),
    ],
)
async def test_effort_is_told_as_the_model_takes_it(
    provider, model_server, model, effort, limit, expected
) -> None:
    model_server.script = _answer

    await _collect(provider, _asking(model, effort=effort, limit=limit))

    assert model_server.exchanges[0].body["generationConfig"].get("thinkingConfig") == expected


async def test_chunks_cut_anywhere_are_put_together(provider, model_server) -> None:
    for cut in range(0, len(DONE), 7):

        async def script(exchange: Exchange, cut: int = cut) -> None:
            await exchange.begin_stream()
            await exchange.send(DONE[:cut])
            await exchange.send(DONE[cut:])

        model_server.script = script

        deltas = await _collect(provider, _asking())

        assert deltas[1:] == [
            ReasoningDelta("hm"),
            PartMetadata("reasoning", {"google": {"thoughtSignature": "c2ln"}}),
            TextDelta("grüß"),
            Finish("stop"),
        ]


async def test_parts_have_the_forms_of_the_api(provider, model_server) -> None:
    model_server.script = _answer
    messages = [
        PromptMessage(
            "user",
            (FilePart("application/pdf", b"%PDF", "a.pdf"), FilePart("text/csv", b"a,b", "t.csv")),
        ),
        PromptMessage(
            "assistant",
            (
                ReasoningPart("another API's", {"anthropic": {"signature": "x"}}),
                ReasoningPart("not base64", {"google": {"thoughtSignature": "…"}}),
                TextPart("Yes."),
            ),
        ),
        PromptMessage("assistant", (ReasoningPart("nobody's"),)),
    ]

    await _collect(provider, ModelRequest("gemini-3.5-flash", messages, 50))

    body = model_server.exchanges[0].body
    assert body["contents"] == [
        {
            "role": "user",
            "parts": [
                {"inlineData": {"data": "JVBERg==", "mimeType": "application/pdf"}},
                {"text": "t.csv:\na,b"},
            ],
        },
        {"role": "model", "parts": [{"text": "Yes."}]},
    ]


@pytest.mark.parametrize("media_type", ["image/gif", "video/mp4"])
async def test_a_file_of_another_type_is_refused_before_the_call(
    provider, model_server, media_type
) -> None:
    with pytest.raises(ProviderError) as caught:
        await _collect(provider, _asking("gemini-3.5-flash", FilePart(media_type, b"")))

    assert caught.value.type == "invalid_request"
    assert model_server.exchanges == []


async def test_the_key_goes_in_a_header(provider, model_server) -> None:
    model_server.script = _answer

    await _collect(provider, _asking())

    (exchange,) = model_server.exchanges
    assert exchange.path == "/v1beta/models/gemini-3.5-flash:streamGenerateContent?alt=sse"
    assert exchange.headers["x-goog-api-key"] == "AIza-very-secret"
    assert "very-secret" not in f"{provider!r} {vars(provider)!r}"


async def test_vertex_is_called_in_its_project_with_the_machines_credentials(
    vertex, model_server
) -> None:
    model_server.script = _answer

    deltas = await _collect(vertex, _asking())

    assert Finish("stop") in deltas
    (exchange,) = model_server.exchanges
    assert exchange.path == (
        "/v1beta/projects/acme/locations/europe-west4/publishers/google/models/"
        "gemini-3.5-flash:streamGenerateContent?alt=sse"
    )
    assert exchange.headers["authorization"] == "Bearer ya29.token"
    assert "x-goog-api-key" not in exchange.headers


async def test_vertex_lists_publisher_models_by_their_short_names(vertex, model_server) -> None:
    model_server.script = lambda exchange: exchange.respond(
        200,
        b'{"publisherModels":[{"name":"publishers/google/models/gemini-3.5-flash"},'
        b'{"name":"publishers/google/models/gemini-embedding-001"},'
        b'{"name":"publishers/google/models/imagegeneration"}]}',
        content_type="application/json",
    )

    assert [model.name for model in await vertex.models()] == ["gemini-3.5-flash"]
    assert model_server.exchanges[0].path.startswith("/v1beta/publishers/google/models")


async def test_the_system_prompt_is_counted_as_each_api_takes_it(
    provider, vertex, model_server
) -> None:
    model_server.script = lambda exchange: exchange.respond(
        200, b'{"totalTokens":12}', content_type="application/json"
    )
    asking = ModelRequest(
        "gemini-3.5-flash", [PromptMessage.of_text("user", "Hi")], 50, system="Be brief."
    )

    assert [await provider.count_tokens(asking), await vertex.count_tokens(asking)] == [12, 12]

    of_the_api, of_vertex = (exchange.body for exchange in model_server.exchanges)
    hi = {"role": "user", "parts": [{"text": "Hi"}]}
    brief = {"text": "Be brief."}
    assert of_the_api["contents"] == [{"role": "user", "parts": [brief]}, hi]
    assert of_vertex["contents"] == [hi]
    assert of_vertex["systemInstruction"]["parts"] == [brief]


async def test_a_machine_without_credentials_is_an_authentication_error(
    vertex, model_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _none(**_):
        raise google.auth.exceptions.DefaultCredentialsError("no credentials here")

    monkeypatch.setattr(google.auth, "default", _none)

    for call in (_collect(vertex, _asking()), vertex.models()):
        with pytest.raises(ProviderError) as caught:
            await call
        assert caught.value.type == "authentication"
    assert model_server.exchanges == []


async def test_without_key_or_project_nothing_is_called(
    model_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "of-the-machine")
    adapter = Gemini(_settings(model_server))

    with pytest.raises(ProviderError) as caught:
        await _collect(adapter, _asking())

    assert caught.value.type == "authentication"
    assert model_server.exchanges == []


@pytest.mark.parametrize("call", ["models", "count_tokens"])
@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"<html>", "protocol"),
        (200, b'{"totalTokens":"many","models":"many"}', "protocol"),
        (429, b'{"error":{"code":429,"details":[{"retryDelay":"3s"}]}}', "rate_limited"),
        (307, b"", "protocol"),
    ],
)
async def test_calls_that_are_no_stream_fail_by_the_same_classes(
    provider, model_server, call, status, body, expected
) -> None:
    model_server.script = lambda exchange: exchange.respond(
        status, body, content_type="application/json", location=model_server.base_url
    )

    with pytest.raises(ProviderError) as caught:
        await (provider.models() if call == "models" else provider.count_tokens(_asking()))

    assert caught.value.type == expected
    assert caught.value.retry_after == (3 if status == 429 else None)
    assert len(model_server.exchanges) == 1


async def test_a_silent_server_is_not_waited_for_without_end(model_server) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.client_closed.wait()

    model_server.script = script
    adapter = Gemini(_settings(model_server, api_key=SecretStr("k"), first_chunk_timeout=0.1))

    with pytest.raises(ProviderError) as caught:
        await adapter.models()

    assert caught.value.type == "timeout"
    await adapter.close()
