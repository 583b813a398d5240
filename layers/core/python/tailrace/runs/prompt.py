"""From a branch of messages to what a model reads."""

from collections.abc import Iterable
from typing import Any

from tailrace.providers.base import PromptMessage


def from_branch(branch: Iterable[dict[str, Any]]) -> list[PromptMessage]:
    """Return the messages of a branch in order.

    Answers without text are left out, and neighbours of one role become one message, since many
    models insist on alternation.

    Parameters
    ----------
    branch
        Rows or UI messages with ``role`` and ``parts``.
    """
    prompt: list[PromptMessage] = []
    for message in branch:
        text = text_of(message["parts"])
        if not text:
            continue
        if prompt and prompt[-1].role == message["role"]:
            text = f"{prompt.pop().text}\n\n{text}"
        prompt.append(PromptMessage.of_text(message["role"], text))
    return prompt


def text_of(parts: Iterable[dict[str, Any]]) -> str:
    """Join the text parts of a message."""
    return "".join(part["text"] for part in parts if part["type"] == "text")
