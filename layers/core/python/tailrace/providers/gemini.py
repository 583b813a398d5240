"""Google's Gemini models, by API key or through Vertex AI.

The official SDK knows the endpoints, the request types and Google's credentials; the wire of its
answers is decoded here, since the SDK reads every chunk of it four times over. It calls no tools.

https://ai.google.dev/api/generate-content
"""

import asyncio
import base64
import binascii
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from google import genai
from google.auth.exceptions import GoogleAuthError, TransportError
from google.genai import errors, types

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
from tailrace.providers.files import not_taken, text_of
from tailrace.providers.http import (
    error_body,
    error_of,
    new_session,
    not_reached,
    reads,
    without_key,
)
from tailrace.providers.sse import EventDecoder
from tailrace.settings import Capability, ProviderSettings

_BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
_VERTEX_VERSION = "v1beta1"
_STREAM_METHOD = ":streamGenerateContent"

# https://ai.google.dev/gemini-api/docs/image-understanding#supported-formats
_FILE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf"})

# Of the models that generate content: those whose content is no answer in text.
_NO_CHAT = re.compile(r"-tts|-image|-audio|-live|-robotics|-computer-use")
# https://ai.google.dev/gemini-api/docs/thinking#levels-budgets
_NO_THINKING = re.compile(r"gemini-(1|2\.0)|gemma|learnlm")
_THINKS_BY_BUDGET = re.compile(r"gemini-2\.5")
_BUDGETS = {"none": 0, "low": 1024, "medium": 8192, "high": 24576}
_LEAST_BUDGET_OF_PRO = 128

_FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "ESCALATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
}


class Gemini:
    """The Gemini API with ``api_key``, or Vertex AI with ``project`` and ``location``."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.name = settings.name
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._client: genai.Client | None = None

    async def stream(self, request: ModelRequest) -> AsyncGenerator[list[Delta]]:
        decoder = _ChunkDecoder()
        response = await self._open(request)
        try:
            async for data in reads(response):
                yield decoder.feed(data)
                if decoder.failure is not None:
                    raise without_key(self._settings, decoder.failure)
        except ProviderError as error:
            # A connection that breaks after the model has ended takes nothing from its answer.
            if error.type != "incomplete" or not decoder.finished:
                raise
        finally:
            response.close()
        if not decoder.finished:
            raise ProviderError("incomplete", "the stream ended without a finish reason")

    async def models(self) -> list[ModelInfo]:
        async with self._bounded() as client:
            listing = [model async for model in await client.aio.models.list()]
        return [_info(model) for model in listing if _chats(model)]

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """Ask ``countTokens``; a system prompt is counted as a user's message by the Gemini API."""
        contents = _contents(request)
        config = None
        if request.system and self._settings.project is not None:
            config = types.CountTokensConfig(system_instruction=request.system)
        elif request.system:
            # Only Vertex counts a system instruction as such.
            contents.insert(0, types.UserContent([types.Part(text=request.system)]))
        async with self._bounded() as client:
            count = await client.aio.models.count_tokens(
                model=request.model, contents=contents, config=config
            )
        return count.total_tokens

    async def close(self) -> None:
        session, self._session, self._client = self._session, None, None
        if session is not None:
            await session.close()

    async def _open(self, request: ModelRequest) -> aiohttp.ClientResponse:
        """Let the SDK send a request; return the response, which it has not read."""
        contents, config = _contents(request), _config(request)
        try:
            stream = await self._genai().aio.models.generate_content_stream(
                model=request.model, contents=contents, config=config
            )
            async for _ in stream:
                break
        except _Opened as opened:
            return opened.response
        except GoogleAuthError as error:
            raise _without_credentials(error) from None
        raise ProviderError("protocol", "the SDK asked for no stream")

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[genai.Client]:
        """Bound a call that is no stream, and classify what the SDK makes of its answer."""
        limit = self._settings.first_chunk_timeout
        try:
            async with asyncio.timeout(limit):
                yield self._genai()
        except TimeoutError:
            raise ProviderError("timeout", f"no answer within {limit:g} s") from None
        except GoogleAuthError as error:
            raise _without_credentials(error) from None
        except aiohttp.ClientError as error:
            raise not_reached(self._settings, error) from None
        except (ValueError, errors.APIError) as error:
            raise ProviderError("protocol", f"{type(error).__name__}: {error}") from None

    def _genai(self) -> genai.Client:
        if self._client is None:
            settings = self._settings
            if settings.api_key is None and settings.project is None:
                raise ProviderError("authentication", "neither api_key nor project is set")
            self._session = new_session(settings, middlewares=(self._take,))
            if settings.project is not None:
                location = settings.location or "global"
                base_url, version = settings.base_url or _vertex_url(location), _VERTEX_VERSION
                identity: dict[str, Any] = {"project": settings.project, "location": location}
            else:
                assert settings.api_key is not None
                base_url, version = settings.base_url or _BASE_URL, "v1beta"
                identity = {"api_key": settings.api_key.get_secret_value()}
            root, _, last = base_url.rstrip("/").rpartition("/")
            if re.fullmatch(r"v\d\w*", last):
                base_url, version = root, last
            # One for all: the SDK would load the authorities for each of its transports anew.
            tls = ssl.create_default_context()
            # All of it is told, so that the environment has no say.
            self._client = genai.Client(
                vertexai=settings.project is not None,
                http_options=types.HttpOptions(
                    base_url=base_url,
                    api_version=version,
                    aiohttp_client=self._session,
                    client_args={"verify": tls},
                    async_client_args={"verify": tls, "ssl": tls},
                ),
                **identity,
            )
        return self._client

    async def _take(
        self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send what the SDK built; classify failures, and take streams from the SDK unread.

        The SDK follows redirects with its key and tries again after a failure: neither is reached
        when this raises.
        """
        try:
            response = await send(request)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise not_reached(self._settings, error) from None
        if response.status != 200:
            try:
                body = await error_body(response)
            finally:
                response.close()
            error = error_of(response.status, response.headers, body, response.reason or "")
            raise without_key(self._settings, _with_details(error, body))
        if request.url.path.endswith(_STREAM_METHOD):
            raise _Opened(response)
        return response


class _Opened(Exception):
    """Carries the response of a stream out of the SDK."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response


def _without_credentials(error: GoogleAuthError) -> ProviderError:
    words = f"{type(error).__name__}: {error}"
    return ProviderError(
        "connection" if isinstance(error, TransportError) else "authentication", words
    )


def _vertex_url(location: str) -> str:
    """https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations"""
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _contents(request: ModelRequest) -> list[Any]:
    contents: list[Any] = []
    for message in request.messages:
        parts = [part for part in map(_part, message.parts) if part is not None]
        if parts:
            contents.append(_content_of(message)(parts))
    return contents


def _content_of(message: PromptMessage) -> type[types.UserContent] | type[types.ModelContent]:
    return types.UserContent if message.role == "user" else types.ModelContent


def _part(part: TextPart | ReasoningPart | FilePart) -> types.Part | None:
    if isinstance(part, FilePart):
        if part.media_type in _FILE_TYPES:
            return types.Part(inline_data=types.Blob(data=part.data, mime_type=part.media_type))
        if part.media_type.startswith("text/"):
            return types.Part(text=text_of(part))
        raise not_taken(part)
    metadata = (part.provider_metadata or {}).get("google", {})
    signature = None
    try:
        if "thoughtSignature" in metadata:
            signature = base64.b64decode(metadata["thoughtSignature"], validate=True)
    except (binascii.Error, TypeError, ValueError):
        signature = None
    if isinstance(part, ReasoningPart):
        if signature is None:
            return None
        return types.Part(text=part.text, thought=True, thought_signature=signature)
    return types.Part(text=part.text, thought_signature=signature)


def _config(request: ModelRequest) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        system_instruction=request.system or None,
        max_output_tokens=request.max_output_tokens,
        temperature=request.temperature,
        thinking_config=_thinking(request),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )


def _thinking(request: ModelRequest) -> types.ThinkingConfig | None:
    effort, model = request.reasoning_effort, request.model
    if effort is None or _NO_THINKING.search(model):
        return None
    pro = "pro" in model
    if _THINKS_BY_BUDGET.search(model):
        # Thoughts are output: an answer needs some of it as well.
        budget = min(_BUDGETS[effort], request.max_output_tokens // 2)
        if pro:
            budget = max(budget, _LEAST_BUDGET_OF_PRO)
        return types.ThinkingConfig(thinking_budget=budget, include_thoughts=effort != "none")
    if effort == "none":
        # Their thinking cannot be turned off.
        level = types.ThinkingLevel.LOW if pro else types.ThinkingLevel.MINIMAL
        return types.ThinkingConfig(thinking_level=level, include_thoughts=False)
    return types.ThinkingConfig(
        thinking_level=types.ThinkingLevel(effort.upper()), include_thoughts=True
    )


def _chats(model: types.Model) -> bool:
    name = _name(model)
    if _NO_CHAT.search(name):
        return False
    # Vertex does not tell the actions of its publishers' models.
    if model.supported_actions is None:
        return name.startswith("gemini-") and "embedding" not in name
    return "generateContent" in model.supported_actions


def _name(model: types.Model) -> str:
    return (model.name or "").rpartition("/")[2]


def _info(model: types.Model) -> ModelInfo:
    name = _name(model)
    capabilities: set[Capability] = {"reasoning"} if model.thinking else set()
    if name.startswith("gemini-"):
        capabilities |= {"vision", "documents", "tools"}
    return ModelInfo(
        name=name,
        display_name=model.display_name,
        context_window=model.input_token_limit,
        output_limit=model.output_token_limit,
        capabilities=frozenset(capabilities),
    )


class _Part(msgspec.Struct, rename="camel", gc=False):
    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: dict[str, Any] | None = None


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel", gc=False):
    content: _Content | None = None
    finish_reason: str | None = None


class _PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None

    def normalised(self) -> Usage:
        """Gemini's prompt includes what was cached; its candidates do not include thoughts."""
        outputs = [self.candidates_token_count, self.thoughts_token_count]
        told = [count for count in outputs if count is not None]
        return Usage(
            input_tokens=self.prompt_token_count,
            output_tokens=sum(told) if told else None,
            cache_read_input_tokens=self.cached_content_token_count,
            reasoning_output_tokens=self.thoughts_token_count,
        )


class _Chunk(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _PromptFeedback | None = None
    usage_metadata: _Usage | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: dict[str, Any] | None = None


class _Detail(msgspec.Struct, rename="camel"):
    """One of google.rpc's details of an error: RetryInfo or ErrorInfo."""

    reason: str | None = None
    retry_delay: str | None = None


class _Status(msgspec.Struct):
    code: int = 500
    details: list[_Detail] = []


class _ErrorBody(msgspec.Struct):
    error: _Status


_chunk_decoder = msgspec.json.Decoder(_Chunk)
_error_decoder = msgspec.json.Decoder(_ErrorBody)


class _ChunkDecoder(EventDecoder):
    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._called_tools = False

    def _read(self, payload: bytes, deltas: list[Delta]) -> None:
        chunk = _chunk_decoder.decode(payload)
        if chunk.error is not None:
            status = _status_in(payload) or _Status()
            raise _with_details(error_of(status.code, {}, payload), payload)
        if not self._started:
            self._started = True
            deltas.append(ResponseStart(chunk.response_id, chunk.model_version))
        for candidate in chunk.candidates or ():
            for part in (candidate.content and candidate.content.parts) or ():
                self._read_part(part, deltas)
        # With every chunk the totals so far.
        if chunk.usage_metadata is not None:
            deltas.append(chunk.usage_metadata.normalised())
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
            self._finish("content_filter", deltas)
        for candidate in chunk.candidates or ():
            if candidate.finish_reason:
                self._finish(candidate.finish_reason, deltas)

    def _read_part(self, part: _Part, deltas: list[Delta]) -> None:
        if part.text:
            deltas.append(ReasoningDelta(part.text) if part.thought else TextDelta(part.text))
        if part.function_call is not None:
            self._called_tools = True
        elif part.thought_signature:
            metadata = {"google": {"thoughtSignature": part.thought_signature}}
            deltas.append(PartMetadata("reasoning" if part.thought else "text", metadata))

    def _finish(self, reason: str, deltas: list[Delta]) -> None:
        if self.finished:
            return
        self.finished = True
        reason = _FINISH_REASONS.get(reason, reason)
        if reason == "stop" and self._called_tools:
            reason = "tool_calls"
        deltas.append(Finish(reason))


def _with_details(error: ProviderError, body: bytes) -> ProviderError:
    """Add what google.rpc's details tell: how long to wait, and that the key is not valid.

    https://google.aip.dev/193
    """
    kind, wait = error.type, error.retry_after
    status = _status_in(body)
    for detail in status.details if status else ():
        if detail.reason == "API_KEY_INVALID":
            kind = "authentication"
        if detail.retry_delay and wait is None:
            wait = _seconds(detail.retry_delay)
    return ProviderError(kind, error.message, retry_after=wait)


def _status_in(body: bytes) -> _Status | None:
    try:
        return _error_decoder.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _seconds(duration: str) -> float | None:
    """Read a Duration in its JSON form, such as ``34.5s``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)s", duration)
    return float(match[1]) if match else None
