"""Tells reasoning from text where a model writes both into its answer: ``<think>…</think>``.

Called by adapters of servers that do not do it themselves. It looks at the start of an answer
alone: tags further on are text about tags.
"""

from typing import Literal

from tailrace.providers.base import ReasoningDelta, TextDelta

_OPEN = "<think>"
_CLOSE = "</think>"

Said = list[TextDelta | ReasoningDelta]


class ThinkSplitter:
    """Pieces of an answer in, reasoning and text out; keeps what may be part of a tag.

    Space around a tag belongs to neither reasoning nor text.

    Attributes
    ----------
    done
        The rest of the answer is text, and need not pass through here.
    """

    def __init__(self) -> None:
        self.done = False
        self._held = ""
        self._at: Literal["start", "opened", "reasoning", "closed"] = "start"

    def feed(self, piece: str) -> Said:
        """Return what is certain so far."""
        held, self._held = self._held + piece, ""
        said: Said = []
        if self._at == "start":
            start = held.lstrip()
            if not start.startswith(_OPEN):
                self.done = not _OPEN.startswith(start)
                if self.done:
                    return [TextDelta(held)]
                self._held = held
                return said
            self._at, held = "opened", start.removeprefix(_OPEN)
        if self._at == "opened":
            held = held.lstrip()
            self._at = "reasoning" if held else "opened"
        if self._at == "reasoning":
            reasoning, closed, text = held.partition(_CLOSE)
            certain = len(reasoning.rstrip()) if closed else _certain(reasoning)
            if certain:
                said.append(ReasoningDelta(reasoning[:certain]))
            if not closed:
                self._held = reasoning[certain:]
                return said
            self._at, held = "closed", text
        if self._at == "closed" and held.lstrip():
            self.done = True
            said.append(TextDelta(held.lstrip()))
        return said

    def end(self) -> Said:
        """Return what was kept; nothing follows."""
        held, self._held = self._held, ""
        if not held.strip():
            return []
        return [TextDelta(held)] if self._at == "start" else [ReasoningDelta(held)]


def _certain(reasoning: str) -> int:
    """Return the length of what cannot belong to a closing tag or the space before it."""
    tag = reasoning.rfind("<")
    if tag >= 0 and _CLOSE.startswith(reasoning[tag:]):
        reasoning = reasoning[:tag]
    return len(reasoning.rstrip())
