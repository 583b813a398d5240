"""One model call as it is measured: times, tokens, outcome; at its end, the inference event.

Every call to a provider goes through `Call.deltas`, whatever it is for, so that each leaves
exactly one event.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from tailrace.providers.base import (
    Delta,
    Finish,
    ModelRequest,
    ProviderError,
    ReasoningDelta,
    ResponseStart,
    TextDelta,
    Usage,
)
from tailrace.providers.registry import Choice
from tailrace.providers.router import Route
from tailrace.runs import context
from tailrace.runs.attachments import Reader
from tailrace.services import Services
from tailrace.telemetry.event import InferenceEvent, Kind, Status
from tailrace.telemetry.redact import preview

_is_cold = True


class Call:
    """The measurements of one call.

    Parameters
    ----------
    id
        Id of the call and of its event; for a chat, of the run.
    owner_id
        User or guest.
    candidates
        The model asked for, then its fallbacks.
    request_id
        Id of the HTTP request behind the call.
    """

    def __init__(
        self,
        services: Services,
        *,
        id: UUID,
        kind: Kind,
        owner_id: UUID,
        conversation_id: UUID,
        candidates: list[Choice],
        request_id: str,
    ) -> None:
        self.id = id
        self.kind: Kind = kind
        self.owner_id = owner_id
        self.conversation_id = conversation_id
        self.route = Route(candidates)
        self.started_at = datetime.now(UTC)
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.finish: str | None = None
        self.request_id = request_id
        self._router = services.router
        self._settings = services.settings
        self._input_preview: str | None = None
        self._asked: ModelRequest | None = None
        self._reader: Reader | None = None
        self._fitted: context.Fitted | None = None
        self._response: ResponseStart | None = None
        self._usage: Usage | None = None
        self._began = self._ended = time.perf_counter()
        self._first: float | None = None
        self._last = self._began
        self._chunks = 0
        self._cold = _take_cold()

    def prepare(self, request: ModelRequest, reader: Reader | None = None) -> None:
        """Set what is asked; it is made to fit whichever model is called.

        Parameters
        ----------
        reader
            Brings the files that are in the store, where there are any.
        """
        self._asked = request
        self._reader = reader

    def opening(self, prompt: str) -> dict[str, Any]:
        """Return the row of ``runs`` that notes that the call is about to be made.

        Parameters
        ----------
        prompt
            Text of the message that the call answers.
        """
        self._input_preview = self._preview(prompt)
        return {
            "id": self.id,
            "kind": self.kind,
            "owner_id": self.owner_id,
            "conversation_id": self.conversation_id,
            "provider_name": self.route.asked.provider.name,
            "request_model": self.route.asked.model,
            "request_id": self.request_id,
            "input_preview": self._input_preview,
            "started_at": self.started_at,
        }

    async def deltas(self) -> AsyncGenerator[list[Delta]]:
        """Call the model and yield its deltas as they arrive, measured.

        Raises
        ------
        ProviderError
            As the provider does.
        """
        self._began = self._last = self._ended = time.perf_counter()
        try:
            async with aclosing(self._router.stream(self.route, self._fit)) as stream:
                async for deltas in stream:
                    self._observe(deltas)
                    yield deltas
        except ProviderError as error:
            # Silence after the end of an answer has not broken the answer.
            if error.type != "timeout" or self.finish is None:
                raise
        finally:
            self._ended = time.perf_counter()

    def usage(self) -> tuple[Usage, bool]:
        """Return the tokens of the call, and whether they are an estimate."""
        told = self._usage
        # A count told before the end is a count so far.
        whole = told is not None and None not in (told.input_tokens, told.output_tokens)
        if told is not None and whole and self.finish is not None:
            return told, False
        if self._fitted is None or (self.finish is None and self._first is None):
            # Nothing came back: what was not told is not known to have been read.
            told = told or self.route.told
            return told or Usage(), told is not None
        reasoned = context.estimate_text("".join(self.reasoning))
        estimated = Usage(
            input_tokens=context.estimate(self._fitted.request),
            output_tokens=context.estimate_text("".join(self.text)) + reasoned,
            reasoning_output_tokens=reasoned or None,
        )
        if told is None:
            return estimated, True
        # What the provider did tell before it broke off is better than any estimate.
        known = {name: n for name in Usage.__struct_fields__ if (n := getattr(told, name))}
        known["output_tokens"] = max(told.output_tokens or 0, estimated.output_tokens or 0)
        return msgspec.structs.replace(estimated, **known), True

    @property
    def omitted(self) -> dict[str, int]:
        """Earlier messages and files that the model did not get, by name, where there are any."""
        fitted = self._fitted
        if fitted is None:
            return {}
        counts = {
            "omitted_messages": fitted.omitted_messages,
            "omitted_files": fitted.omitted_files,
        }
        return {name: count for name, count in counts.items() if count}

    @property
    def duration(self) -> float:
        """Seconds from the call to its end."""
        return self._ended - self._began

    @property
    def time_to_first_chunk(self) -> float | None:
        """Seconds from the call to the first text or reasoning."""
        return None if self._first is None else self._first - self._began

    def event(self, status: Status, error: ProviderError | None = None) -> InferenceEvent:
        """Return the event of the call, which has ended."""
        settings = self._settings
        usage, estimated = self.usage()
        response = self._response
        return InferenceEvent(
            id=self.id,
            kind=self.kind,
            status=status,
            started_at=self.started_at,
            duration=self.duration,
            provider_name=self.route.choice.provider.name,
            request_model=self.route.choice.model,
            response_model=response.response_model if response else None,
            response_id=response.response_id if response else None,
            finish_reasons=[self.finish] if self.finish else [],
            error_type=error.type if error else None,
            error_message=preview(error.message, settings.preview_chars) if error else None,
            owner_id=self.owner_id,
            conversation_id=self.conversation_id,
            request_id=self.request_id,
            time_to_first_chunk=self.time_to_first_chunk,
            time_per_output_chunk=self._time_per_output_chunk(),
            input_tokens=usage.input_tokens,
            cache_read_input_tokens=usage.cache_read_input_tokens,
            cache_write_input_tokens=usage.cache_write_input_tokens,
            output_tokens=usage.output_tokens,
            reasoning_output_tokens=usage.reasoning_output_tokens,
            usage_estimated=estimated,
            attempts=self.route.attempts,
            fallback_from=self.route.fallback_from,
            cold_start=self._cold,
            input_preview=self._input_preview,
            output_preview=self._preview("".join(self.text)),
            provider_kind=self.route.choice.kind,
            metadata=self._details(),
        )

    async def _fit(self, choice: Choice) -> ModelRequest:
        assert self._asked is not None
        self._fitted = await context.fit(choice, self._asked, self._reader)
        return self._fitted.request

    def _details(self) -> dict[str, Any]:
        """Return what the event tells besides: what was tried in vain, what was left out."""
        details: dict[str, Any] = {}
        if self.route.fallback_from or self.route.calls > 1 or len(self.route.failed) > 1:
            details["failed_attempts"] = msgspec.to_builtins(self.route.failed)
        return details | self.omitted

    def _observe(self, deltas: list[Delta]) -> None:
        chunks = 0
        for delta in deltas:
            if isinstance(delta, TextDelta):
                self.text.append(delta.text)
                chunks += 1
            elif isinstance(delta, ReasoningDelta):
                self.reasoning.append(delta.text)
                chunks += 1
            elif isinstance(delta, Usage):
                self._usage = delta
            elif isinstance(delta, Finish):
                self.finish = delta.reason
            elif isinstance(delta, ResponseStart):
                self._response = delta
        if chunks:
            self._last = time.perf_counter()
            self._chunks += chunks
            if self._first is None:
                self._first = self._last

    def _time_per_output_chunk(self) -> float | None:
        if self._first is None or self._chunks < 2:
            return None
        return (self._last - self._first) / (self._chunks - 1)

    def _preview(self, text: str) -> str | None:
        return preview(text, self._settings.preview_chars) if self._settings.previews else None


def _take_cold() -> bool:
    global _is_cold
    was, _is_cold = _is_cold, False
    return was
