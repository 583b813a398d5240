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

from msgspec import structs

from tailrace.providers.base import (
    Delta,
    Finish,
    ModelRequest,
    PromptMessage,
    ProviderError,
    ReasoningDelta,
    ResponseStart,
    TextDelta,
    Usage,
)
from tailrace.providers.registry import Choice
from tailrace.settings import Settings
from tailrace.telemetry.event import InferenceEvent, Kind, Status
from tailrace.telemetry.redact import preview

# Where a provider tells no usage: characters of English text to a token, on average.
_CHARS_PER_TOKEN = 4

_is_cold = True


class Call:
    """The measurements of one call.

    Parameters
    ----------
    id
        Id of the call and of its event; for a chat, of the run.
    owner_id
        User or guest.
    choice
        The model called.
    request_id
        Id of the HTTP request behind the call.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        id: UUID,
        kind: Kind,
        owner_id: UUID,
        conversation_id: UUID,
        choice: Choice,
        request_id: str,
        max_output_tokens: int,
    ) -> None:
        self.id = id
        self.kind: Kind = kind
        self.owner_id = owner_id
        self.conversation_id = conversation_id
        self.choice = choice
        self.started_at = datetime.now(UTC)
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.finish: str | None = None
        self._settings = settings
        self.request_id = request_id
        self._input_preview: str | None = None
        self._prompt = ModelRequest(choice.model, (), max_output_tokens)
        self._response: ResponseStart | None = None
        self._usage: Usage | None = None
        self._began = self._ended = time.perf_counter()
        self._first: float | None = None
        self._last = self._began
        self._chunks = 0
        self._cold = _take_cold()

    def prepare(self, messages: list[PromptMessage]) -> None:
        """Set the prompt."""
        self._prompt = structs.replace(self._prompt, messages=messages)

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
            "provider_name": self.choice.provider.name,
            "request_model": self.choice.model,
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
            async with aclosing(self.choice.provider.stream(self._prompt)) as stream:
                async for deltas in stream:
                    self._observe(deltas)
                    yield deltas
        finally:
            self._ended = time.perf_counter()

    def usage(self) -> tuple[Usage, bool]:
        """Return the tokens of the call, and whether they are an estimate."""
        told = self._usage
        if told is not None and told.input_tokens is not None and told.output_tokens is not None:
            return told, False
        read = sum(len(message.text) for message in self._prompt.messages)
        written = sum(map(len, self.text)) + sum(map(len, self.reasoning))
        if not written and self.finish is None and self._first is None:
            # Nothing came back: nothing is known to have been read.
            return Usage(), False
        return Usage(_tokens(read), _tokens(written)), True

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
            provider_name=self.choice.provider.name,
            request_model=self.choice.model,
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
            cold_start=self._cold,
            input_preview=self._input_preview,
            output_preview=self._preview("".join(self.text)),
        )

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
            else:
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


def _tokens(chars: int) -> int:
    return -(-chars // _CHARS_PER_TOKEN)


def _take_cold() -> bool:
    global _is_cold
    was, _is_cold = _is_cold, False
    return was
