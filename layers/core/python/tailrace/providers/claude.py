"""What of Claude's is the same through every API that serves it: what it can do, how it thinks.

Called by the adapters of those APIs; it calls nothing.
https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting
"""

import re
from typing import Any

from tailrace.providers.base import ModelRequest
from tailrace.settings import Capability

# The version stands after the family (claude-opus-4-8) or before it (claude-3-7-sonnet-20250219).
_VERSION = re.compile(r"claude-(?:[a-z]+-)?v?(\d{1,2})(?:[-.:](\d{1,2}))?(?!\d)")
_ALWAYS_THINKING = re.compile(r"claude-(?:fable|mythos)-")

# By capability, the first version that has it.
_SINCE: dict[Capability, tuple[int, int]] = {
    "vision": (3, 0),
    "tools": (3, 0),
    "documents": (3, 5),
    "reasoning": (3, 7),
}
_FIRST_ADAPTIVE = (4, 6)
_FIRST_LARGE = (4, 6)

# From here on, Claudes refuse a temperature.
_FIRST_WITHOUT_TEMPERATURE = (4, 7)

_BUDGETS = {"low": 2048, "medium": 8192, "high": 32_768}
_MIN_BUDGET = 1024


def version(model: str) -> tuple[int, int] | None:
    """Return major and minor version of a Claude by its name in any API; ``None`` for no Claude.

    A Claude whose name tells no version is taken for a new one.
    """
    if "claude" not in model:
        return None
    found = _VERSION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else (99, 0)


def context_window(model: str) -> int | None:
    """Return the tokens that a Claude can read; ``None`` for no Claude."""
    found = version(model)
    if found is None:
        return None
    return 1_000_000 if found >= _FIRST_LARGE else 200_000


def capabilities(model: str) -> frozenset[Capability]:
    """Return what a Claude can do, for where its API does not tell; nothing for no Claude."""
    known = version(model)
    if known is None:
        return frozenset()
    return frozenset(capability for capability, since in _SINCE.items() if known >= since)


def thinking(request: ModelRequest) -> dict[str, Any]:
    """Return the fields of a request's body that ask for its reasoning effort.

    Models before 4.6 think within a budget of tokens, later ones as they see fit, to an effort.
    """
    effort, model = request.reasoning_effort, request.model
    if effort is None or "reasoning" not in capabilities(model):
        return {}
    if effort == "none":
        if _ALWAYS_THINKING.search(model):
            return {"output_config": {"effort": "low"}}
        return {"thinking": {"type": "disabled"}}
    if (version(model) or _FIRST_ADAPTIVE) < _FIRST_ADAPTIVE:
        # A quarter is left for the answer.
        budget = min(_BUDGETS[effort], request.max_output_tokens * 3 // 4)
        if budget < _MIN_BUDGET:
            return {}
        return {"thinking": {"type": "enabled", "budget_tokens": budget}}
    return {
        # The newest models keep their thinking to themselves unless asked.
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": effort},
    }


def temperature(request: ModelRequest) -> float | None:
    """Return the temperature to ask for, of a Claude or of what is served beside it.

    ``None`` for a Claude that takes none: since 4.7, and any that is asked to think.
    https://platform.claude.com/docs/en/about-claude/models/migration-guide
    """
    thinks = thinking(request).get("thinking", {"type": "disabled"})["type"] != "disabled"
    if request.temperature is None or thinks:
        return None
    known = version(request.model)
    if known is not None and known >= _FIRST_WITHOUT_TEMPERATURE:
        return None
    return min(request.temperature, 1.0)
