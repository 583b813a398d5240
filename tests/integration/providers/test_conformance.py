"""Every kind of provider against transcripts of its API, by one and the same suite.

A kind joins by one line in `KINDS` and a folder ``tests/events/providers/<kind>`` with its
transcripts and a ``cases.json``, whose values are computed by hand:

``model``    name of the model to ask for
``cases``    by name, each with what is expected of it: ``text``, ``reasoning``, ``finish``,
             ``usage``, ``metadata`` (a list of part and metadata), ``response_id``,
             ``response_model``, ``error``, ``retry_after``; ``sent``, by JSON pointer, what the
             request's body must have held; ``model``, where the case has one of its own
``models``, ``count_tokens``  what ``models()`` and ``count_tokens()`` make of the transcripts
             ``models`` and ``count_tokens``
"""

import asyncio
import base64
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import msgspec
import pytest
from pydantic import SecretStr

from tailrace.providers.base import (
    Delta,
    FilePart,
    Finish,
    ModelRequest,
    PartMetadata,
    PromptMessage,
    Provider,
    ProviderError,
    ReasoningDelta,
    ReasoningPart,
    ResponseStart,
    TextDelta,
    TextPart,
    Usage,
)
from tailrace.settings import ProviderSettings
from tests.support.model_server import Exchange, ModelServer
from tests.support.transcripts import FOLDER, hang, play


class Kind(NamedTuple):
    """How the suite sets up a kind of provider.

    Attributes
    ----------
    adapter
        Module and class.
    path
        What its ``base_url`` has after the server's address; ``None`` when it calls no server.
    settings
        Further settings.
    """

    adapter: str
    path: str | None
    settings: dict[str, Any]


KINDS = {
    "anthropic": Kind("tailrace.providers.anthropic:Anthropic", "", {}),
    "bedrock": Kind("tailrace.providers.bedrock:Bedrock", "", {"region": "eu-central-1"}),
    "gemini": Kind("tailrace.providers.gemini:Gemini", "/v1beta", {}),
    "openai": Kind("tailrace.providers.openai:OpenAI", "/v1", {}),
    "openai_compatible": Kind("tailrace.providers.openai_compatible:OpenAICompatible", "/v1", {}),
    "scripted": Kind("tailrace.providers.scripted:Scripted", None, {}),
}

#: What every kind that calls a server must have a transcript of.
CASES = {
    "plain",
    "reasoning",
    "image",
    "tool_stop",
    "refusal",
    "length",
    "overloaded",
    "rate_limited",
    "broken",
    "garbage",
    "slow",
    "cached",
    "too_long",
}

KEY = "sk-conformance-0123456789"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

#: One conversation for every case: a picture, an answer with its reasoning, and a question.
MESSAGES = (
    PromptMessage("user", (FilePart("image/png", PIXEL, "pixel.png"), TextPart("What is this?"))),
    PromptMessage(
        "assistant",
        (
            ReasoningPart(
                "One red pixel.",
                {
                    "anthropic": {"signature": "c2lnbmF0dXJl"},
                    "bedrock": {"signature": "c2lnbmF0dXJl"},
                    "google": {"thoughtSignature": "c2lnbmF0dXJl"},
                    "openai": {"itemId": "rs_1", "reasoningEncryptedContent": "c2lnbmF0dXJl"},
                },
            ),
            TextPart("A red pixel.", {"google": {"thoughtSignature": "dGV4dA=="}}),
        ),
    ),
    PromptMessage("user", (TextPart("Say hello."),)),
)


class Answer:
    """What a stream gave before it ended, well or not."""

    def __init__(self, deltas: list[Delta], error: ProviderError | None) -> None:
        self.deltas = deltas
        self.error = error

    def joined(self, of: type[TextDelta] | type[ReasoningDelta]) -> str:
        """Return the text of all deltas of a type."""
        return "".join(delta.text for delta in self.deltas if isinstance(delta, of))

    def all(self, of: type[Any]) -> list[Any]:
        """Return the deltas of a type."""
        return [delta for delta in self.deltas if isinstance(delta, of)]


@cache
def _told(kind: str) -> dict[str, Any]:
    return json.loads((FOLDER / kind / "cases.json").read_text(encoding="utf-8"))


def _settings(kind: str, root: str, **others: Any) -> ProviderSettings:
    entry = KINDS[kind]
    where = {} if entry.path is None else {"base_url": root + entry.path, "api_key": SecretStr(KEY)}
    return ProviderSettings(name="under-test", kind=kind, **where, **entry.settings, **others)


def _adapter(settings: ProviderSettings) -> Provider:
    module, _, name = KINDS[settings.kind].adapter.partition(":")
    return getattr(import_module(module), name)(settings)


def _request(kind: str, case: str = "plain") -> ModelRequest:
    told = _told(kind)
    return ModelRequest(
        model=told["cases"][case].get("model", told.get("model")),
        messages=MESSAGES,
        max_output_tokens=4096,
        system="Answer in one sentence.",
        reasoning_effort="low",
    )


async def _answer(adapter: Provider, request: ModelRequest) -> Answer:
    deltas: list[Delta] = []
    try:
        async for some in adapter.stream(request):
            deltas += some
    except ProviderError as error:
        return Answer(deltas, error)
    return Answer(deltas, None)


@pytest.fixture
def root(model_server: ModelServer) -> str:
    """Address of the server, without a path."""
    return model_server.base_url.removesuffix("/v1")


@pytest.fixture(autouse=True)
def _credentials_of_a_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no key is set, AWS finds its own; here it finds the suite's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIACONFORMANCE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture
async def make(root: str) -> AsyncIterator[Callable[..., Provider]]:
    """Makes adapters that speak to the server, and closes them at the end."""
    made: list[Provider] = []

    def _make(kind: str, **others: Any) -> Provider:
        made.append(_adapter(_settings(kind, others.pop("root", root), **others)))
        return made[-1]

    yield _make
    for adapter in made:
        await adapter.close()


every_case = pytest.mark.parametrize(
    ("kind", "case"), [(kind, case) for kind in KINDS for case in _told(kind)["cases"]]
)
every_kind = pytest.mark.parametrize("kind", KINDS)
every_remote_kind = pytest.mark.parametrize(
    "kind", [kind for kind, entry in KINDS.items() if entry.path is not None]
)


@every_remote_kind
def test_a_kind_has_every_case(kind: str) -> None:
    assert set(_told(kind)["cases"]) >= CASES


@every_case
async def test_an_answer_is_what_was_told(
    kind: str, case: str, make, model_server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    told = _told(kind)["cases"][case]
    if KINDS[kind].path is not None:
        model_server.script = play(kind, case)
    adapter = make(kind)

    answer = await _answer(adapter, _request(kind, case))

    error = answer.error
    assert (error.type if error else None) == told.get("error"), error
    assert (error.retry_after if error else None) == told.get("retry_after")
    assert answer.joined(TextDelta) == told.get("text", "")
    assert answer.joined(ReasoningDelta) == told.get("reasoning", "")
    assert [finish.reason for finish in answer.all(Finish)] == (
        [told["finish"]] if "finish" in told else []
    )
    if "usage" in told:
        assert answer.all(Usage)[-1] == msgspec.convert(told["usage"], Usage)
    if "metadata" in told:
        assert [[m.part, m.metadata] for m in answer.all(PartMetadata)] == told["metadata"]
    for name in ("response_id", "response_model"):
        if name in told:
            (start,) = answer.all(ResponseStart)
            assert getattr(start, name) == told[name]
    if "text" in told:
        assert isinstance(answer.deltas[0], ResponseStart)
    assert KEY not in f"{error!r} {error} {adapter!r} {vars(adapter)!r} {caplog.text}"
    if KINDS[kind].path is not None:
        (exchange,) = model_server.exchanges
        for pointer, value in told.get("sent", {}).items():
            assert _at(exchange.body, pointer) == value, pointer


@pytest.mark.parametrize(
    ("kind", "model", "effort", "pointer", "sent"),
    [
        ("anthropic", "claude-haiku-4-5", None, "/temperature", 1.0),
        ("anthropic", "claude-sonnet-4-6", "none", "/temperature", 1.0),
        # Not while it thinks, and the newest not at all.
        ("anthropic", "claude-haiku-4-5", "high", "/temperature", None),
        ("anthropic", "claude-opus-4-6", "low", "/temperature", None),
        ("anthropic", "claude-opus-4-7", "none", "/temperature", None),
        ("bedrock", "amazon.nova-lite-v1:0", "high", "/inferenceConfig/temperature", 1.0),
        ("bedrock", "eu.anthropic.claude-sonnet-4-5-v1:0", None, "/inferenceConfig/temperature", 1),
        ("bedrock", "eu.anthropic.claude-opus-4-8", None, "/inferenceConfig/temperature", None),
        ("gemini", "gemini-2.5-flash", "high", "/generationConfig/temperature", 1.5),
        ("openai", "gpt-4.1", None, "/temperature", 1.5),
        ("openai", "gpt-5.1", "none", "/temperature", None),
        ("openai", "o4-mini", None, "/temperature", None),
        ("openai_compatible", "m", "high", "/temperature", 1.5),
    ],
)
async def test_a_temperature_goes_to_the_models_that_take_one(
    kind: str, model: str, effort: Any, pointer: str, sent: float | None, make, model_server
) -> None:
    model_server.script = play(kind, "plain")
    request = msgspec.structs.replace(_request(kind), model=model, reasoning_effort=effort)
    for temperature, expected in ((1.5, sent), (0.0, sent and 0.0), (None, None)):
        asked = msgspec.structs.replace(request, temperature=temperature)
        assert (await _answer(make(kind), asked)).error is None
        holder, _, name = pointer.rpartition("/")
        body = model_server.exchanges[-1].body
        assert (_at(body, holder) if holder else body).get(name) == expected


@every_remote_kind
async def test_a_slow_answer_arrives_in_pieces(kind: str, make, model_server) -> None:
    model_server.script = play(kind, "slow")

    reads = [deltas async for deltas in make(kind).stream(_request(kind, "slow"))]

    assert len([deltas for deltas in reads if any(isinstance(d, TextDelta) for d in deltas)]) > 1


@every_remote_kind
@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_leaving_a_stream_closes_its_connection(kind: str, how, make, model_server) -> None:
    model_server.script = play(kind, "hang")
    stream = make(kind).stream(_request(kind))
    async for deltas in stream:
        if any(isinstance(delta, TextDelta) for delta in deltas):
            break

    if how == "close":
        await stream.aclose()
    else:
        await _cancel_while_waiting(anext(stream))

    await _left(model_server)


@every_remote_kind
async def test_leaving_before_the_first_byte_closes_the_connection(
    kind: str, make, model_server
) -> None:
    arrived = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        arrived.set()
        await hang(exchange)

    model_server.script = script
    waiting = asyncio.ensure_future(anext(make(kind).stream(_request(kind))))
    await asyncio.wait_for(arrived.wait(), 60)

    await _cancel_while_waiting(waiting)

    await _left(model_server)


@every_remote_kind
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "authentication"),
        (403, "permission"),
        (404, "not_found"),
        (400, "invalid_request"),
        (408, "timeout"),
        (429, "rate_limited"),
        (500, "server_error"),
    ],
)
async def test_a_refusal_is_classified_and_its_words_hold_no_key(
    kind: str, status: int, expected: str, make, model_server, caplog
) -> None:
    caplog.set_level(logging.INFO)
    said = f"no good: {KEY}"
    body = {"message": said} if kind == "bedrock" else {"error": {"message": said}}
    model_server.script = lambda exchange: exchange.respond(
        status, json.dumps(body).encode(), content_type="application/json"
    )
    adapter = make(kind)

    answer = await _answer(adapter, _request(kind))

    assert answer.error is not None
    assert answer.error.type == expected
    assert "no good" in answer.error.message
    assert answer.deltas == []
    assert KEY not in f"{answer.error!r} {answer.error.message} {vars(adapter)!r} {caplog.text}"
    assert len(model_server.exchanges) == 1, "retrying is the router's"


@every_remote_kind
@pytest.mark.parametrize("room", [10, 190, 480, 495])
async def test_a_key_that_would_be_cut_is_not_shown_by_half(
    kind: str, room: int, make, model_server
) -> None:
    said = "x" * room + KEY
    body = {"message": said} if kind == "bedrock" else {"error": {"message": said}}
    data = said if room == 190 and kind != "bedrock" else json.dumps(body)
    model_server.script = lambda exchange: exchange.respond(400, data.encode())

    answer = await _answer(make(kind), _request(kind))

    assert answer.error is not None
    assert KEY[:6] not in answer.error.message
    assert len(answer.error.message) <= 500


@every_remote_kind
async def test_a_redirect_is_not_followed(kind: str, make, model_server, root: str) -> None:
    model_server.script = lambda exchange: exchange.respond(307, b"", location=f"{root}/elsewhere")

    answer = await _answer(make(kind), _request(kind))

    assert answer.error is not None
    assert len(model_server.exchanges) == 1


@every_remote_kind
async def test_a_page_instead_of_a_stream_is_a_protocol_error(
    kind: str, make, model_server
) -> None:
    model_server.script = lambda exchange: exchange.respond(
        200, b"<html>\nSign in to this network\n</html>\n", content_type="text/html"
    )

    answer = await _answer(make(kind), _request(kind))

    assert answer.error is not None
    assert answer.error.type == "protocol"
    assert answer.deltas == []


@every_remote_kind
async def test_a_server_that_is_not_there_is_a_connection_error(
    kind: str, make, model_server
) -> None:
    adapter = make(kind)
    await model_server.stop()

    answer = await _answer(adapter, _request(kind))

    assert answer.error is not None
    assert answer.error.type == "connection"


@every_remote_kind
async def test_a_server_that_does_not_take_the_connection_is_a_timeout(kind: str, make) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        # The kernel takes one connection for a backlog of none, and lets the next one wait.
        with socket.create_connection(address):
            adapter = make(kind, root=f"http://127.0.0.1:{address[1]}", connect_timeout=0.2)

            answer = await asyncio.wait_for(_answer(adapter, _request(kind)), 60)

    assert answer.error is not None
    assert answer.error.type == "timeout"


@every_remote_kind
async def test_the_environment_changes_neither_where_nor_with_what_is_called(
    kind: str, make, model_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = "http://127.0.0.1:9"
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, nowhere)
    for vendor in ("ANTHROPIC", "OPENAI", "GOOGLE_GEMINI", "GOOGLE_VERTEX", "GEMINI"):
        monkeypatch.setenv(f"{vendor}_BASE_URL", nowhere)
    for vendor in ("ANTHROPIC", "OPENAI", "GOOGLE", "GEMINI"):
        monkeypatch.setenv(f"{vendor}_API_KEY", "another-key")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "another-key")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "authorization: another-key\nx-api-key: another")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", nowhere)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "another-key")
    model_server.script = play(kind, "plain")

    answer = await _answer(make(kind), _request(kind))

    assert answer.error is None
    (exchange,) = model_server.exchanges
    assert "another" not in f"{exchange.path} {exchange.headers}"


@every_kind
async def test_models_are_listed_with_what_is_told_of_them(kind: str, make, model_server) -> None:
    if KINDS[kind].path is not None:
        model_server.script = play(kind, "models")

    models = await make(kind).models()

    told = [
        msgspec.structs.asdict(model) | {"capabilities": sorted(model.capabilities)}
        for model in models
    ]
    assert [
        {name: value for name, value in model.items() if value not in (None, [])} for model in told
    ] == _told(kind)["models"]


@every_kind
async def test_tokens_are_counted_by_the_provider_or_not_at_all(
    kind: str, make, model_server
) -> None:
    expected = _told(kind).get("count_tokens")
    if expected is not None:
        model_server.script = play(kind, "count_tokens")

    assert await make(kind).count_tokens(_request(kind)) == expected


async def _cancel_while_waiting(waiting: Any) -> None:
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 60)


async def _left(server: ModelServer) -> None:
    (exchange,) = server.exchanges
    await asyncio.wait_for(exchange.client_closed.wait(), 60)


def _at(body: Any, pointer: str) -> Any:
    for step in pointer.strip("/").split("/"):
        body = body[int(step)] if isinstance(body, list) else body[step]
    return body
