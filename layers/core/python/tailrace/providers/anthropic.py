"""Anthropic's Messages API, through the official SDK's client and its aiohttp transport.

The SDK signs, addresses and sends; the events are decoded here from its raw response, since its
typed stream costs several times as much per chunk. Nothing is read from the environment.
https://platform.claude.com/docs/en/api/messages
"""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import anthropic
import httpx2
import msgspec

# The SDK loads these on first use; here it is done with the module, before the first request.
from anthropic.resources.messages import AsyncMessages
from anthropic.resources.models import AsyncModels

from tailrace.providers.base import (
    Delta,
    ErrorType,
    FilePart,
    Finish,
    ModelInfo,
    ModelRequest,
    PartMetadata,
    PromptMessage,
    PromptPart,
    ProviderError,
    ReasoningDelta,
    ReasoningPart,
    ResponseStart,
    TextDelta,
    TextPart,
    Usage,
)
from tailrace.providers.claude import capabilities, temperature, thinking
from tailrace.providers.http import classify, error_of, without_key
from tailrace.settings import Capability, ProviderSettings

T = TypeVar("T")

_BASE_URL = "https://api.anthropic.com"
# Metadata of parts under the name of this API.
_API = "anthropic"
# An event is a line; a longer one is none of this API's.
_MAX_LINE = 1 << 22
# Seconds worth waiting for the end of a body, against a new connection for the next call.
_DRAIN = 0.1
# The longest page of models the API gives.
_MODELS = 1000

_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_CACHED = {"type": "ephemeral"}

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
# https://platform.claude.com/docs/en/api/errors
_STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class Anthropic:
    """The Messages API at ``base_url``, by default Anthropic's own."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.name = settings.name
        self._settings = settings
        connect = settings.connect_timeout
        # "pool" bounds all it takes to connect: the name, the address and TLS.
        timeout = httpx2.Timeout(None, connect=connect, pool=connect)
        key = settings.api_key
        self._client = anthropic.AsyncAnthropic(
            api_key=key.get_secret_value() if key is not None else "",
            # The SDK adds the version to every path.
            base_url=(settings.base_url or _BASE_URL).rstrip("/").removesuffix("/v1"),
            timeout=timeout,
            max_retries=0,
            open_telemetry=False,
            http_client=anthropic.DefaultAioHttpClient(
                timeout=timeout,
                limits=httpx2.Limits(max_connections=0, keepalive_expiry=30),
                # A redirect would carry the key to an address nobody configured.
                follow_redirects=False,
                trust_env=False,
            ),
        )
        # The SDK takes ANTHROPIC_CUSTOM_HEADERS in, which may replace the key.
        self._client._custom_headers = {}
        self._messages = AsyncMessages(self._client)
        self._models = AsyncModels(self._client)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[list[Delta]]:
        body = _body(request)
        if (told := temperature(request)) is not None:
            # The SDK has no argument for it any more, the models before 4.7 have.
            body["extra_body"] = {"temperature": told}
        decoder = _EventDecoder()
        create = self._messages.with_streaming_response.create
        async with (
            self._errors("connection"),
            create(max_tokens=request.max_output_tokens, stream=True, **body) as response,
        ):
            kind = response.headers.get("content-type", "")
            if not kind.startswith("text/event-stream"):
                raise ProviderError("protocol", f"the answer is {kind or 'of no type'}")
            reads = response.iter_bytes()
            try:
                async with self._errors("incomplete"):
                    async for data in reads:
                        yield decoder.feed(data)
                        if decoder.failure is not None:
                            raise without_key(self._settings, decoder.failure)
                        if decoder.done:
                            await _drain(reads)
                            return
            except ProviderError as error:
                # A connection that breaks after the end of an answer has not broken the answer.
                if error.type != "incomplete" or not decoder.finished:
                    raise
        if not decoder.finished:
            raise ProviderError("incomplete", "the stream ended without a stop_reason")

    async def models(self) -> list[ModelInfo]:
        async with self._errors("connection"), self._whole_answer():
            answer = await self._models.with_raw_response.list(limit=_MODELS)
            listed = _decode(_models_decoder, await answer.read())
        return [model.info() for model in listed.data if model.lifecycle != "retired"]

    async def count_tokens(self, request: ModelRequest) -> int | None:
        async with self._errors("connection"), self._whole_answer():
            answer = await self._messages.with_raw_response.count_tokens(**_body(request))
            return _decode(_count_decoder, await answer.read()).input_tokens

    async def close(self) -> None:
        await self._client.close()

    @asynccontextmanager
    async def _errors(self, broken: ErrorType) -> AsyncIterator[None]:
        """Turn the SDK's errors into ours; `broken` is what a lost connection is called."""
        if self._settings.api_key is None:
            raise ProviderError("authentication", "no api_key is set for this provider")
        try:
            yield
        except anthropic.APIStatusError as error:
            response = error.response
            failure = error_of(
                response.status_code,
                response.headers,
                response.content,
                response.reason_phrase,
            )
            raise without_key(self._settings, failure) from None
        except anthropic.APITimeoutError:
            limit = self._settings.connect_timeout
            raise ProviderError("timeout", f"no connection within {limit:g} s") from None
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            cause = error.__cause__ or error
            failure = ProviderError(broken, f"{type(cause).__name__}: {cause}")
            raise without_key(self._settings, failure) from None

    @asynccontextmanager
    async def _whole_answer(self) -> AsyncIterator[None]:
        """Bound the time for an answer that is not a stream."""
        limit = self._settings.first_chunk_timeout
        try:
            async with asyncio.timeout(limit):
                yield
        except TimeoutError:
            raise ProviderError("timeout", f"no answer within {limit:g} s") from None


def _body(request: ModelRequest) -> dict[str, Any]:
    """Return what a call and a count of its tokens have in common.

    The prefix up to and including the last message is cached, so that the next turn reads it.
    https://platform.claude.com/docs/en/build-with-claude/prompt-caching
    """
    messages = [
        {"role": message.role, "content": content}
        for message in request.messages
        if (content := _content(message))
    ]
    if not messages:
        raise ProviderError("invalid_request", "the conversation has nothing to send")
    messages[-1]["content"][-1]["cache_control"] = _CACHED
    body: dict[str, Any] = {"model": request.model, "messages": messages, **thinking(request)}
    if request.system:
        body["system"] = [{"type": "text", "text": request.system, "cache_control": _CACHED}]
    return body


def _content(message: PromptMessage) -> list[dict[str, Any]]:
    blocks = [block for part in message.parts for block in _blocks(part)]
    # A turn that was stopped while the model thought ends in thinking, which the API refuses.
    while blocks and blocks[-1]["type"] in ("thinking", "redacted_thinking"):
        blocks.pop()
    return blocks


def _blocks(part: PromptPart) -> Iterator[dict[str, Any]]:
    """Yield the block of a part, if it has one."""
    if isinstance(part, TextPart):
        # The API refuses text that is white space alone.
        if part.text.strip():
            yield {"type": "text", "text": part.text}
    elif isinstance(part, ReasoningPart):
        metadata = (part.provider_metadata or {}).get(_API, {})
        if "signature" in metadata:
            yield {
                "type": "thinking",
                "thinking": part.text,
                "signature": metadata["signature"],
            }
        elif "redactedData" in metadata:
            yield {"type": "redacted_thinking", "data": metadata["redactedData"]}
    else:
        yield _file(part)


def _file(part: FilePart) -> dict[str, Any]:
    """https://platform.claude.com/docs/en/build-with-claude/files"""
    title = {"title": part.filename} if part.filename else {}
    if part.media_type in _IMAGES:
        return {"type": "image", "source": _base64(part)}
    if part.media_type == "application/pdf":
        return {"type": "document", "source": _base64(part), **title}
    if part.media_type.startswith("text/"):
        text = part.data.decode("utf-8", "replace")
        source = {"type": "text", "media_type": "text/plain", "data": text}
        return {"type": "document", "source": source, **title}
    raise ProviderError("invalid_request", f"Claude cannot read a file of type {part.media_type}.")


def _base64(part: FilePart) -> dict[str, str]:
    data = base64.b64encode(part.data).decode("ascii")
    return {"type": "base64", "media_type": part.media_type, "data": data}


class _Block(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    stop_reason: str | None = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class _Message(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None


class _Error(msgspec.Struct):
    type: str = ""
    message: str = ""


class _Event(msgspec.Struct, gc=False):
    """Any event; its ``delta`` is a piece of a block, or says how the message ended."""

    type: str
    delta: _Block | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: _Usage | None = None
    error: _Error | None = None


class _Supported(msgspec.Struct):
    supported: bool = False


class _Capabilities(msgspec.Struct):
    image_input: _Supported = msgspec.field(default_factory=_Supported)
    pdf_input: _Supported = msgspec.field(default_factory=_Supported)
    thinking: _Supported = msgspec.field(default_factory=_Supported)

    def named(self) -> frozenset[Capability]:
        """Every model of this API can use tools, so that its list does not tell."""
        by_name: dict[Capability, bool] = {
            "vision": self.image_input.supported,
            "documents": self.pdf_input.supported,
            "reasoning": self.thinking.supported,
            "tools": True,
        }
        return frozenset(name for name, supported in by_name.items() if supported)


class _Model(msgspec.Struct):
    id: str
    display_name: str | None = None
    lifecycle: str | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    capabilities: _Capabilities | None = None

    def info(self) -> ModelInfo:
        """Return what the list tells; a server that tells no capabilities has what it serves."""
        told = self.capabilities
        return ModelInfo(
            name=self.id,
            display_name=self.display_name,
            context_window=self.max_input_tokens,
            output_limit=self.max_tokens,
            capabilities=told.named() if told is not None else capabilities(self.id),
        )


class _ModelList(msgspec.Struct):
    data: list[_Model]


class _Count(msgspec.Struct):
    input_tokens: int


_event_decoder = msgspec.json.Decoder(_Event)
_models_decoder = msgspec.json.Decoder(_ModelList)
_count_decoder = msgspec.json.Decoder(_Count)


def _decode(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProviderError("protocol", str(error)) from None


class _Counts:
    """The counts told so far; every one of them is of the whole message, and a later one holds."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}
        self._reasoning: int | None = None

    def merge(self, usage: _Usage) -> Usage:
        """Take in what an event tells and return the normalised whole."""
        told = self._told
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
        ):
            count = getattr(usage, name)
            if count is not None:
                told[name] = count
        if usage.output_tokens_details is not None:
            self._reasoning = usage.output_tokens_details.thinking_tokens
        read, written = told.get("cache_read_input_tokens"), told.get("cache_creation_input_tokens")
        fresh = told.get("input_tokens")
        return Usage(
            # The API's own count leaves out what the cache gave and took.
            input_tokens=fresh + (read or 0) + (written or 0) if fresh is not None else None,
            output_tokens=told.get("output_tokens"),
            cache_read_input_tokens=read,
            cache_write_input_tokens=written,
            reasoning_output_tokens=self._reasoning,
        )


class _EventDecoder:
    """Bytes of the event stream in, deltas out; keeps the incomplete last line.

    A `failure` is kept rather than raised, so that what came before it in the same bytes is not
    lost.
    """

    def __init__(self) -> None:
        self.failure: ProviderError | None = None
        self.finished = False
        self.done = False
        self._rest = b""
        self._signature = ""
        self._counts = _Counts()

    def feed(self, data: bytes) -> list[Delta]:
        lines = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        self._rest = lines.pop()
        deltas: list[Delta] = []
        try:
            for line in lines:
                # The name on an event's own line is in its data too.
                if line.startswith(b"data:"):
                    self._read(line[5:], deltas)
            if len(self._rest) > _MAX_LINE:
                raise ProviderError("protocol", "a line of the stream is too long")
        except ProviderError as error:
            self.failure = error
        return deltas

    def _read(self, data: bytes, deltas: list[Delta]) -> None:
        event = _decode(_event_decoder, data)
        kind = event.type
        if kind == "content_block_delta":
            if event.delta is not None:
                self._read_block(event.delta, deltas)
        elif kind == "content_block_start":
            block = event.content_block
            if block is not None:
                self._read_block(block, deltas)
                if block.type == "redacted_thinking" and block.data:
                    deltas.append(PartMetadata("reasoning", {_API: {"redactedData": block.data}}))
        elif kind == "content_block_stop":
            if self._signature:
                deltas.append(PartMetadata("reasoning", {_API: {"signature": self._signature}}))
                self._signature = ""
        elif kind == "message_start":
            message = event.message or _Message()
            deltas.append(ResponseStart(message.id, message.model))
            if message.usage is not None:
                deltas.append(self._counts.merge(message.usage))
        elif kind == "message_delta":
            if event.usage is not None:
                deltas.append(self._counts.merge(event.usage))
            reason = event.delta.stop_reason if event.delta is not None else None
            if reason is not None:
                self.finished = True
                deltas.append(Finish(_REASONS.get(reason, reason)))
        elif kind == "message_stop":
            self.done = self.finished
        elif kind == "error":
            error = event.error or _Error()
            status = _STATUS_OF.get(error.type, 500)
            said = f"{error.type}: {error.message}"
            raise ProviderError(classify(status, error.message), said)

    def _read_block(self, block: _Block, deltas: list[Delta]) -> None:
        if block.text:
            deltas.append(TextDelta(block.text))
        elif block.thinking:
            deltas.append(ReasoningDelta(block.thinking))
        if block.signature:
            self._signature += block.signature


async def _drain(reads: AsyncIterator[bytes]) -> None:
    """Read what follows the last event, so that the connection can serve the next call."""
    with suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(_DRAIN):
            async for _ in reads:
                pass
