"""OpenAI's chat completions and the many servers that speak it: llama.cpp, Ollama, vLLM, OpenAI.

The wire is decoded here, on aiohttp and msgspec, since a typed SDK costs several times as much per
chunk. https://platform.openai.com/docs/api-reference/chat-streaming
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import msgspec

from tailrace.providers.base import (
    Delta,
    ErrorType,
    Finish,
    ModelInfo,
    ModelRequest,
    ProviderError,
    ReasoningDelta,
    ResponseStart,
    TextDelta,
    Usage,
)
from tailrace.settings import ProviderSettings

# A line longer than this is no chat completion chunk.
_MAX_LINE = 1 << 20
_MAX_ERROR_BODY = 1 << 16
# Seconds worth waiting for the end of a body, against a new connection for the next call.
_DRAIN = 0.1


class OpenAICompatible:
    """A server that speaks chat completions at ``base_url``."""

    def __init__(self, settings: ProviderSettings) -> None:
        if settings.base_url is None:
            raise ValueError("base_url is required")
        self.name = settings.name
        self._settings = settings
        self._base_url = settings.base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def stream(self, request: ModelRequest) -> AsyncGenerator[list[Delta]]:
        body = {
            "model": request.model,
            "messages": _messages(request),
            "max_tokens": request.max_output_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        decoder = _ChunkDecoder()
        async with self._request("POST", "/chat/completions", body) as response:
            if response.status != 200:
                raise await _error_of(response)
            async for data in self._reads(response):
                deltas = decoder.feed(data)
                if deltas:
                    yield deltas
                if decoder.failure is not None:
                    raise decoder.failure
                if decoder.done:
                    await _drain(response)
                    return
        if not decoder.finished:
            raise ProviderError("incomplete", "the stream ended without a finish_reason")

    async def models(self) -> list[ModelInfo]:
        async with self._request("GET", "/models") as response:
            if response.status != 200:
                raise await _error_of(response)
            try:
                async with asyncio.timeout(self._settings.first_chunk_timeout):
                    listing = _models_decoder.decode(await response.read())
            except (msgspec.DecodeError, aiohttp.ClientError, TimeoutError) as error:
                raise ProviderError("protocol", f"GET /models: {error}") from None
        return [ModelInfo(name=model.id) for model in listing.data]

    async def count_tokens(self, request: ModelRequest) -> int | None:
        return None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request; close the connection unless its response was read to the end."""
        settings = self._settings
        try:
            async with asyncio.timeout(settings.connect_timeout + settings.first_chunk_timeout):
                response = await self._client().request(
                    method,
                    self._base_url + path,
                    data=msgspec.json.encode(body) if body is not None else None,
                    # A redirect would carry the key to an address nobody configured.
                    allow_redirects=False,
                )
        except (TimeoutError, aiohttp.ServerTimeoutError):
            raise ProviderError("timeout", f"no answer from {self._base_url}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderError("connection", f"{type(error).__name__}: {error}") from None
        try:
            yield response
        finally:
            response.close()

    async def _reads(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, in bounded time from one piece to the next."""
        content = response.content
        limit = self._settings.first_chunk_timeout
        try:
            while not content.at_eof():
                async with asyncio.timeout(limit):
                    data = await content.readany()
                yield data
                limit = self._settings.chunk_timeout
        except TimeoutError:
            raise ProviderError("timeout", f"nothing arrived for {limit:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderError("incomplete", f"{type(error).__name__}: {error}") from None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"content-type": "application/json"}
            if self._settings.api_key is not None:
                headers["authorization"] = f"Bearer {self._settings.api_key.get_secret_value()}"
            self._session = aiohttp.ClientSession(
                headers=headers,
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self._settings.connect_timeout
                ),
                read_bufsize=1 << 18,
            )
        return self._session


def _messages(request: ModelRequest) -> list[dict[str, Any]]:
    messages = [{"role": m.role, "content": m.text} for m in request.messages]
    if request.system:
        messages.insert(0, {"role": "system", "content": request.system})
    return messages


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None  # llama.cpp, vLLM, DeepSeek
    reasoning: str | None = None  # Ollama, OpenRouter


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None

    def normalised(self) -> Usage:
        """OpenAI's counts already include cached and reasoning tokens."""
        prompt, completion = self.prompt_tokens_details, self.completion_tokens_details
        return Usage(
            input_tokens=self.prompt_tokens,
            output_tokens=self.completion_tokens,
            cache_read_input_tokens=prompt.cached_tokens if prompt else None,
            reasoning_output_tokens=completion.reasoning_tokens if completion else None,
        )


class _Chunk(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: dict[str, Any] | str | None = None


class _Model(msgspec.Struct):
    id: str


class _ModelList(msgspec.Struct):
    data: list[_Model]


_chunk_decoder = msgspec.json.Decoder(_Chunk)
_models_decoder = msgspec.json.Decoder(_ModelList)


class _ChunkDecoder:
    """Bytes of the event stream in, deltas out; keeps the incomplete last line.

    A `failure` is kept rather than raised, so that what came before it in the same bytes is not
    lost.
    """

    def __init__(self) -> None:
        self.failure: ProviderError | None = None
        self.finished = False
        self.done = False
        self._rest = b""
        self._started = False

    def feed(self, data: bytes) -> list[Delta]:
        lines = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        self._rest = lines.pop()
        deltas: list[Delta] = []
        try:
            for line in lines:
                if line.startswith(b"data:"):
                    payload = line[5:].strip()
                    if payload == b"[DONE]":
                        self.done = self.finished = True
                        break
                    self._read(payload, deltas)
                elif line.startswith((b"{", b"<")):
                    raise ProviderError("protocol", "the answer is not an event stream")
            if len(self._rest) > _MAX_LINE:
                raise ProviderError("protocol", "a line of the stream is too long")
        except ProviderError as error:
            self.failure = error
        return deltas

    def _read(self, payload: bytes, deltas: list[Delta]) -> None:
        try:
            chunk = _chunk_decoder.decode(payload)
        except msgspec.DecodeError as error:
            raise ProviderError("protocol", str(error)) from None
        if chunk.error is not None:
            raise ProviderError("server_error", _sentence_in(chunk.error))
        if not self._started:
            self._started = True
            deltas.append(ResponseStart(chunk.id, chunk.model))
        for choice in chunk.choices or ():
            delta = choice.delta
            if delta.content:
                deltas.append(TextDelta(delta.content))
            elif delta.reasoning_content or delta.reasoning:
                deltas.append(ReasoningDelta(delta.reasoning_content or delta.reasoning or ""))
            if choice.finish_reason:
                self.finished = True
                deltas.append(Finish(choice.finish_reason))
        if chunk.usage is not None:
            deltas.append(chunk.usage.normalised())


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read what follows ``[DONE]``, so that the connection can serve the next call."""
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_DRAIN):
            await response.content.read()


async def _error_of(response: aiohttp.ClientResponse) -> ProviderError:
    try:
        async with asyncio.timeout(5):
            body = await response.content.read(_MAX_ERROR_BODY)
    except (TimeoutError, aiohttp.ClientError):
        body = b""
    message = _message_of(body) or response.reason or ""
    return ProviderError(
        _classify(response.status, message),
        f"HTTP {response.status}: {message}",
        retry_after=_retry_after(response.headers.get("retry-after")),
    )


def _classify(status: int, message: str) -> ErrorType:
    lowered = message.lower()
    if (
        status in (400, 413, 422)
        and "context" in lowered
        and _any_in(lowered, ("length", "size", "window", "exceed"))
    ):
        return "context_length"
    by_status: dict[int, ErrorType] = {
        401: "authentication",
        403: "permission",
        404: "not_found",
        408: "timeout",
        429: "rate_limited",
        503: "overloaded",
        529: "overloaded",
    }
    if status in by_status:
        return by_status[status]
    if 400 <= status < 500:
        return "invalid_request"
    return "server_error" if status >= 500 else "protocol"


def _any_in(text: str, words: Iterable[str]) -> bool:
    return any(word in text for word in words)


def _message_of(body: bytes) -> str:
    try:
        return _sentence_in(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body[:200].decode("utf-8", "replace")


def _sentence_in(value: Any) -> str:
    """Find the sentence in ``{"error": {"message": …}}`` and its variants."""
    while isinstance(value, dict):
        value = value.get("error") or value.get("message") or value.get("detail") or ""
    return str(value)[:500]


def _retry_after(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
