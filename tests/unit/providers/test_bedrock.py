"""What the adapter of Bedrock sends and reads beyond what every kind is asked for."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
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
from tailrace.providers.bedrock import Bedrock
from tailrace.settings import ProviderSettings
from tests.support.model_server import Exchange, ModelServer
from tests.support.transcripts import frame, play

CLAUDE = "eu.anthropic.claude-opus-4-8-v1:0"
CACHE_POINT = {"cachePoint": {"type": "default"}}
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


@pytest.fixture(autouse=True)
def _credentials_of_a_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAROLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session of the role")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")


@pytest.fixture
async def provider(model_server: ModelServer) -> AsyncIterator[Bedrock]:
    adapter = _adapter(model_server.base_url.removesuffix("/v1"))
    yield adapter
    await adapter.close()


def _adapter(base_url: str, **others: Any) -> Bedrock:
    settings = {"region": "eu-central-1", "base_url": base_url, **others}
    return Bedrock(ProviderSettings(name="aws", kind="bedrock", **settings))


def _request(*messages: PromptMessage, model: str = CLAUDE) -> ModelRequest:
    return ModelRequest(model, messages, max_output_tokens=50)


HI = _request(PromptMessage.of_text("user", "Hi"))


async def _collect(provider: Bedrock, request: ModelRequest = HI) -> list[Delta]:
    return [delta async for deltas in provider.stream(request) for delta in deltas]


def _event(name: str, payload: object) -> bytes:
    return frame({":message-type": "event", ":event-type": name}, payload)


def _text(text: str) -> bytes:
    return _event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}})


END = _event("messageStop", {"stopReason": "end_turn"})


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def test_a_call_is_signed_with_the_roles_credentials(provider, model_server) -> None:
    model_server.script = play("bedrock", "plain")

    await _collect(provider)

    (exchange,) = model_server.exchanges
    assert exchange.path == "/model/eu.anthropic.claude-opus-4-8-v1%3A0/converse-stream"
    signed = exchange.headers["authorization"]
    assert signed.startswith("AWS4-HMAC-SHA256 Credential=AKIAROLE/")
    assert "/eu-central-1/bedrock/aws4_request" in signed
    assert exchange.headers["x-amz-security-token"] == "session of the role"


async def test_what_is_sent_is_what_boto3_sends(provider, model_server, monkeypatch) -> None:
    model_server.script = play("bedrock", "plain")
    image = FilePart("image/png", b"\xfb\xff\xfe", "dot.png")
    await _collect(provider, _request(PromptMessage("user", (TextPart("grüß"), image))))
    (ours,) = model_server.exchanges

    # At the same second, since the time is signed.
    sent = datetime.strptime(ours.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **_: sent)
    client = boto3.Session().client(
        "bedrock-runtime", "eu-central-1", endpoint_url=model_server.base_url.removesuffix("/v1")
    )
    content = [
        {"text": "grüß"},
        {"image": {"format": "png", "source": {"bytes": image.data}}},
        CACHE_POINT,
    ]
    await asyncio.to_thread(
        client.converse_stream,
        modelId=CLAUDE,
        messages=[{"role": "user", "content": content}],
        inferenceConfig={"maxTokens": 50},
    )

    its = model_server.exchanges[1]
    assert (ours.path, ours.body) == (its.path, its.body)
    credential, signed, _ = ours.headers["authorization"].split(", ")
    assert its.headers["authorization"].startswith(f"{credential}, {signed}, ")
    # Ours is over our bytes, which need not be boto3's.
    request = AWSRequest(
        "POST",
        f"http://{ours.headers['host']}{ours.path}",
        {"content-type": ours.headers["content-type"]},
        ours.content,
    )
    role = Credentials("AKIAROLE", "very secret", "session of the role")
    SigV4Auth(role, "bedrock", "eu-central-1").add_auth(request)
    assert request.headers["Authorization"] == ours.headers["authorization"]


async def test_a_key_of_bedrocks_own_stands_in_for_the_role(model_server) -> None:
    model_server.script = play("bedrock", "plain")
    adapter = _adapter(model_server.base_url.removesuffix("/v1"), api_key=SecretStr("bedrock-key"))

    await _collect(adapter)

    headers = model_server.exchanges[0].headers
    assert headers["authorization"] == "Bearer bedrock-key"
    assert "x-amz-security-token" not in headers
    await adapter.close()


async def test_without_credentials_nothing_is_sent(provider, model_server, monkeypatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        monkeypatch.delenv(f"AWS_{name}")

    with pytest.raises(ProviderError) as caught:
        await _collect(provider)

    assert caught.value.type == "authentication"
    assert model_server.exchanges == []


async def test_without_a_region_nothing_is_sent(model_server, monkeypatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    adapter = _adapter(model_server.base_url, region=None)

    for ask in (_collect(adapter), adapter.models()):
        with pytest.raises(ProviderError, match="region") as caught:
            await ask
        assert caught.value.type == "invalid_request"

    assert model_server.exchanges == []


async def test_documents_have_names_that_are_allowed_and_their_own(provider, model_server) -> None:
    model_server.script = play("bedrock", "plain")
    files = (
        FilePart("application/pdf", b"%PDF", "Jahres_bericht  (2025).pdf"),
        FilePart("text/csv", b"a,b", "Jahres.bericht (2025).csv"),
        FilePart("text/x-python", b"1", None),
        FilePart("text/markdown", b"#", "ü"),
    )

    await _collect(provider, _request(PromptMessage("user", files)))

    *documents, text, mark = model_server.exchanges[0].body["messages"][0]["content"]
    assert [(d["document"]["format"], d["document"]["name"]) for d in documents] == [
        ("pdf", "Jahres bericht (2025)"),
        ("csv", "Jahres bericht (2025) 2"),
        ("txt", "Document"),
        ("md", "Document 2"),
    ]
    assert documents[0]["document"]["source"] == {"bytes": "JVBERg=="}
    assert set(text) == {"text"}
    assert mark == CACHE_POINT


async def test_a_file_that_no_model_reads_is_refused_before_a_call(provider, model_server) -> None:
    message = PromptMessage("user", (FilePart("video/mp4", b""),))

    with pytest.raises(ProviderError, match="video/mp4") as caught:
        await _collect(provider, _request(message))

    assert caught.value.type == "invalid_request"
    assert model_server.exchanges == []


async def test_what_the_api_refuses_of_earlier_turns_is_left_out(provider, model_server) -> None:
    model_server.script = play("bedrock", "plain")
    thought = ReasoningPart("hm", {"bedrock": {"signature": "s"}})
    redacted = ReasoningPart("", {"bedrock": {"redactedData": "cmVk"}})

    await _collect(
        provider,
        _request(
            PromptMessage.of_text("user", "one"),
            PromptMessage("assistant", (redacted, TextPart("two"), thought)),
            PromptMessage.of_text("user", "three"),
            PromptMessage("assistant", (ReasoningPart("unsigned"), TextPart(" \n"))),
            PromptMessage.of_text("user", "four"),
        ),
    )

    body = model_server.exchanges[0].body
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "one"}]},
        {
            "role": "assistant",
            "content": [{"reasoningContent": {"redactedContent": "cmVk"}}, {"text": "two"}],
        },
        {"role": "user", "content": [{"text": "three"}, {"text": "four"}, CACHE_POINT]},
    ]
    assert "additionalModelRequestFields" not in body


@pytest.mark.parametrize("data", ["a", 7, {}])
async def test_hidden_reasoning_that_is_none_is_left_out(provider, model_server, data) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD)
        await exchange.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(END), END))

    model_server.script = script
    thought = ReasoningPart("", {"bedrock": {"redactedData": data}})
    answer = PromptMessage("assistant", (thought, TextPart("Yes.")))

    await _collect(provider, _request(answer, PromptMessage.of_text("user", "Sure?")))

    assert model_server.exchanges[0].body["messages"][0]["content"] == [{"text": "Yes."}]


async def test_questions_to_a_silent_server_hold_up_nobody_else(model_server) -> None:
    silence, over = asyncio.Event(), asyncio.Event()

    async def silent(exchange: Exchange) -> None:
        silence.set()
        await over.wait()

    model_server.script = silent
    provider = _adapter(model_server.base_url.removesuffix("/v1"), first_chunk_timeout=60)
    asked = [asyncio.create_task(provider.count_tokens(HI)) for _ in range(40)]
    try:
        await asyncio.wait_for(silence.wait(), 60)
        # The event loop looks names up in threads as well.
        await asyncio.to_thread(int)
        assert not any(task.done() for task in asked)
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        # Nor is a thread held up by it any longer.
        over.set()
        await provider.close()


async def test_a_question_to_a_silent_server_ends(model_server) -> None:
    over = asyncio.Event()

    async def silent(exchange: Exchange) -> None:
        await over.wait()

    model_server.script = silent
    provider = _adapter(model_server.base_url.removesuffix("/v1"), first_chunk_timeout=0.5)
    try:
        with pytest.raises(ProviderError) as raised:
            await provider.count_tokens(HI)
        assert raised.value.type == "timeout"
    finally:
        over.set()
        await provider.close()


async def test_a_model_without_a_cache_gets_no_mark_of_one(provider, model_server) -> None:
    model_server.script = play("bedrock", "plain")

    await _collect(
        provider, _request(PromptMessage.of_text("user", "Hi"), model="meta.llama3-1-8b-v1:0")
    )

    assert model_server.exchanges[0].body["messages"][0]["content"] == [{"text": "Hi"}]


async def test_frames_cut_anywhere_are_put_together(provider, model_server) -> None:
    data = _event("messageStart", {"role": "assistant"}) + _text("grüß") + END

    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD)
        for cut in range(len(data)):
            await exchange.send(_chunk(data[cut : cut + 1]))
        await exchange.send(b"0\r\n\r\n")

    model_server.script = script

    assert (await _collect(provider))[1:] == [TextDelta("grüß"), Finish("stop")]


@pytest.mark.parametrize("place", [2, 9, 20, -6, -1])
async def test_a_frame_that_was_damaged_ends_the_answer_after_what_came_before(
    provider, model_server, place
) -> None:
    damaged = bytearray(_text("two"))
    damaged[place] ^= 1

    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + _chunk(_text("one") + damaged + END) + b"0\r\n\r\n")

    model_server.script = script
    told: list[Delta] = []

    async def read() -> None:
        async for deltas in provider.stream(HI):
            told.extend(deltas)

    with pytest.raises(ProviderError) as caught:
        await read()

    assert caught.value.type == "protocol"
    assert told == [TextDelta("one")]


async def test_counting_that_is_refused_is_no_count(provider, model_server) -> None:
    refusals = iter(["ValidationException", "AccessDeniedException", "ThrottlingException"])
    statuses = {"ValidationException": 400, "AccessDeniedException": 403}

    async def script(exchange: Exchange) -> None:
        name = next(refusals)
        headers = {"content_type": "application/json", "x_amzn_errortype": name}
        await exchange.respond(statuses.get(name, 429), b'{"message": "no"}', **headers)

    model_server.script = script

    assert await provider.count_tokens(HI) is None
    assert await provider.count_tokens(HI) is None
    with pytest.raises(ProviderError) as caught:
        await provider.count_tokens(HI)
    assert caught.value.type == "rate_limited"


async def test_models_are_listed_where_profiles_may_not_be(provider, model_server) -> None:
    async def script(exchange: Exchange) -> None:
        if exchange.path.startswith("/foundation-models"):
            await play("bedrock", "models")(exchange)
        else:
            await exchange.respond(403, b"{}", x_amzn_errortype="AccessDeniedException")

    model_server.script = script

    assert [model.name for model in await provider.models()] == ["amazon.nova-lite-v1:0"]


async def test_a_reader_that_waits_makes_the_server_wait(provider, model_server) -> None:
    chunk = _chunk(_text("x" * (1 << 16)))
    sent = 0

    async def script(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.send(HEAD)
        for _ in range(1000):
            await exchange.send(chunk)
            sent += 1
        await exchange.send(b"0\r\n\r\n")

    model_server.script = script
    stream = provider.stream(HI)
    await anext(stream)
    seen = -1
    while seen != sent:
        seen = sent
        await asyncio.sleep(0.2)

    assert sent < 1000
    await stream.aclose()
    await asyncio.wait_for(model_server.exchanges[0].client_closed.wait(), 60)


async def test_leaving_some_streams_hurts_no_other(provider, model_server) -> None:
    go_on = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.send(HEAD + _chunk(_text("one")))
        await go_on.wait()
        await exchange.send(_chunk(_text(" two") + END) + b"0\r\n\r\n")

    model_server.script = script
    streams = [provider.stream(HI) for _ in range(20)]
    for stream in streams:
        assert await anext(stream) == [TextDelta("one")]

    await asyncio.gather(*(stream.aclose() for stream in streams[::2]))
    go_on.set()
    rest = [[delta async for deltas in stream for delta in deltas] for stream in streams[1::2]]

    assert rest == [[TextDelta(" two"), Finish("stop")]] * 10


async def test_a_connection_serves_one_call_after_another() -> None:
    connections = 0
    data = _chunk(_text("Hello") + END) + b"0\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while sent := await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b"":
            length = sent.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            json.loads(await reader.readexactly(int(length)))
            writer.write(HEAD + data)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    adapter = _adapter(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        for _ in range(3):
            assert await _collect(adapter) == [TextDelta("Hello"), Finish("stop")]
        assert connections == 1
    finally:
        await adapter.close()
        server.close()
