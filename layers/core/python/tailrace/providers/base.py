"""What a provider must do: turn one request into a stream of typed deltas, or a classified error.

An adapter normalises once: usage has the OpenTelemetry meaning (input includes cached tokens,
output includes reasoning tokens), errors have a class. It knows nothing of conversations.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal, Protocol

import msgspec

from tailrace.settings import Capability

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
    "storage",
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
    "storage": "A file of this conversation could not be read just now. Try again.",
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


ReasoningEffort = Literal["none", "low", "medium", "high"]

#: What a provider wants back with a part in the next turn, under the name of its API, such as
#: ``{"anthropic": {"signature": "…"}}``: AI SDK's ``providerMetadata``. An adapter reads its own.
ProviderMetadata = dict[str, dict[str, Any]]


class TextPart(msgspec.Struct, frozen=True):
    """Text of a message."""

    text: str
    provider_metadata: ProviderMetadata | None = None


class ReasoningPart(msgspec.Struct, frozen=True):
    """A model's own reasoning in an earlier turn; an adapter that cannot use it leaves it out."""

    text: str
    provider_metadata: ProviderMetadata | None = None


class FilePart(msgspec.Struct, frozen=True):
    """An image or a document; ``media_type`` is IANA's, such as ``image/png``."""

    media_type: str
    data: bytes
    filename: str | None = None


PromptPart = TextPart | ReasoningPart | FilePart


class PromptMessage(msgspec.Struct, frozen=True):
    """One message as a model reads it; files stand in a user's messages alone."""

    role: Literal["user", "assistant"]
    parts: Sequence[PromptPart]

    @classmethod
    def of_text(cls, role: Literal["user", "assistant"], text: str) -> "PromptMessage":
        """Return a message of text alone."""
        return cls(role, (TextPart(text),))

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


class ModelRequest(msgspec.Struct, frozen=True):
    """One request to one model.

    Attributes
    ----------
    model
        The provider's own name for it.
    messages
        User and assistant in turn, the last one the user's.
    max_output_tokens
        Includes reasoning.
    system
        The system prompt.
    reasoning_effort
        How much the model is to reason; ``None`` leaves it to the model's default.
    temperature
        From 0 to 2; ``None`` leaves it to the model's default. A model that takes none, or none
        while it reasons, gets none; an API that ends at 1 gets 1 at most.
    """

    model: str
    messages: Sequence[PromptMessage]
    max_output_tokens: int
    system: str | None = None
    reasoning_effort: ReasoningEffort | None = None
    temperature: float | None = None


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model.

    Attributes
    ----------
    name
        The provider's own name for it.
    context_window, output_limit
        Tokens; ``None`` when not known.
    capabilities
        What it is known to be able to do.
    """

    name: str
    display_name: str | None = None
    context_window: int | None = None
    output_limit: int | None = None
    capabilities: frozenset[Capability] = frozenset()


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


class PartMetadata(msgspec.Struct, frozen=True):
    """Ends the open part of this kind, and says what the provider wants back with it.

    Where no part of the kind is open, it stands for one without text (redacted reasoning).
    """

    part: Literal["text", "reasoning"]
    metadata: ProviderMetadata


class Usage(msgspec.Struct, frozen=True):
    """Tokens of the whole call; a later one replaces an earlier one.

    ``input_tokens`` includes what was read from and written to a cache, ``output_tokens``
    includes reasoning. A count that the provider did not tell is ``None``.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None


class Finish(msgspec.Struct, frozen=True):
    """The model ended by itself.

    ``reason`` is ``stop``, ``length``, ``content_filter`` (refusals too) or ``tool_calls``; a word
    of the provider that means none of these stays as it is.
    """

    reason: str


Delta = ResponseStart | TextDelta | ReasoningDelta | PartMetadata | Usage | Finish


class Provider(Protocol):
    """One configured instance of an adapter."""

    name: str

    def stream(self, request: ModelRequest) -> AsyncGenerator[list[Delta]]:
        """Call the model; yield, as a list, the deltas that arrived together.

        A `Finish` comes before the end; text and reasoning come before it. Closing the generator
        closes the provider's connection. The adapter bounds the time to connect; whoever reads
        the stream bounds the waits for its chunks, and tries again where that helps.

        Raises
        ------
        ProviderError
            Before the first delta or after any; its class says what happened.
        """
        ...

    async def models(self) -> list[ModelInfo]:
        """Ask the provider which models it has, and what it tells of them.

        Raises
        ------
        ProviderError
            When the provider cannot be asked.
        """
        ...

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """Return the input tokens of a request by the provider's own counting.

        ``None`` where the provider has no counting that is cheap and exact.

        Raises
        ------
        ProviderError
            When the provider cannot be asked.
        """
        ...

    async def close(self) -> None:
        """Close idle connections."""
        ...
