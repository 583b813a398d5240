"""Amazon Bedrock's Converse API, with boto3's credentials, endpoints and signature.

boto3 finds the credentials (the function's role) and the endpoint, and botocore signs; a stream is
sent and read here, on the event loop, since boto3 builds a request at several times the cost and
waits in a thread. boto3 lists models and counts tokens, off the event loop.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

import asyncio
import base64
import re
import struct
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import quote
from zlib import crc32

import aiohttp
import boto3.session
import msgspec
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.eventstream import ChecksumMismatch, EventStreamHeaderParser, ParserError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from yarl import URL

from tailrace.providers.base import (
    Delta,
    ErrorType,
    FilePart,
    Finish,
    ModelInfo,
    ModelRequest,
    PartMetadata,
    PromptPart,
    ProviderError,
    ReasoningDelta,
    ReasoningPart,
    ResponseStart,
    TextDelta,
    TextPart,
    Usage,
)
from tailrace.providers.claude import (
    capabilities,
    context_window,
    temperature,
    thinking,
    version,
)
from tailrace.providers.http import (
    HttpClient,
    classify,
    error_body,
    message_in,
    retry_after,
    without_key,
)
from tailrace.settings import Capability, ProviderSettings

T = TypeVar("T")

# Metadata of parts under the name of this API.
_API = "bedrock"

_IMAGES = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
}
# Questions beside streams that are asked at the same time.
_AT_ONCE = 4
# Seconds before their end at which credentials are renewed.
_RENEWED_BEFORE = 15 * 60
# What names a service in a signature.
_SIGNED_FOR = "bedrock"
# What comes before a message: its size, its headers' size, and a checksum of both.
_PRELUDE = struct.Struct(">III")
# Bytes of a message beside headers and payload.
_FRAMING = 16
# Bytes, as botocore bounds payloads.
_MAX_FRAME = 24 << 20
# Kinds of messages in a stream; a stream with more of them is not remembered.
_KNOWN_HEADERS = 16
_CACHE_POINT = {"cachePoint": {"type": "default"}}

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
}
# Where the name of an error says more than its status.
# https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
_BY_NAME: dict[str, ErrorType] = {
    "expiredtoken": "authentication",
    "expiredtokenexception": "authentication",
    "incompletesignature": "authentication",
    "invalidclienttokenid": "authentication",
    "invalidsignatureexception": "authentication",
    "missingauthenticationtoken": "authentication",
    "notauthorized": "authentication",
    "unrecognizedclientexception": "authentication",
    "internalserverexception": "server_error",
    "modelerrorexception": "server_error",
    "modelnotreadyexception": "overloaded",
    "modelstreamerrorexception": "server_error",
    "modeltimeoutexception": "timeout",
    "servicequotaexceededexception": "rate_limited",
    "serviceunavailableexception": "overloaded",
    "throttlingexception": "rate_limited",
}


class _Access(msgspec.Struct, frozen=True):
    """Where and as whom a stream is asked for; without credentials, by the key of Bedrock's own."""

    endpoint: str
    region: str
    credentials: Any


class Bedrock:
    """Bedrock in a region, with the role's credentials or an API key of Bedrock's own."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.name = settings.name
        self._settings = settings
        self._http = HttpClient(settings, self._refusal_of)
        self._access: _Access | None = None
        self._finding = asyncio.Lock()
        self._boto3: boto3.session.Session | None = None
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()
        # Threads of our own: the event loop's, held by silence, would look up no names for others.
        self._threads = ThreadPoolExecutor(_AT_ONCE)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[list[Delta]]:
        inference: dict[str, Any] = {"maxTokens": request.max_output_tokens}
        if (told := temperature(request)) is not None:
            inference["temperature"] = told
        body = msgspec.json.encode({**_conversation(request), "inferenceConfig": inference})
        access = await self._accessible()
        model = quote(request.model, safe="-._~")
        url = f"{access.endpoint}/model/{model}/converse-stream"
        headers = self._signed(access, url, body) if access.credentials is not None else None
        decoder = _EventDecoder()
        async with self._http.open("POST", URL(url, encoded=True), body, headers) as response:
            if not response.content_type.startswith("application/vnd.amazon.eventstream"):
                raise ProviderError("protocol", f"the answer is {response.content_type}")
            decoder.response_id = response.headers.get("x-amzn-requestid")
            async for deltas in self._http.deltas(response, decoder):
                yield deltas
        if not decoder.finished:
            raise ProviderError("incomplete", "the stream ended without a stopReason")

    async def models(self) -> list[ModelInfo]:
        return await self._ask(self._list)

    async def count_tokens(self, request: ModelRequest) -> int | None:
        conversation = _conversation(request)

        def count() -> int:
            answer = self._client("bedrock-runtime").count_tokens(
                modelId=request.model, input={"converse": conversation}
            )
            return answer["inputTokens"]

        try:
            return await self._ask(count)
        except ProviderError as error:
            # Few models can be counted for, and a role may not be allowed to.
            if error.type in ("invalid_request", "permission", "not_found"):
                return None
            raise

    async def close(self) -> None:
        await self._http.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    async def _accessible(self) -> _Access:
        access = self._access
        if access is None or _soon_over(access.credentials):
            async with self._finding:
                access = self._access
                if access is None or _soon_over(access.credentials):
                    access = self._access = await self._ask(self._find_access)
        return access

    def _find_access(self) -> _Access:
        """Find the endpoint and, but for a key, credentials that are good for a while."""
        client = self._client("bedrock-runtime")
        credentials = None
        if self._settings.api_key is None:
            credentials = self._session().get_credentials()
            if credentials is None:
                raise NoCredentialsError
            # Renews them, should they need it.
            credentials.get_frozen_credentials()
        return _Access(client.meta.endpoint_url, client.meta.region_name, credentials)

    def _signed(self, access: _Access, url: str, body: bytes) -> dict[str, str]:
        """Return the headers of a request that is signed.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
        """
        request = AWSRequest("POST", url, {"content-type": "application/json"}, body)
        credentials = access.credentials.get_frozen_credentials()
        SigV4Auth(credentials, _SIGNED_FOR, access.region).add_auth(request)
        return dict(request.headers.items())

    async def _refusal_of(self, response: aiohttp.ClientResponse) -> ProviderError:
        """Read a response that is no 200; its kind is in a header.

        https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html
        """
        body = await error_body(response)
        name = response.headers.get("x-amzn-errortype", "").partition(":")[0]
        try:
            told = msgspec.json.decode(body)
            if isinstance(told, dict):
                # Some services of AWS write it large.
                told = told.get("Message") or told
            message = message_in(told)
        except (msgspec.DecodeError, UnicodeDecodeError):
            message = body.decode("utf-8", "replace")
        return _refusal(response.status, name, message or response.reason or "", response.headers)

    def _list(self) -> list[ModelInfo]:
        """Return the models that answer by name, and those that answer through a profile."""
        client = self._client("bedrock")
        summaries = client.list_foundation_models(byOutputModality="TEXT")["modelSummaries"]
        offered = {
            summary["modelId"]: summary
            for summary in summaries
            if summary.get("responseStreamingSupported")
            and summary.get("modelLifecycle", {}).get("status") != "LEGACY"
        }
        models = [
            _info(name, summary.get("modelName"), summary)
            for name, summary in offered.items()
            if "ON_DEMAND" in summary.get("inferenceTypesSupported", ())
        ]
        with suppress(ClientError):
            for page in client.get_paginator("list_inference_profiles").paginate():
                for profile in page["inferenceProfileSummaries"]:
                    name = profile["models"][0]["modelArn"].rpartition("/")[2]
                    if name in offered:
                        models.append(
                            _info(
                                profile["inferenceProfileId"],
                                profile["inferenceProfileName"],
                                offered[name],
                            )
                        )
        return models

    async def _ask(self, question: Callable[[], T]) -> T:
        """Run a question to boto3 in a thread, in bounded time."""
        limit = self._settings.first_chunk_timeout

        def run() -> T:
            with self._errors():
                return question()

        try:
            async with asyncio.timeout(limit):
                return await asyncio.get_running_loop().run_in_executor(self._threads, run)
        except TimeoutError:
            raise ProviderError("timeout", f"no answer within {limit:g} s") from None

    def _session(self) -> boto3.session.Session:
        if self._boto3 is None:
            self._boto3 = boto3.session.Session()
        return self._boto3

    def _client(self, service: str) -> Any:
        """Return the client of a service; making one reads files, so it is done in a thread."""
        with self._making:
            if service not in self._clients:
                self._clients[service] = self._new_client(service)
            return self._clients[service]

    def _new_client(self, service: str) -> Any:
        settings, key = self._settings, self._settings.api_key
        client = self._session().client(
            service,
            region_name=settings.region,
            endpoint_url=settings.base_url,
            config=Config(
                connect_timeout=settings.connect_timeout,
                read_timeout=settings.first_chunk_timeout,
                retries={"total_max_attempts": 1, "mode": "standard"},
                ignore_configured_endpoint_urls=True,
                proxies={},
                signature_version=UNSIGNED if key is not None else None,
            ),
        )
        if key is not None:
            bearer = f"Bearer {key.get_secret_value()}"

            def add_key(request: Any, **_: Any) -> None:
                request.headers["authorization"] = bearer

            client.meta.events.register(f"request-created.{service}", add_key)
        return client

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the errors of boto3 into ours."""
        try:
            yield
        except ClientError as error:
            told: dict[str, Any] = dict(error.response)
            metadata, told = told.get("ResponseMetadata", {}), told.get("Error", {})
            failure = _refusal(
                metadata.get("HTTPStatusCode", 500),
                told.get("Code", ""),
                told.get("Message") or "",
                metadata.get("HTTPHeaders", {}),
            )
            raise without_key(self._settings, failure) from None
        except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
            raise self._failure("authentication", str(error)) from None
        except EndpointConnectionError as error:
            raise self._failure("connection", f"{type(error).__name__}: {error}") from None
        except (ConnectTimeoutError, ReadTimeoutError):
            limit = self._settings.connect_timeout
            raise ProviderError("timeout", f"no connection within {limit:g} s") from None
        except (HTTPClientError, OSError) as error:
            raise self._failure("connection", f"{type(error).__name__}: {error}") from None
        except BotoCoreError as error:
            raise self._failure("invalid_request", str(error)) from None

    def _failure(self, type: ErrorType, message: str) -> ProviderError:
        """Return an error whose words do not show the key, should boto3 repeat it."""
        return without_key(self._settings, ProviderError(type, message))


def _refusal(status: int, name: str, message: str, headers: Mapping[str, str]) -> ProviderError:
    return ProviderError(
        _BY_NAME.get(name.lower()) or classify(status, message),
        f"HTTP {status}: {name}: {message}",
        retry_after=retry_after(headers),
    )


def _soon_over(credentials: Credentials | None) -> bool:
    """Return whether credentials must be renewed, which may ask a server and wait for it."""
    return isinstance(credentials, RefreshableCredentials) and credentials.refresh_needed(
        _RENEWED_BEFORE
    )


def _conversation(request: ModelRequest) -> dict[str, Any]:
    """Return what a call and a count of its tokens have in common."""
    # The next turn reads what this one sent from the cache; other models refuse the mark.
    mark = [_CACHE_POINT] if _can_cache(request.model) else []
    names: set[str] = set()
    messages: list[dict[str, Any]] = []
    for message in request.messages:
        content = [block for part in message.parts for block in _blocks(part, names)]
        # A turn that was stopped while the model thought ends in thinking, which is refused.
        while content and "reasoningContent" in content[-1]:
            content.pop()
        if any("document" in block for block in content) and not any(
            "text" in block for block in content
        ):
            content.append({"text": "See the document."})
        # The roles must alternate.
        if content and messages and messages[-1]["role"] == message.role:
            messages[-1]["content"] += content
        elif content:
            messages.append({"role": message.role, "content": content})
    if not messages:
        raise ProviderError("invalid_request", "the conversation has nothing to send")
    conversation: dict[str, Any] = {"messages": messages}
    if request.system:
        conversation["system"] = [{"text": request.system}, *mark]
    messages[-1]["content"] += mark
    fields = thinking(request)
    if fields:
        conversation["additionalModelRequestFields"] = fields
    return conversation


def _can_cache(model: str) -> bool:
    """Return whether a model takes cache points.

    https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
    """
    claude = version(model)
    return "amazon.nova" in model or (claude is not None and claude >= (3, 7))


def _blocks(part: PromptPart, names: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the block of a part, if it has one; `names` are those of documents so far."""
    if isinstance(part, TextPart):
        # The API refuses text that is white space alone.
        if part.text.strip():
            yield {"text": part.text}
    elif isinstance(part, ReasoningPart):
        metadata = (part.provider_metadata or {}).get(_API, {})
        if "signature" in metadata:
            said = {"text": part.text, "signature": metadata["signature"]}
            yield {"reasoningContent": {"reasoningText": said}}
        elif "redactedData" in metadata:
            # A guest's browser may send anything.
            with suppress(TypeError, ValueError):
                data = base64.b64decode(metadata["redactedData"])
                yield {"reasoningContent": {"redactedContent": data}}
    elif part.media_type in _IMAGES:
        yield {"image": {"format": _IMAGES[part.media_type], "source": {"bytes": part.data}}}
    elif part.media_type in _DOCUMENTS or part.media_type.startswith("text/"):
        yield {
            "document": {
                "format": _DOCUMENTS.get(part.media_type, "txt"),
                "name": _document_name(part, names),
                "source": {"bytes": part.data},
            }
        }
    else:
        raise ProviderError(
            "invalid_request", f"Bedrock cannot read a file of type {part.media_type}."
        )


def _document_name(part: FilePart, names: set[str]) -> str:
    """Return a name of the few characters that are allowed, each once in a request.

    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html
    """
    stem = (part.filename or "").rpartition(".")[0] or part.filename or ""
    name = re.sub(r"[^A-Za-z0-9()\[\]-]+", " ", stem).strip()[:190] or "Document"
    unique, number = name, 1
    while unique in names:
        number += 1
        unique = f"{name} {number}"
    names.add(unique)
    return unique


def _info(name: str, display_name: str | None, summary: dict[str, Any]) -> ModelInfo:
    """Return what the list tells; of a Claude, more is known."""
    sees = "IMAGE" in summary.get("inputModalities", ())
    unseen: set[Capability] = set() if sees else {"vision", "documents"}
    seen: set[Capability] = {"vision"} if sees else set()
    return ModelInfo(
        name=name,
        display_name=display_name,
        context_window=context_window(name),
        capabilities=capabilities(name) - unseen | seen,
    )


class _Reasoning(msgspec.Struct, gc=False):
    text: str | None = None
    signature: str | None = None
    redactedContent: str | None = None


class _Piece(msgspec.Struct, gc=False):
    text: str | None = None
    reasoningContent: _Reasoning | None = None


class _Delta(msgspec.Struct, gc=False):
    delta: _Piece


class _Stop(msgspec.Struct):
    stopReason: str


class _Usage(msgspec.Struct):
    inputTokens: int | None = None
    outputTokens: int | None = None
    cacheReadInputTokens: int | None = None
    cacheWriteInputTokens: int | None = None

    def normalised(self) -> Usage:
        """The API's own input leaves out what the cache gave and took."""
        read, written, fresh = (
            self.cacheReadInputTokens,
            self.cacheWriteInputTokens,
            self.inputTokens,
        )
        return Usage(
            input_tokens=fresh + (read or 0) + (written or 0) if fresh is not None else None,
            output_tokens=self.outputTokens,
            cache_read_input_tokens=read,
            cache_write_input_tokens=written,
        )


class _Metadata(msgspec.Struct):
    usage: _Usage | None = None


class _Failure(msgspec.Struct):
    message: str = ""


_delta_decoder = msgspec.json.Decoder(_Delta)
_stop_decoder = msgspec.json.Decoder(_Stop)
_metadata_decoder = msgspec.json.Decoder(_Metadata)
_failure_decoder = msgspec.json.Decoder(_Failure)


class _Frames:
    """Cuts bytes into the messages of an event stream; keeps the incomplete last one.

    botocore's buffer reads the headers of each message anew, which are the same for each piece of
    text, and takes ten times as long.
    https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html
    """

    def __init__(self) -> None:
        self._rest = b""
        self._known: dict[bytes, dict[str, Any]] = {}

    def feed(self, data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yield the headers and the payload of each message that is whole.

        Raises
        ------
        ParserError
            When the bytes are no message.
        """
        data, at = self._rest + data, 0
        while len(data) - at >= _PRELUDE.size:
            size, headers_size, checksum = _PRELUDE.unpack_from(data, at)
            _check(data[at : at + 8], checksum)
            if not _FRAMING + headers_size <= size <= _MAX_FRAME:
                raise ParserError(f"a message of {size} bytes")
            if len(data) - at < size:
                break
            end = at + size
            _check(data[at : end - 4], int.from_bytes(data[end - 4 : end]))
            body = at + _PRELUDE.size + headers_size
            yield self._headers(data[at + _PRELUDE.size : body]), data[body : end - 4]
            at = end
        self._rest = data[at:]

    def _headers(self, data: bytes) -> dict[str, Any]:
        headers = self._known.get(data)
        if headers is None:
            try:
                headers = EventStreamHeaderParser().parse(data)
            except (struct.error, KeyError) as error:
                raise ParserError(f"headers that are none: {error}") from None
            if len(self._known) < _KNOWN_HEADERS:
                self._known[data] = headers
        return headers


def _check(data: bytes, expected: int) -> None:
    checksum = crc32(data)
    if checksum != expected:
        raise ChecksumMismatch(expected, checksum)


class _EventDecoder:
    """Bytes of the event stream in, deltas out; keeps the incomplete last frame.

    A `failure` is kept rather than raised, so that what came before it in the same bytes is not
    lost.
    """

    def __init__(self) -> None:
        self.failure: ProviderError | None = None
        self.finished = False
        self.response_id: str | None = None
        self._frames = _Frames()
        self._signature = ""

    def feed(self, data: bytes) -> list[Delta]:
        deltas: list[Delta] = []
        try:
            for headers, payload in self._frames.feed(data):
                self._read(headers, payload, deltas)
        except (ParserError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self.failure = ProviderError("protocol", str(error))
        except ProviderError as error:
            self.failure = error
        return deltas

    def _read(self, headers: dict[str, Any], payload: bytes, deltas: list[Delta]) -> None:
        if headers.get(":message-type") != "event":
            raise _failure_of(headers, payload)
        kind = headers.get(":event-type")
        if kind == "contentBlockDelta":
            self._read_piece(_delta_decoder.decode(payload).delta, deltas)
        elif kind == "contentBlockStop":
            if self._signature:
                deltas.append(PartMetadata("reasoning", {_API: {"signature": self._signature}}))
                self._signature = ""
        elif kind == "messageStart":
            deltas.append(ResponseStart(self.response_id, None))
        elif kind == "messageStop":
            reason = _stop_decoder.decode(payload).stopReason
            self.finished = True
            deltas.append(Finish(_REASONS.get(reason, reason)))
        elif kind == "metadata":
            usage = _metadata_decoder.decode(payload).usage
            if usage is not None:
                deltas.append(usage.normalised())

    def _read_piece(self, piece: _Piece, deltas: list[Delta]) -> None:
        if piece.text:
            deltas.append(TextDelta(piece.text))
        reasoning = piece.reasoningContent
        if reasoning is None:
            return
        if reasoning.text:
            deltas.append(ReasoningDelta(reasoning.text))
        if reasoning.signature:
            self._signature += reasoning.signature
        if reasoning.redactedContent:
            metadata = {_API: {"redactedData": reasoning.redactedContent}}
            deltas.append(PartMetadata("reasoning", metadata))


def _failure_of(headers: dict[str, Any], payload: bytes) -> ProviderError:
    """Return the error that a frame stands for, an ``exception`` or an ``error``."""
    name = str(headers.get(":exception-type") or headers.get(":error-code") or "")
    message = str(headers.get(":error-message") or "")
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        message = _failure_decoder.decode(payload).message or message
    status = 400 if name.lower() == "validationexception" else 500
    return ProviderError(
        _BY_NAME.get(name.lower()) or classify(status, message), f"{name}: {message}"
    )
