"""What a provider must do: turn one request into a stream of typed deltas, or a classified error.

An adapter normalises once: usage has the OpenTelemetry meaning (input includes cached tokens,
output includes reasoning tokens), errors have a class. It knows nothing of conversations.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Literal, Protocol

import msgspec

ErrorType = Literal[
    "authentication",
    "permission",
    "not_found",
    "invalid_request",
    "context_length",
    "rate_limited",
    "overloaded",
    "server_error",
    "connection",
    "timeout",
    "incomplete",
    "protocol",
]

#: What the person in front of the page is told; the provider's own words stay in the event.
SENTENCES: dict[ErrorType, str] = {
    "authentication": "The model provider refused the server's credentials.",
    "permission": "The server may not use this model.",
    "not_found": "The model provider does not know this model.",
    "invalid_request": "The model provider could not accept this request.",
    "context_length": "The conversation is longer than this model can read.",
    "rate_limited": "The model provider is limiting requests. Try again in a moment.",
    "overloaded": "The model provider is overloaded. Try again in a moment.",
    "server_error": "The model provider had an internal error. Try again.",
    "connection": "The model provider could not be reached.",
    "timeout": "The model provider took too long to answer.",
    "incomplete": "The model provider ended its answer early.",
    "protocol": "The model provider sent an answer that could not be read.",
}


class ProviderError(Exception):
    """A model call that failed.

    Parameters
    ----------
    type
        Class of the failure, the event's ``error_type``.
    message
        The provider's words, for the event; redacted before they are kept.
    retry_after
        Seconds the provider asked to wait.
    """

    def __init__(self, type: ErrorType, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.type: ErrorType = type
        self.message = message
        self.retry_after = retry_after

    @property
    def sentence(self) -> str:
        """Return the sentence for the user."""
        return SENTENCES[self.type]


class PromptMessage(msgspec.Struct, frozen=True):
    """One message as a model reads it."""

    role: Literal["system", "user", "assistant"]
    text: str


class ModelRequest(msgspec.Struct, frozen=True):
    """One request to one model; ``model`` is the provider's own name for it."""

    model: str
    messages: Sequence[PromptMessage]
    max_output_tokens: int


class ResponseStart(msgspec.Struct, frozen=True):
    """The provider's names for this response, told once, with its first chunk."""

    response_id: str | None
    response_model: str | None


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of the answer."""

    text: str


class ReasoningDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of the model's reasoning."""

    text: str


class Usage(msgspec.Struct, frozen=True):
    """Tokens of the whole call; a later one replaces an earlier one."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None


class Finish(msgspec.Struct, frozen=True):
    """The model ended by itself; ``reason`` is the provider's word, such as ``stop``."""

    reason: str


Delta = ResponseStart | TextDelta | ReasoningDelta | Usage | Finish


class Provider(Protocol):
    """One configured instance of an adapter."""

    name: str

    def stream(self, request: ModelRequest) -> AsyncGenerator[list[Delta]]:
        """Call the model; yield, as a list, the deltas that arrived together.

        A `Finish` comes before the end; text and reasoning come before it. Closing the generator
        closes the provider's connection.

        Raises
        ------
        ProviderError
            Before the first delta or after any; its class says what happened.
        """
        ...

    async def models(self) -> list[str]:
        """Return the names of the models on offer.

        Raises
        ------
        ProviderError
            When the provider has to be asked and cannot be.
        """
        ...

    async def close(self) -> None:
        """Close idle connections."""
        ...
