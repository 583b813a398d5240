"""OpenAI's chat completions and the many servers that speak it: llama.cpp, Ollama, vLLM, OpenAI.

The wire is decoded here, on aiohttp and msgspec, since a typed SDK costs several times as much per
chunk. https://platform.openai.com/docs/api-reference/chat-streaming
"""

from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from tailrace.providers.base import (
    Delta,
    FilePart,
    Finish,
    ModelInfo,
    ModelRequest,
    PromptPart,
    ProviderError,
    ReasoningDelta,
    ResponseStart,
    TextDelta,
    Usage,
)
from tailrace.providers.discovery import Discovery, Server, server_root
from tailrace.providers.files import IMAGE_TYPES, data_url, not_taken, text_of
from tailrace.providers.http import HttpClient, drain, reads
from tailrace.providers.openai_errors import error_in_stream
from tailrace.providers.sse import EventDecoder
from tailrace.providers.think import ThinkSplitter
from tailrace.settings import Capability, ProviderSettings


class OpenAICompatible:
    """A server that speaks chat completions at ``base_url``."""

    def __init__(self, settings: ProviderSettings) -> None:
        if settings.base_url is None:
            raise ValueError("base_url is required")
        self.name = settings.name
        self._base_url = settings.base_url.rstrip("/")
        self._http = HttpClient(settings)
        self._discovery = Discovery(self._http, self._base_url)
        self._server: Server | None = None
        self._told = {
            model.name: model.capabilities
            for model in settings.models
            if model.capabilities is not None
        }
        self._listed: dict[str, frozenset[Capability]] = {}

    async def stream(self, request: ModelRequest) -> AsyncGenerator[list[Delta]]:
        body = {
            "model": request.model,
            "messages": self._messages(request),
            "max_tokens": request.max_output_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        } | self._reasoning(request)
        if request.temperature is not None:
            body["temperature"] = request.temperature
        decoder = _ChunkDecoder()
        url = f"{self._base_url}/chat/completions"
        try:
            async with self._http.open("POST", url, body) as response:
                async for data in reads(response):
                    yield decoder.feed(data)
                    if decoder.failure is not None:
                        raise self._http.without_key(decoder.failure)
                    if decoder.done:
                        await drain(response)
                        break
            if not decoder.finished:
                raise ProviderError("incomplete", "the stream ended without a finish_reason")
        except ProviderError as error:
            # A connection that breaks after the model has ended takes nothing from its answer.
            if error.type != "incomplete" or not decoder.finished:
                held = decoder.end()
                if held:
                    yield held
                raise

    async def models(self) -> list[ModelInfo]:
        """Ask for the list, and what the server is known to tell besides."""
        listing = await self._discovery.ask()
        self._server = listing.server
        self._listed = {model.name: model.capabilities for model in listing.models}
        return listing.models

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """Ask llama.cpp or vLLM, once the list has shown that it is one of them.

        Both count the text of a prompt exactly, and an image not at all.
        """
        root = server_root(self._base_url)
        files = [p for m in request.messages for p in m.parts if isinstance(p, FilePart)]
        if any(not part.media_type.startswith("text/") for part in files):
            return None
        messages = self._messages(request)
        if self._server == "vllm":
            body: dict[str, Any] = {"model": request.model, "messages": messages}
            return (await self._http.fetch("POST", f"{root}/tokenize", _count_decoder, body)).count
        if self._server == "llama.cpp":
            body = {"model": request.model, "messages": messages}
            url = f"{root}/apply-template"
            prompt = (await self._http.fetch("POST", url, _prompt_decoder, body)).prompt
            body = {"content": prompt, "add_special": True, "parse_special": True}
            tokens = await self._http.fetch("POST", f"{root}/tokenize", _tokens_decoder, body)
            return len(tokens.tokens)
        return None

    async def close(self) -> None:
        await self._http.close()

    def _messages(self, request: ModelRequest) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        if request.system:
            messages.append({"role": "system", "content": request.system})
        for message in request.messages:
            if message.role == "assistant":
                # There is no form for reasoning of earlier turns that all servers would take.
                messages.append({"role": "assistant", "content": message.text})
                continue
            parts = [self._part(request.model, part) for part in message.parts]
            texts = [part["text"] for part in parts if part["type"] == "text"]
            # Not every server takes a list of parts; all of them take text.
            content = "\n\n".join(texts) if len(texts) == len(parts) else parts
            messages.append({"role": "user", "content": content})
        return messages

    def _part(self, model: str, part: PromptPart) -> dict[str, Any]:
        if not isinstance(part, FilePart):
            return {"type": "text", "text": part.text}
        if part.media_type in IMAGE_TYPES:
            return {"type": "image_url", "image_url": {"url": data_url(part)}}
        if part.media_type.startswith("text/"):
            return {"type": "text", "text": text_of(part)}
        # Of these servers, few take documents; most fail on them without a word.
        if part.media_type == "application/pdf" and "documents" in self._capabilities(model):
            file = {"filename": part.filename or "document.pdf", "file_data": data_url(part)}
            return {"type": "file", "file": file}
        raise not_taken(part)

    def _reasoning(self, request: ModelRequest) -> dict[str, Any]:
        effort = request.reasoning_effort
        if effort is None:
            return {}
        body: dict[str, Any] = {"reasoning_effort": effort}
        if self._server in ("llama.cpp", "vllm"):
            # There, whether to reason is for the model's chat template.
            body["chat_template_kwargs"] = {"enable_thinking": effort != "none"}
        return body

    def _capabilities(self, model: str) -> frozenset[Capability]:
        return self._told.get(model, self._listed.get(model, frozenset()))


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None  # llama.cpp, vLLM, DeepSeek
    reasoning: str | None = None  # Ollama, OpenRouter, vLLM
    refusal: str | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


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
            cache_write_input_tokens=prompt.cache_write_tokens if prompt else None,
            reasoning_output_tokens=completion.reasoning_tokens if completion else None,
        )


class _Chunk(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: dict[str, Any] | str | None = None


class _Count(msgspec.Struct):
    count: int


class _Prompt(msgspec.Struct):
    prompt: str


class _Tokens(msgspec.Struct):
    tokens: list[msgspec.Raw]


_chunk_decoder = msgspec.json.Decoder(_Chunk)
_count_decoder = msgspec.json.Decoder(_Count)
_prompt_decoder = msgspec.json.Decoder(_Prompt)
_tokens_decoder = msgspec.json.Decoder(_Tokens)

_FINISH_REASONS = {"function_call": "tool_calls", "max_tokens": "length"}


class _ChunkDecoder(EventDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.done = False
        self._started = False
        self._refused = False
        self._think: ThinkSplitter | None = ThinkSplitter()

    def feed(self, data: bytes) -> list[Delta]:
        deltas = super().feed(data)
        if self.failure is not None:
            deltas += self.end()
        return deltas

    def _read(self, payload: bytes, deltas: list[Delta]) -> None:
        if self.done:
            return
        if payload == b"[DONE]":
            self.done = True
            if self._started:
                self._finish("stop", deltas)
            return
        chunk = _chunk_decoder.decode(payload)
        if chunk.error is not None:
            raise error_in_stream(chunk.error)
        if not self._started:
            self._started = True
            deltas.append(ResponseStart(chunk.id, chunk.model))
        for choice in chunk.choices or ():
            delta = choice.delta
            if delta is not None:
                # vLLM tells the end of the reasoning and the start of the answer in one.
                if reasoning := delta.reasoning_content or delta.reasoning:
                    deltas.append(ReasoningDelta(reasoning))
                if delta.content:
                    if self._think is None:
                        deltas.append(TextDelta(delta.content))
                    else:
                        self._split(delta.content, deltas)
                elif delta.refusal:
                    self._refused = True
                    deltas.append(TextDelta(delta.refusal))
            if choice.finish_reason:
                self._finish(choice.finish_reason, deltas)
        if chunk.usage is not None:
            deltas.append(chunk.usage.normalised())

    def end(self) -> list[Delta]:
        """Return what was kept back as part of a tag; no text follows."""
        held = self._think.end() if self._think is not None else []
        self._think = None
        return list(held)

    def _split(self, content: str, deltas: list[Delta]) -> None:
        think = self._think
        assert think is not None
        deltas += think.feed(content)
        if think.done:
            self._think = None

    def _finish(self, reason: str, deltas: list[Delta]) -> None:
        if self.finished:
            return
        self.finished = True
        deltas += self.end()
        reason = "content_filter" if self._refused else _FINISH_REASONS.get(reason, reason)
        deltas.append(Finish(reason))
