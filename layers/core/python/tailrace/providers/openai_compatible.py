"""OpenAI's chat completions and the many servers that speak it: llama.cpp, Ollama, vLLM, OpenAI.

The wire is decoded here, on aiohttp and msgspec, since a typed SDK costs several times as much per
chunk. https://platform.openai.com/docs/api-reference/chat-streaming
"""

from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from tailrace.providers.base import (
    Delta,
    Finish,
    ModelInfo,
    ModelRequest,
    ProviderError,
    ReasoningDelta,
    ResponseStart,
    TextDelta,
    Usage,
)
from tailrace.providers.http import HttpClient, drain, message_in, reads
from tailrace.providers.sse import Payloads
from tailrace.settings import ProviderSettings


class OpenAICompatible:
    """A server that speaks chat completions at ``base_url``."""

    def __init__(self, settings: ProviderSettings) -> None:
        if settings.base_url is None:
            raise ValueError("base_url is required")
        self.name = settings.name
        self._base_url = settings.base_url.rstrip("/")
        self._http = HttpClient(settings)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[list[Delta]]:
        body = {
            "model": request.model,
            "messages": _messages(request),
            "max_tokens": request.max_output_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        decoder = _ChunkDecoder()
        async with self._http.open("POST", f"{self._base_url}/chat/completions", body) as response:
            async for data in reads(response):
                yield decoder.feed(data)
                if decoder.failure is not None:
                    raise self._http.without_key(decoder.failure)
                if decoder.done:
                    await drain(response)
                    return
        if not decoder.finished:
            raise ProviderError("incomplete", "the stream ended without a finish_reason")

    async def models(self) -> list[ModelInfo]:
        listing = await self._http.fetch("GET", f"{self._base_url}/models", _models_decoder)
        return [ModelInfo(name=model.id) for model in listing.data]

    async def count_tokens(self, request: ModelRequest) -> int | None:
        return None

    async def close(self) -> None:
        await self._http.close()


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
    """Bytes of the event stream in, deltas out.

    A `failure` is kept rather than raised, so that what came before it in the same bytes is not
    lost.
    """

    def __init__(self) -> None:
        self.failure: ProviderError | None = None
        self.finished = False
        self.done = False
        self._payloads = Payloads()
        self._started = False

    def feed(self, data: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        try:
            for payload in self._payloads.feed(data):
                if payload == b"[DONE]":
                    self.done = self.finished = True
                    break
                self._read(payload, deltas)
            self.failure = self._payloads.failure
        except ProviderError as error:
            self.failure = error
        return deltas

    def _read(self, payload: bytes, deltas: list[Delta]) -> None:
        try:
            chunk = _chunk_decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProviderError("protocol", str(error)) from None
        if chunk.error is not None:
            raise ProviderError("server_error", message_in(chunk.error))
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
