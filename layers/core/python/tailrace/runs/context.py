"""What of a conversation a model gets to read: as much as its context window holds.

A signature of a thought is for the model that gave it: any other refuses the whole request.

Tokens are estimated: a token to every four bytes of UTF-8, a fixed count for an image, and for a
PDF one by its size. Where the estimate comes near the window, the provider's own counting, if it
has one, sets it right. The oldest turns go first, each as a whole: a question with all its
answers, their reasoning and the files.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import structs

from tailrace.problems import invalid
from tailrace.providers.base import (
    FilePart,
    ModelInfo,
    ModelRequest,
    PromptMessage,
    PromptPart,
    ProviderError,
    ProviderMetadata,
    ReasoningPart,
    TextPart,
)
from tailrace.providers.registry import Choice
from tailrace.runs.attachments import Reader, is_readable, size_of

_BYTES_PER_TOKEN = 4
# What a message costs beside its content.
_MESSAGE_TOKENS = 4
# Large images are scaled down by every provider to about this much.
_IMAGE_TOKENS = 1_600
_PDF_BYTES_PER_TOKEN = 25
# Bytes of files in one request: as base64, what the strictest API (Gemini: 20 MB in all) takes.
_MAX_FILE_BYTES = 14 << 20
# Under this name, beside the provider's own, stands the model that gave a part its metadata.
_GIVEN_BY = "tailrace"
# From this share of the window on, the provider is asked to count.
_NEAR = 0.6
# Seconds its counting is worth.
_COUNT_PATIENCE = 3.0


class Fitted(NamedTuple):
    """A request that fits, and how many earlier messages and files it had to leave out."""

    request: ModelRequest
    omitted_messages: int
    omitted_files: int


def estimate_text(text: str) -> int:
    """Return about how many tokens a text has."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


def estimate(request: ModelRequest) -> int:
    """Return about how many tokens a model reads for a request."""
    return estimate_text(request.system or "") + sum(map(_of_message, request.messages))


def given_by(choice: Choice, metadata: ProviderMetadata) -> ProviderMetadata:
    """Return the metadata of a part as it is kept: with the model that alone gets it back."""
    return {**metadata, _GIVEN_BY: {"model": choice.id}}


def output_budget(info: ModelInfo, wanted: int) -> int:
    """Return the tokens kept for the answer: at most half the context window."""
    if info.output_limit is not None:
        wanted = min(wanted, info.output_limit)
    if info.context_window is not None:
        wanted = min(wanted, max(1, info.context_window // 2))
    return wanted


def require_fits(choice: Choice, request: ModelRequest, field: str) -> None:
    """Raise the 422 problem when the last message alone is more than the model can read."""
    info = choice.info
    alone = structs.replace(request, messages=request.messages[-1:])
    if (size := sum(map(_file_bytes, alone.messages))) > _MAX_FILE_BYTES:
        raise invalid(
            field, f"Its files have {size:,} bytes; models take {_MAX_FILE_BYTES:,} at once."
        )
    if info.context_window is None:
        return
    budget = info.context_window - output_budget(info, request.max_output_tokens)
    if (tokens := estimate(alone)) > budget:
        raise invalid(
            field,
            f"The message has about {tokens:,} tokens; {choice.id} reads {info.context_window:,},"
            f" of which {info.context_window - budget:,} are kept for its answer.",
        )


async def fit(choice: Choice, request: ModelRequest, reader: Reader | None = None) -> Fitted:
    """Make a request one that this model can read.

    Parameters
    ----------
    reader
        Brings the files that are in the store, of those messages alone that are sent.

    Raises
    ------
    ProviderError
        ``context_length`` when not even the last message fits, ``storage`` when a file cannot be
        brought.
    """
    info = choice.info
    messages = request.messages
    if reader is not None:
        messages = await reader.open(messages, info)
    messages, omitted_files = _readable(messages, choice)
    request = structs.replace(
        request,
        model=choice.model,
        max_output_tokens=output_budget(info, request.max_output_tokens),
        reasoning_effort=request.reasoning_effort if "reasoning" in info.capabilities else None,
    )
    window = math.inf if info.context_window is None else info.context_window
    budget = window - request.max_output_tokens
    sizes = [_file_bytes(message) for message in messages]
    fixed = estimate_text(request.system or "")
    first = 0
    while sum(sizes[first:]) > _MAX_FILE_BYTES:
        first = _next_turn(messages, first)
    tokens = [_of_message(message) for message in messages]
    scale = 1.0
    if (told := fixed + sum(tokens[first:])) > budget * _NEAR:
        if reader is not None:
            messages[first:] = await reader.read(messages[first:])
        counted = structs.replace(request, messages=messages[first:])
        scale = await _true_scale(choice, counted, told)
    while (fixed + sum(tokens[first:])) * scale > budget:
        first = _next_turn(messages, first)
    sent = messages[first:] if reader is None else await reader.read(messages[first:])
    return Fitted(structs.replace(request, messages=sent), first, omitted_files)


def _next_turn(messages: Sequence[PromptMessage], first: int) -> int:
    """Return where the turn after a message begins."""
    for number in range(first + 1, len(messages)):
        if messages[number].role == "user":
            return number
    raise ProviderError("context_length", "the last message is longer than the window")


async def _true_scale(choice: Choice, request: ModelRequest, estimated: int) -> float:
    """Return by how much the provider counts more than the estimate, or less."""
    try:
        async with asyncio.timeout(_COUNT_PATIENCE):
            counted = await choice.provider.count_tokens(request)
    except (ProviderError, TimeoutError):
        counted = None
    return counted / max(1, estimated) if counted else 1.0


def _readable(messages: Sequence[PromptMessage], choice: Choice) -> tuple[list[PromptMessage], int]:
    """Put a note where a turn has a file that this model cannot read; take others' metadata off."""
    left_out = 0
    readable = []
    for message in messages:
        parts: list[PromptPart] = []
        for part in message.parts:
            if not isinstance(part, FilePart):
                parts.append(_without_others(part, choice))
            elif is_readable(part, choice.info):
                parts.append(part)
            else:
                left_out += 1
                parts.append(TextPart(f"[{part.filename or part.media_type}: not shown]"))
        readable.append(PromptMessage(message.role, tuple(parts)))
    return readable, left_out


def _without_others(part: TextPart | ReasoningPart, choice: Choice) -> TextPart | ReasoningPart:
    """Take off metadata that another model gave."""
    giver = (part.provider_metadata or {}).get(_GIVEN_BY, {}).get("model")
    return part if giver in (None, choice.id) else structs.replace(part, provider_metadata=None)


def _of_message(message: PromptMessage) -> int:
    return _MESSAGE_TOKENS + sum(map(_of_part, message.parts))


def _file_bytes(message: PromptMessage) -> int:
    return sum(size_of(part) for part in message.parts if isinstance(part, FilePart))


def _of_part(part: PromptPart) -> int:
    if not isinstance(part, FilePart):
        return estimate_text(part.text)
    if part.media_type.startswith("image/"):
        return _IMAGE_TOKENS
    if part.media_type.startswith("text/"):
        return -(-size_of(part) // _BYTES_PER_TOKEN)
    return max(_IMAGE_TOKENS, size_of(part) // _PDF_BYTES_PER_TOKEN)
