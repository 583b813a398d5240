"""Google's Gemini models, by API key or through Vertex AI.

A stream is asked for and read here: the official SDK builds a request and reads an answer at many
times the cost. Google's own library finds and renews the credentials, and the SDK lists models and
counts tokens (`gemini_sdk`, loaded when first asked). It calls no tools.

https://ai.google.dev/api/generate-content
"""

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncGenerator
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import google.auth
import msgspec
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError, TransportError
from yarl import URL

from tailrace.providers.base import (
    Delta,
    FilePart,
    Finish,
    ModelInfo,
    ModelRequest,
    PartMetadata,
    ProviderError,
    ReasoningDelta,
    ReasoningPart,
    ResponseStart,
    TextDelta,
    TextPart,
    Usage,
)
from tailrace.providers.files import not_taken, text_of
from tailrace.providers.http import HttpClient, error_body, error_of
from tailrace.providers.sse import EventDecoder
from tailrace.settings import ProviderSettings

if TYPE_CHECKING:
    from tailrace.providers.gemini_sdk import Sdk

_BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
_VERTEX_VERSION = "v1beta1"
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

# https://ai.google.dev/gemini-api/docs/image-understanding#supported-formats
_FILE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf"})

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
        self._http = HttpClient(settings, refusal_of)
        self._address = Address.of(settings)
        self._credentials: Credentials | None = None
        self._authorising = asyncio.Lock()
        self._sdk: Sdk | None = None

    async def stream(self, request: ModelRequest) -> AsyncGenerator[list[Delta]]:
        decoder = _ChunkDecoder()
        url, body, headers = self._address.stream(request.model), _body(request), await self._who()
        async with self._http.open("POST", url, body, headers) as response:
            async for deltas in self._http.deltas(response, decoder):
                yield deltas
        if not decoder.finished:
            raise ProviderError("incomplete", "the stream ended without a finish reason")

    async def models(self) -> list[ModelInfo]:
        return await (await self._listing()).models()

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """Ask ``countTokens``; a system prompt is counted as a user's message by the Gemini API."""
        return await (await self._listing()).count_tokens(
            request.model, contents(request), request.system
        )

    async def close(self) -> None:
        sdk, self._sdk = self._sdk, None
        if sdk is not None:
            await sdk.close()
        await self._http.close()

    async def _listing(self) -> "Sdk":
        """Return the SDK's client, which takes long to load."""
        # Its credentials are ours, so they are found first.
        await self._who()
        sdk = self._sdk
        if sdk is None:
            module = await asyncio.to_thread(import_module, "tailrace.providers.gemini_sdk")
            # Another may have loaded it in the meantime.
            sdk = self._sdk or module.Sdk(self._settings, self._address, self._credentials)
            self._sdk = sdk
        return sdk

    async def _who(self) -> dict[str, str]:
        """Return the headers that prove who asks.

        Raises
        ------
        ProviderError
            ``authentication`` when there are no credentials, ``connection`` when they could not be
            renewed.
        """
        settings = self._settings
        if settings.project is None:
            if settings.api_key is None:
                raise ProviderError("authentication", "neither api_key nor project is set")
            return {"x-goog-api-key": settings.api_key.get_secret_value()}
        try:
            async with self._authorising:
                credentials = self._credentials
                if credentials is None:
                    found: tuple[Credentials, Any] = await asyncio.to_thread(
                        google.auth.default, scopes=_SCOPES
                    )
                    credentials = self._credentials = found[0]
                if not credentials.valid:
                    await asyncio.to_thread(_renew, credentials)
        except GoogleAuthError as error:
            raise without_credentials(error) from None
        headers = {"authorization": f"Bearer {credentials.token}"}
        # Who pays, where the credentials say so.
        if payer := getattr(credentials, "quota_project_id", None):
            headers["x-goog-user-project"] = payer
        return headers


class Address(msgspec.Struct, frozen=True):
    """Where an API is.

    Attributes
    ----------
    root, version
        The base URL without its version, and the version.
    parent
        What comes before the name of a model: the project and location of Vertex, or nothing.
    """

    root: str
    version: str
    parent: str

    @classmethod
    def of(cls, settings: ProviderSettings) -> "Address":
        if settings.project is not None:
            location = settings.location or "global"
            base_url, version = settings.base_url or _vertex_url(location), _VERTEX_VERSION
            parent = f"projects/{settings.project}/locations/{location}/"
        else:
            base_url, version, parent = settings.base_url or _BASE_URL, "v1beta", ""
        base_url = base_url.rstrip("/")
        root, _, last = base_url.rpartition("/")
        if re.fullmatch(r"v\d\w*", last):
            return cls(root, last, parent)
        return cls(base_url, version, parent)

    def stream(self, model: str) -> URL:
        """Return the URL that streams a model's answer.

        https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.publishers.models/streamGenerateContent
        """
        if not self.parent:
            path = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
        elif model.startswith("projects/"):
            path = model
        elif model.startswith(("publishers/", "models/")):
            path = self.parent + model
        else:
            publisher, _, name = model.rpartition("/")
            path = f"{self.parent}publishers/{publisher or 'google'}/models/{name}"
        path = f"{self.version}/{quote(path)}:streamGenerateContent?alt=sse"
        return URL(f"{self.root}/{path}", encoded=True)


def _renew(credentials: Credentials) -> None:
    # Google's transport; few ever need it.
    from google.auth.transport.requests import Request

    credentials.refresh(Request())


async def refusal_of(response: aiohttp.ClientResponse) -> ProviderError:
    """Read a response that is no 200, and return the error it stands for."""
    body = await error_body(response)
    error = error_of(response.status, response.headers, body, response.reason or "")
    return _with_details(error, body)


def without_credentials(error: GoogleAuthError) -> ProviderError:
    """Return what it is that Google's library has no token."""
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


def _body(request: ModelRequest) -> dict[str, Any]:
    config: dict[str, Any] = {"maxOutputTokens": request.max_output_tokens}
    if request.temperature is not None:
        config["temperature"] = request.temperature
    thinking = _thinking(request)
    if thinking is not None:
        config["thinkingConfig"] = thinking
    body: dict[str, Any] = {"contents": contents(request), "generationConfig": config}
    if request.system:
        body["systemInstruction"] = {"parts": [{"text": request.system}]}
    return body


def contents(request: ModelRequest) -> list[dict[str, Any]]:
    """Return the messages as ``Content``, whose data are bytes.

    https://ai.google.dev/api/caching#Content
    """
    said: list[dict[str, Any]] = []
    for message in request.messages:
        parts = [part for part in map(_part, message.parts) if part is not None]
        if parts:
            said.append({"role": "user" if message.role == "user" else "model", "parts": parts})
    return said


def _part(part: TextPart | ReasoningPart | FilePart) -> dict[str, Any] | None:
    if isinstance(part, FilePart):
        if part.media_type in _FILE_TYPES:
            return {"inlineData": {"mimeType": part.media_type, "data": part.data}}
        if part.media_type.startswith("text/"):
            return {"text": text_of(part)}
        raise not_taken(part)
    signature = _signature(part)
    if isinstance(part, ReasoningPart):
        if signature is None:
            return None
        return {"text": part.text, "thought": True, "thoughtSignature": signature}
    if signature is None:
        return {"text": part.text}
    return {"text": part.text, "thoughtSignature": signature}


def _signature(part: TextPart | ReasoningPart) -> bytes | None:
    metadata = (part.provider_metadata or {}).get("google", {})
    # A guest's browser may send anything.
    try:
        return base64.b64decode(metadata["thoughtSignature"], validate=True)
    except (KeyError, binascii.Error, TypeError, ValueError):
        return None


def _thinking(request: ModelRequest) -> dict[str, Any] | None:
    effort, model = request.reasoning_effort, request.model
    if effort is None or _NO_THINKING.search(model):
        return None
    pro = "pro" in model
    if _THINKS_BY_BUDGET.search(model):
        # Thoughts are output: an answer needs some of it as well.
        budget = min(_BUDGETS[effort], request.max_output_tokens // 2)
        if pro:
            budget = max(budget, _LEAST_BUDGET_OF_PRO)
        return {"thinkingBudget": budget, "includeThoughts": effort != "none"}
    if effort == "none":
        # Their thinking cannot be turned off.
        return {"thinkingLevel": "LOW" if pro else "MINIMAL", "includeThoughts": False}
    return {"thinkingLevel": effort.upper(), "includeThoughts": True}


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
