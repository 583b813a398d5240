"""The router: from a model asked for to one that answers.

Tries again where that can help (exponential backoff with full jitter), goes on to the fallbacks of
a model, and passes over a provider that keeps failing. All of it ends with the first chunk: what
a reader has seen is never taken back. Called by `tailrace.runs.call`; it writes no event itself.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

import msgspec
import stamina
from stamina.instrumentation import set_on_retry_hooks

from tailrace.providers.base import (
    Delta,
    ErrorType,
    Finish,
    ModelRequest,
    PartMetadata,
    ProviderError,
    ReasoningDelta,
    TextDelta,
    Usage,
)
from tailrace.providers.health import Health
from tailrace.providers.registry import Choice
from tailrace.settings import Settings

_log = logging.getLogger(__name__)

# Full jitter: a wait is drawn between nothing and a bound that doubles up to the longest.
# https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
_FIRST_BACKOFF = 0.25
_LONGEST_BACKOFF = 8.0

# What may pass by itself.
_RETRIED: frozenset[ErrorType] = frozenset(
    {"rate_limited", "overloaded", "server_error", "connection", "incomplete", "protocol"}
)
# What another model may not suffer from; a request that is wrong in itself stays wrong.
_FALLEN_BACK_FROM: frozenset[ErrorType] = frozenset(
    {*_RETRIED, "authentication", "permission", "not_found", "context_length", "timeout"}
)
# What tells that a provider, rather than one request, is in trouble.
_TROUBLE: frozenset[ErrorType] = frozenset({*_RETRIED, "authentication", "timeout"})

_CONTENT = (TextDelta, ReasoningDelta, PartMetadata, Finish)

# Its default hook logs the error itself, and so a provider's words, which may quote a prompt.
set_on_retry_hooks([])


class FailedAttempt(msgspec.Struct, frozen=True):
    """An attempt that brought nothing; ``duration`` is in seconds.

    ``error_type`` is ``cooling`` for a provider that was passed over without a call.
    """

    provider_name: str
    request_model: str
    error_type: str
    duration: float


class Route:
    """The way of one call: whom it may ask, whom it asked, who answered.

    Parameters
    ----------
    candidates
        The model asked for, then its fallbacks, in order.

    Attributes
    ----------
    asked
        The model asked for.
    choice
        The model that answers; the one asked for as long as none does.
    failed
        What was tried in vain, in order.
    told
        The last usage that an attempt told before it ended without content.
    """

    def __init__(self, candidates: Sequence[Choice]) -> None:
        self.candidates = candidates
        self.asked = self.choice = candidates[0]
        self.failed: list[FailedAttempt] = []
        self.calls = 0
        self.told: Usage | None = None

    @property
    def attempts(self) -> int:
        """Calls made; at least one, since a call that was never made is an attempt as well."""
        return max(1, self.calls)

    @property
    def fallback_from(self) -> str | None:
        """Id of the model asked for, when another one answers."""
        return self.asked.id if self.choice is not self.asked else None

    def record(self, choice: Choice, error_type: str, duration: float) -> None:
        """Note an attempt that brought nothing."""
        self.failed.append(
            FailedAttempt(choice.provider.name, choice.model, error_type, round(duration, 3))
        )

    def note_usage(self, deltas: list[Delta]) -> None:
        """Keep what was told of tokens by an attempt that ended here."""
        self.told = next((d for d in reversed(deltas) if isinstance(d, Usage)), self.told)


#: Makes the request for one candidate, whose context window and abilities are its own.
Prepare = Callable[[Choice], Awaitable[ModelRequest]]


class Router:
    """Bounds, tries again, falls back; one for the process."""

    def __init__(self, settings: Settings, health: Health) -> None:
        self._settings = settings
        self._health = health

    async def stream(self, route: Route, prepare: Prepare) -> AsyncGenerator[list[Delta]]:
        """Yield the deltas of the first candidate that answers.

        Raises
        ------
        ProviderError
            Of the model asked for when nobody answered, else of the one that broke off.
        """
        async with aclosing(await self._first_answer(route, prepare)) as stream:
            provider = route.choice.provider.name
            limit = self._settings.provider(provider).chunk_timeout
            try:
                while True:
                    try:
                        async with asyncio.timeout(limit):
                            deltas = await anext(stream)
                    except StopAsyncIteration:
                        break
                    except TimeoutError:
                        raise ProviderError("timeout", f"nothing arrived for {limit:g} s") from None
                    yield deltas
            except ProviderError as error:
                await self._note_failure(provider, error)
                raise
        await self._health.succeeded(provider)

    async def _first_answer(self, route: Route, prepare: Prepare) -> AsyncGenerator[list[Delta]]:
        patience_ends = time.monotonic() + self._settings.first_chunk_patience
        failure: ProviderError | None = None
        for choice in await self._in_order(route):
            route.choice = choice
            try:
                return await self._try(route, choice, prepare, patience_ends)
            except ProviderError as error:
                if failure is None or choice is route.asked:
                    failure = error
                if error.type not in _FALLEN_BACK_FROM or time.monotonic() >= patience_ends:
                    break
        route.choice = route.asked
        assert failure is not None
        raise failure

    async def _in_order(self, route: Route) -> Sequence[Choice]:
        """Return the candidates, those of a provider that is cooling down last."""
        if len(route.candidates) == 1:
            return route.candidates
        cooling = await self._health.cooling({c.provider.name for c in route.candidates})
        late = [c for c in route.candidates if c.provider.name in cooling]
        if len(late) == len(route.candidates):
            return route.candidates
        for choice in late:
            route.record(choice, "cooling", 0.0)
        return [c for c in route.candidates if c not in late] + late

    async def _try(
        self, route: Route, choice: Choice, prepare: Prepare, patience_ends: float
    ) -> AsyncGenerator[list[Delta]]:
        try:
            request = await prepare(choice)
        except ProviderError as error:
            route.record(choice, error.type, 0.0)
            raise
        number = 0

        def backoff(error: Exception) -> bool | float:
            if not isinstance(error, ProviderError) or error.type not in _RETRIED:
                return False
            bound = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2 ** (number - 1))
            wait = random.uniform(0, bound)  # noqa: S311
            if error.retry_after is not None:
                wait = error.retry_after
            # A wait past the caller's patience is none worth beginning.
            return wait if time.monotonic() + wait < patience_ends else False

        async for attempt in stamina.retry_context(
            backoff, attempts=self._settings.model_attempts, timeout=None
        ):
            with attempt:
                number += 1
                began = time.monotonic()
                try:
                    return await self._begin(route, choice, request, patience_ends)
                except ProviderError as error:
                    route.record(choice, error.type, time.monotonic() - began)
                    await self._note_failure(choice.provider.name, error)
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _begin(
        self, route: Route, choice: Choice, request: ModelRequest, patience_ends: float
    ) -> AsyncGenerator[list[Delta]]:
        """Open the stream and read up to its first content, which the caller gets at once."""
        limit = min(
            self._settings.provider(choice.provider.name).first_chunk_timeout,
            max(0.0, patience_ends - time.monotonic()),
        )
        route.calls += 1
        stream = choice.provider.stream(request)
        early: list[Delta] = []
        try:
            async with asyncio.timeout(limit):
                async for deltas in stream:
                    early += deltas
                    if any(isinstance(delta, _CONTENT) for delta in deltas):
                        return _resumed(early, stream)
        except BaseException as error:
            route.note_usage(early)
            await stream.aclose()
            if isinstance(error, TimeoutError):
                raise ProviderError("timeout", f"no chunk within {limit:.3g} s") from None
            raise
        raise ProviderError("incomplete", "the stream ended without a chunk")

    async def _note_failure(self, provider: str, error: ProviderError) -> None:
        if error.type in _TROUBLE:
            await self._health.failed(provider)


async def _resumed(
    early: list[Delta], stream: AsyncGenerator[list[Delta]]
) -> AsyncGenerator[list[Delta]]:
    async with aclosing(stream):
        yield early
        async for deltas in stream:
            yield deltas
