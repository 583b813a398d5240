"""The HTTP of adapters that speak a wire themselves: one session, reads as they arrive, errors.

Called by adapters alone. It never follows a redirect, reads no environment, retries nothing and
does not bound the waits of a stream: whoever reads the stream does.
"""

import asyncio
import re
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeVar

import aiohttp
import msgspec
from yarl import URL

from tailrace.providers.base import Delta, ErrorType, ProviderError
from tailrace.settings import ProviderSettings

T = TypeVar("T")

_MAX_ERROR_BODY = 1 << 16
# Characters of a provider's words.
_MAX_WORDS = 500
# An answer that is not a stream: OpenRouter's list of models has a megabyte.
_MAX_BODY = 1 << 25
# Seconds for the body of an error, which is worth less than telling that there was one.
_ERROR_BODY_TIMEOUT = 5.0
# Seconds worth waiting for the end of a body, against a new connection for the next call.
_DRAIN = 0.1

_TOO_LONG = re.compile(
    r"context.*(length|size|window|limit|exceed|overflow)|(length|size|exceed).*context"
    r"|(prompt|input|request) is too long|token count.*exceeds",
    re.IGNORECASE | re.DOTALL,
)
_BY_STATUS: dict[int, ErrorType] = {
    401: "authentication",
    403: "permission",
    404: "not_found",
    408: "timeout",
    429: "rate_limited",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}


class StreamDecoder(Protocol):
    """Bytes of a stream in, deltas out.

    A `failure` is kept rather than raised, so that what came before it in the same bytes is not
    lost. ``finished`` tells that the model has ended.
    """

    failure: ProviderError | None
    finished: bool

    def feed(self, data: bytes) -> list[Delta]: ...


class HttpClient:
    """Connections to one provider, with its key as a bearer token.

    Parameters
    ----------
    refusal
        Reads a response that is no 200, and returns the error it stands for.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        refusal: Callable[[aiohttp.ClientResponse], Awaitable[ProviderError]] | None = None,
    ) -> None:
        self._settings = settings
        self._refusal = refusal or refusal_of
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def open(
        self,
        method: str,
        url: str | URL,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request; yield the response of one that was accepted.

        The connection is closed on leaving, unless the response was read to its end.

        Parameters
        ----------
        body
            JSON as bytes, or anything `msgspec.json` encodes.
        headers
            What proves who asks, in the place of the bearer token.

        Raises
        ------
        ProviderError
            ``connection``, ``timeout`` (to connect), or what `refusal` makes of a status
            other than 200.
        """
        data = body
        if body is not None and not isinstance(body, bytes):
            data = msgspec.json.encode(body)
        if headers is None:
            headers = self._bearer()
        try:
            try:
                response = await self._send(method, url, data, headers)
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError):
                # A kept connection that its server had closed: llama.cpp says that it keeps one
                # and closes it after every stream.
                response = await self._send(method, url, data, headers)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise not_reached(self._settings, error) from None
        try:
            if response.status != 200:
                raise self.without_key(await self._refusal(response))
            yield response
        finally:
            response.close()

    async def fetch(
        self, method: str, url: str, decoder: msgspec.json.Decoder[T], body: Any = None
    ) -> T:
        """Send a request and decode its whole answer, within ``first_chunk_timeout``.

        Raises
        ------
        ProviderError
            As `open`; ``timeout`` for the whole; ``protocol`` for an answer of another shape.
        """
        limit = self._settings.first_chunk_timeout
        try:
            async with asyncio.timeout(limit), self.open(method, url, body) as response:
                content = await _read(response, _MAX_BODY)
        except TimeoutError:
            raise ProviderError("timeout", f"no answer within {limit:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise not_reached(self._settings, error) from None
        try:
            return decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProviderError("protocol", f"{method} {url}: {error}") from None

    async def deltas(
        self, response: aiohttp.ClientResponse, decoder: "StreamDecoder"
    ) -> AsyncGenerator[list[Delta]]:
        """Yield what each read of a stream holds, until the server ends it.

        Raises
        ------
        ProviderError
            The decoder's failure; ``incomplete`` when the connection breaks before the model ends.
        """
        try:
            async for data in reads(response):
                yield decoder.feed(data)
                if decoder.failure is not None:
                    raise self.without_key(decoder.failure)
        except ProviderError as error:
            # A connection that breaks after the model has ended takes nothing from its answer.
            if error.type != "incomplete" or not decoder.finished:
                raise

    async def _send(
        self, method: str, url: str | URL, data: bytes | None, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        # A redirect would carry the key to an address nobody configured.
        return await self._client().request(
            method, url, data=data, headers=headers, allow_redirects=False
        )

    def without_key(self, error: ProviderError) -> ProviderError:
        """Return the error, its words not showing the key, should the provider repeat it."""
        return without_key(self._settings, error)

    async def close(self) -> None:
        """Close idle connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = new_session(self._settings, {"content-type": "application/json"})
        return self._session

    def _bearer(self) -> dict[str, str]:
        key = self._settings.api_key
        return {"authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}


class _Connector(aiohttp.TCPConnector):
    """Bounds connecting (name, address and TLS together), whatever a request says of timeouts."""

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(limit=0, keepalive_timeout=30)
        self._seconds = settings.connect_timeout

    async def connect(
        self, req: aiohttp.ClientRequest, traces: Any, timeout: aiohttp.ClientTimeout
    ) -> Any:
        async with asyncio.timeout(self._seconds):
            return await super().connect(req, traces, timeout)


def new_session(
    settings: ProviderSettings,
    headers: Mapping[str, str] | None = None,
    middlewares: Sequence[aiohttp.ClientMiddlewareType] = (),
) -> aiohttp.ClientSession:
    """Return a session that keeps connections, no cookies, and reads nothing of the environment."""
    return aiohttp.ClientSession(
        headers=headers,
        middlewares=middlewares,
        connector=_Connector(settings),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
        read_bufsize=1 << 18,
    )


async def reads(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """Yield the body as it arrives.

    Raises
    ------
    ProviderError
        ``incomplete`` when the connection breaks before the end.
    """
    content = response.content
    try:
        while not content.at_eof():
            yield await content.readany()
    except (aiohttp.ClientError, OSError) as error:
        raise ProviderError("incomplete", f"{type(error).__name__}: {error}") from None


async def drain(response: aiohttp.ClientResponse) -> None:
    """Read what follows the last event, so that the connection can serve the next call."""
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_DRAIN):
            await response.content.read()


def not_reached(
    settings: ProviderSettings, error: TimeoutError | aiohttp.ClientError | OSError
) -> ProviderError:
    """Return what a request is that got no response at all."""
    if isinstance(error, TimeoutError):
        return ProviderError("timeout", f"no connection within {settings.connect_timeout:g} s")
    return ProviderError("connection", f"{type(error).__name__}: {error}")


def without_key(settings: ProviderSettings, error: ProviderError) -> ProviderError:
    """Return the error, its words not showing the key, should the provider repeat it.

    Only then they are cut: half a key would not be found.
    """
    key = settings.api_key.get_secret_value() if settings.api_key is not None else ""
    message = error.message.replace(key, "[key]") if key else error.message
    return ProviderError(error.type, message[:_MAX_WORDS], retry_after=error.retry_after)


async def refusal_of(response: aiohttp.ClientResponse) -> ProviderError:
    """Read a response that is no 200, and return the error it stands for."""
    body = await error_body(response)
    return error_of(response.status, response.headers, body, response.reason or "")


async def error_body(response: aiohttp.ClientResponse) -> bytes:
    """Return as much of the body as an error is worth waiting for."""
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_ERROR_BODY_TIMEOUT):
            return await _read(response, _MAX_ERROR_BODY)
    return b""


def error_of(
    status: int, headers: Mapping[str, str], body: bytes, reason: str = ""
) -> ProviderError:
    """Return the error that a response stands for, with the seconds it asks to wait."""
    try:
        value = msgspec.json.decode(body)
        message = message_in(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = body.decode("utf-8", "replace")
    message = message or reason
    return ProviderError(
        classify(status, message),
        f"HTTP {status}: {message}",
        retry_after=retry_after(headers),
    )


def classify(status: int, message: str) -> ErrorType:
    """Return the class of a failure by its HTTP status and the provider's words."""
    if status in (400, 413, 422) and _TOO_LONG.search(message, 0, _MAX_WORDS):
        return "context_length"
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 400 <= status < 500:
        return "invalid_request"
    return "server_error" if status >= 500 else "protocol"


def message_in(value: Any) -> str:
    """Find the sentence in ``{"error": {"message": …}}`` and its variants."""
    while isinstance(value, dict | list):
        if isinstance(value, list):
            value = value[0] if value else ""
        else:
            value = value.get("error") or value.get("message") or value.get("detail") or ""
    return str(value)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``retry-after-ms`` or ``retry-after`` (seconds or a date) asks for.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value else None
    except ValueError:
        return None
    # NaN and infinity are numbers to float(), and no time to wait.
    return number if number is not None and 0 <= number < 1e9 else None


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body to its end; what is longer than `limit` is cut there."""
    pieces: list[bytes] = []
    size = 0
    while size < limit:
        piece = await response.content.readany()
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)[:limit]
