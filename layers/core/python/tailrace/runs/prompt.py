"""From a branch of messages, as they are kept, to what a model reads."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from tailrace.providers.base import PromptMessage, PromptPart, ReasoningPart, TextPart
from tailrace.runs import attachments

_NOTHING: Mapping[UUID, dict[str, Any]] = {}


def from_branch(
    branch: Iterable[dict[str, Any]], known: Mapping[UUID, dict[str, Any]] = _NOTHING
) -> list[PromptMessage]:
    """Return the messages of a branch in order.

    Messages with neither text nor file are left out, and neighbours of one role become one
    message, since many models insist on alternation.

    Parameters
    ----------
    branch
        Rows or UI messages with ``role`` and ``parts``.
    known
        What is known already of files in the store, by their id.
    """
    prompt: list[PromptMessage] = []
    for message in branch:
        loaded = (_load(part, known) for part in message["parts"])
        parts = [part for part in loaded if part is not None]
        if all(isinstance(part, ReasoningPart) for part in parts):
            continue
        if prompt and prompt[-1].role == message["role"]:
            parts = [*prompt.pop().parts, TextPart("\n\n"), *parts]
        prompt.append(PromptMessage(message["role"], tuple(parts)))
    return prompt


def text_of(parts: Iterable[dict[str, Any]]) -> str:
    """Join the text parts of a message."""
    return "".join(part["text"] for part in parts if part["type"] == "text")


def _load(part: dict[str, Any], known: Mapping[UUID, dict[str, Any]]) -> PromptPart | None:
    if part["type"] == "file":
        return attachments.load(part, known)
    text, metadata = part.get("text") or "", part.get("providerMetadata")
    if part["type"] == "reasoning":
        return ReasoningPart(text, metadata) if text or metadata else None
    return TextPart(text, metadata) if text else None
