"""How a Claude's thinking is asked for, by its name in any API."""

import pytest

from tailrace.providers.base import ModelRequest, PromptMessage, ReasoningEffort
from tailrace.providers.claude import capabilities, context_window, thinking, version

ADAPTIVE = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-opus-4-8", (4, 8)),
        ("claude-sonnet-5", (5, 0)),
        ("claude-fable-5-2", (5, 2)),
        ("claude-opus-4-20250514", (4, 0)),
        ("claude-haiku-4-5-20251001", (4, 5)),
        ("claude-3-7-sonnet-20250219", (3, 7)),
        ("claude-3-haiku-20240307", (3, 0)),
        ("claude-2.1", (2, 1)),
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", (4, 5)),
        ("arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-opus-4-6-v1", (4, 6)),
        ("anthropic.claude-v2:1", (2, 1)),
        ("anthropic.claude-instant-v1", (1, 0)),
        ("claude-mythos-preview", (99, 0)),
        ("amazon.nova-lite-v1:0", None),
    ],
)
def test_the_version_is_read_from_a_name(model: str, expected: tuple[int, int] | None) -> None:
    assert version(model) == expected


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("claude-opus-4-8", None, {}),
        ("claude-opus-4-8", "none", {"thinking": {"type": "disabled"}}),
        ("claude-opus-4-8", "high", {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}),
        ("claude-fable-5", "none", {"output_config": {"effort": "low"}}),
        ("claude-sonnet-4-5", "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ("claude-sonnet-4-5", "medium", {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        ("claude-sonnet-4-5", "high", {"thinking": {"type": "enabled", "budget_tokens": 12_288}}),
        ("claude-3-haiku-20240307", "high", {}),
        ("amazon.nova-lite-v1:0", "high", {}),
    ],
)
def test_an_effort_becomes_the_models_own_control(
    model: str, effort: ReasoningEffort | None, expected: dict[str, object]
) -> None:
    assert thinking(_request(model, effort, 16_384)) == expected


@pytest.mark.parametrize("limit", [1, 1024, 1365, 1366, 4096])
def test_a_budget_leaves_room_for_the_answer_or_is_not_asked_for(limit: int) -> None:
    fields = thinking(_request("claude-haiku-4-5", "high", limit))

    budget = fields["thinking"]["budget_tokens"] if fields else None
    assert budget is None or 1024 <= budget < limit
    assert (budget is None) == (limit < 1366)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-opus-4-8", {"vision", "documents", "reasoning", "tools"}),
        ("claude-3-5-sonnet-20241022", {"vision", "documents", "tools"}),
        ("anthropic.claude-3-haiku-20240307-v1:0", {"vision", "tools"}),
        ("claude-2.1", set()),
        ("gpt-oss-120b", set()),
    ],
)
def test_what_a_claude_can_do_follows_from_its_version(model: str, expected: set[str]) -> None:
    assert capabilities(model) == expected


def _request(model: str, effort: ReasoningEffort | None, limit: int) -> ModelRequest:
    messages = [PromptMessage.of_text("user", "Hi")]
    return ModelRequest(model, messages, max_output_tokens=limit, reasoning_effort=effort)


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("claude-haiku-4-5", 200_000),
        ("eu.anthropic.claude-sonnet-4-6-v1:0", 1_000_000),
        ("claude-mythos-preview", 1_000_000),
        ("amazon.nova-lite-v1:0", None),
    ],
)
def test_the_context_window_is_known_by_the_version(model: str, tokens: int | None) -> None:
    assert context_window(model) == tokens
