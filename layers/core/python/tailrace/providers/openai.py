"""OpenAI's Responses API.

Responses rather than chat completions: only there do reasoning models tell summaries of their
reasoning, and take it back (encrypted, nothing stored at OpenAI) in the next turn. The wire is
decoded here rather than by the typed SDK, which takes over a second to import and several times
as long per event. It calls no tools and keeps no conversation at OpenAI.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

import re
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from tailrace.providers.base import (
    Delta,
    FilePart,
    Finish,
    ModelInfo,
    ModelRequest,
    PartMetadata,
    PromptMessage,
    ProviderError,
    ReasoningDelta,
    ReasoningPart,
    ResponseStart,
    TextDelta,
    TextPart,
    Usage,
)
from tailrace.providers.files import IMAGE_TYPES, data_url, not_taken, text_of
from tailrace.providers.http import HttpClient, drain, reads
from tailrace.providers.openai_errors import error_in_stream
from tailrace.providers.sse import EventDecoder
from tailrace.settings import Capability, ProviderSettings

_BASE_URL = "https://api.openai.com/v1"

# Of the models that the API lists: those that answer no text request.
# https://platform.openai.com/docs/models
_NO_CHAT = re.compile(
    r"embedding|whisper|tts|dall-e|moderation|image|realtime|audio|transcribe|translate|sora"
    r"|babbage|davinci|instruct|search-api"
)
_NO_REASONING = re.compile(r"(ft:)?(gpt-3|gpt-4|gpt-5-chat|chatgpt-)")
_NO_FILES = re.compile(r"(ft:)?(gpt-3|gpt-4($|-\d)|o1-mini|o1-preview|o3-mini)")
# The least reasoning of the models whose reasoning cannot be turned off.
_LEAST_EFFORT = (
    (re.compile(r"o\d"), "low"),
    (re.compile(r"gpt-5(-mini|-nano)?($|-\d)"), "minimal"),
    (re.compile(r"gpt-5-"), "low"),
)

# Context window and output limit of the families, the first that matches; what is newer than all
# of them is taken for a large one.
# https://platform.openai.com/docs/models
_WINDOWS = (
    (re.compile(r"(ft:)?gpt-3"), 16_385, 4_096),
    (re.compile(r"(ft:)?(gpt-4o|chatgpt-4o)"), 128_000, 16_384),
    (re.compile(r"(ft:)?gpt-4\.1"), 1_047_576, 32_768),
    (re.compile(r"(ft:)?gpt-4-(turbo|\d+-preview)"), 128_000, 4_096),
    (re.compile(r"(ft:)?gpt-4"), 8_192, 8_192),
    (re.compile(r"o1-(mini|preview)"), 128_000, 32_768),
    (re.compile(r"o\d"), 200_000, 100_000),
    (re.compile(r"gpt-5(\.\d)?-chat|gpt-5\.3"), 128_000, 16_384),
    (re.compile(r"gpt-5(\.[12])?($|-)|gpt-5\.\d-(mini|nano)"), 400_000, 128_000),
    (re.compile(r""), 1_000_000, 128_000),
)

_INCOMPLETE_REASONS = {"max_output_tokens": "length"}


class OpenAI:
    """OpenAI, or a server that speaks its Responses API at ``base_url``."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.name = settings.name
        self._base_url = (settings.base_url or _BASE_URL).rstrip("/")
        self._http = HttpClient(settings)
        self._told = {
            model.name: model.capabilities
            for model in settings.models
            if model.capabilities is not None
        }

    async def stream(self, request: ModelRequest) -> AsyncGenerator[list[Delta]]:
        reasons = "reasoning" in self._capabilities(request.model)
        body = _prompt(request, reasons) | {
            "max_output_tokens": request.max_output_tokens,
            "stream": True,
            "store": False,
        }
        if reasons:
            body["include"] = ["reasoning.encrypted_content"]
        elif request.temperature is not None:
            # Models that reason refuse one, most of them even while they do not.
            body["temperature"] = request.temperature
        decoder = _EventDecoder()
        async with self._http.open("POST", f"{self._base_url}/responses", body) as response:
            async for data in reads(response):
                yield decoder.feed(data)
                if decoder.failure is not None:
                    raise self._http.without_key(decoder.failure)
                if decoder.finished:
                    await drain(response)
                    return
        raise ProviderError("incomplete", "the stream ended before the response was completed")

    async def models(self) -> list[ModelInfo]:
        listing = await self._http.fetch("GET", f"{self._base_url}/models", _models_decoder)
        return [self._info(model.id) for model in listing.data if not _NO_CHAT.search(model.id)]

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """Ask ``POST /responses/input_tokens``."""
        body = _prompt(request, "reasoning" in self._capabilities(request.model))
        url = f"{self._base_url}/responses/input_tokens"
        return (await self._http.fetch("POST", url, _count_decoder, body)).input_tokens

    async def close(self) -> None:
        await self._http.close()

    def _info(self, model: str) -> ModelInfo:
        window, limit = next((w, limit) for family, w, limit in _WINDOWS if family.match(model))
        return ModelInfo(
            name=model,
            context_window=window,
            output_limit=limit,
            capabilities=self._capabilities(model),
        )

    def _capabilities(self, model: str) -> frozenset[Capability]:
        """Return what the settings say of a model, else what its family is documented to do."""
        if model in self._told:
            return self._told[model]
        capabilities: set[Capability] = {"tools"}
        if not _NO_REASONING.match(model):
            capabilities.add("reasoning")
        if not _NO_FILES.match(model):
            capabilities |= {"vision", "documents"}
        return frozenset(capabilities)


def _prompt(request: ModelRequest, reasons: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": request.model,
        "input": [item for message in request.messages for item in _items(message)],
    }
    if request.system:
        body["instructions"] = request.system
    if reasons and request.reasoning_effort == "none":
        least = (effort for family, effort in _LEAST_EFFORT if family.match(request.model))
        body["reasoning"] = {"effort": next(least, "none")}
    elif reasons and request.reasoning_effort is not None:
        body["reasoning"] = {"effort": request.reasoning_effort, "summary": "auto"}
    return body


def _items(message: PromptMessage) -> list[dict[str, Any]]:
    if message.role == "user":
        return [{"role": "user", "content": [_content(part) for part in message.parts]}]
    items: list[dict[str, Any]] = []
    for part in message.parts:
        ours = getattr(part, "provider_metadata", None) or {}
        metadata = ours.get("openai", {})
        if isinstance(part, TextPart) and part.text:
            item = {"role": "assistant", "content": part.text}
            if "phase" in metadata:
                item["phase"] = metadata["phase"]
            items.append(item)
        elif isinstance(part, ReasoningPart) and "reasoningEncryptedContent" in metadata:
            items.append(
                {
                    "type": "reasoning",
                    "id": metadata.get("itemId"),
                    "encrypted_content": metadata["reasoningEncryptedContent"],
                    "summary": [{"type": "summary_text", "text": part.text}] if part.text else [],
                }
            )
    # A turn that was stopped while the model thought ends in reasoning, which the API refuses.
    while items and items[-1].get("type") == "reasoning":
        items.pop()
    return items


def _content(part: TextPart | ReasoningPart | FilePart) -> dict[str, Any]:
    if not isinstance(part, FilePart):
        return {"type": "input_text", "text": part.text}
    if part.media_type in IMAGE_TYPES:
        return {"type": "input_image", "image_url": data_url(part), "detail": "auto"}
    if part.media_type == "application/pdf":
        filename = part.filename or "document.pdf"
        return {"type": "input_file", "filename": filename, "file_data": data_url(part)}
    if part.media_type.startswith("text/"):
        return {"type": "input_text", "text": text_of(part)}
    raise not_taken(part)


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None

    def normalised(self) -> Usage:
        """OpenAI's counts already include cached and reasoning tokens."""
        input, output = self.input_tokens_details, self.output_tokens_details
        return Usage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cache_read_input_tokens=input.cached_tokens if input else None,
            cache_write_input_tokens=input.cache_write_tokens if input else None,
            reasoning_output_tokens=output.reasoning_tokens if output else None,
        )


class _IncompleteDetails(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None
    error: dict[str, Any] | None = None
    incomplete_details: _IncompleteDetails | None = None


class _Item(msgspec.Struct):
    type: str = ""
    id: str | None = None
    encrypted_content: str | None = None
    phase: str | None = None


class _Event(msgspec.Struct, gc=False):
    """The fields of all events that mean something here; ``delta`` stands in the frequent ones."""

    type: str = ""
    delta: Any = None
    summary_index: int = 0
    response: _Response | None = None
    item: _Item | None = None
    error: dict[str, Any] | str | None = None
    code: str | int | None = None
    message: str | None = None


class _Model(msgspec.Struct):
    id: str


class _ModelList(msgspec.Struct):
    data: list[_Model]


class _Count(msgspec.Struct):
    input_tokens: int


_event_decoder = msgspec.json.Decoder(_Event)
_models_decoder = msgspec.json.Decoder(_ModelList)
_count_decoder = msgspec.json.Decoder(_Count)


class _EventDecoder(EventDecoder):
    def __init__(self) -> None:
        super().__init__()
        self._refused = False
        self._called_tools = False

    def _read(self, payload: bytes, deltas: list[Delta]) -> None:
        event = _event_decoder.decode(payload)
        match event.type:
            case "response.output_text.delta":
                deltas.append(TextDelta(event.delta))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                deltas.append(ReasoningDelta(event.delta))
            case "response.reasoning_summary_part.added" if event.summary_index > 0:
                deltas.append(ReasoningDelta("\n\n"))
            case "response.refusal.delta":
                self._refused = True
                deltas.append(TextDelta(event.delta))
            case "response.created" if event.response is not None:
                deltas.append(ResponseStart(event.response.id, event.response.model))
            case "response.output_item.done" if event.item is not None:
                self._end_item(event.item, deltas)
            case "response.completed" | "response.incomplete" if event.response is not None:
                self._finish(event.response, deltas)
            case "response.failed":
                response = event.response or _Response()
                if response.usage is not None:
                    deltas.append(response.usage.normalised())
                raise error_in_stream(response.error or "the response failed")
            case "error" | "":
                told = {"code": event.code, "message": event.message}
                raise error_in_stream(event.error or told)

    def _end_item(self, item: _Item, deltas: list[Delta]) -> None:
        if item.type == "reasoning" and item.encrypted_content:
            metadata = {"itemId": item.id, "reasoningEncryptedContent": item.encrypted_content}
            deltas.append(PartMetadata("reasoning", {"openai": metadata}))
        elif item.type == "message" and item.phase:
            metadata = {"itemId": item.id, "phase": item.phase}
            deltas.append(PartMetadata("text", {"openai": metadata}))
        elif item.type in ("function_call", "custom_tool_call"):
            self._called_tools = True

    def _finish(self, response: _Response, deltas: list[Delta]) -> None:
        self.finished = True
        if response.usage is not None:
            deltas.append(response.usage.normalised())
        reason = response.incomplete_details.reason if response.incomplete_details else None
        if reason is not None:
            reason = _INCOMPLETE_REASONS.get(reason, reason)
        elif self._refused:
            reason = "content_filter"
        else:
            reason = "tool_calls" if self._called_tools else "stop"
        deltas.append(Finish(reason))
