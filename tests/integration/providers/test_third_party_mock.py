"""The adapters against a mock server that others wrote (llmock), by what it makes of the same APIs.

Transcripts show that we read what we think the APIs send; this shows that someone else thinks so
too. It speaks every kind here but Bedrock.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import NamedTuple

import pytest
from llmock.scenarios import Fail, Reply, StreamFault
from llmock.testing import LLMockServer
from pydantic import SecretStr

from tailrace.providers.base import (
    Delta,
    Finish,
    ModelRequest,
    PromptMessage,
    Provider,
    ProviderError,
    TextDelta,
    Usage,
)
from tailrace.settings import ProviderSettings


class Kind(NamedTuple):
    """An adapter, and the mock's name and path for its API."""

    adapter: str
    api: str
    path: str
    model: str


KINDS = {
    "anthropic": Kind(
        "tailrace.providers.anthropic:Anthropic", "anthropic", "", "claude-sonnet-4-6"
    ),
    "gemini": Kind("tailrace.providers.gemini:Gemini", "gemini", "/v1beta", "gemini-2.5-pro"),
    "openai": Kind("tailrace.providers.openai:OpenAI", "openai", "", "gpt-5"),
    "openai_compatible": Kind(
        "tailrace.providers.openai_compatible:OpenAICompatible", "openai", "", "gpt-4o"
    ),
}
SAID = "The wheel turns, and the river goes on."


@pytest.fixture(scope="module")
def mock() -> Iterator[LLMockServer]:
    with LLMockServer() as server:
        yield server


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, mock: LLMockServer) -> str:
    """Every kind, each on a mock that remembers nothing."""
    mock.state.scenarios.clear()
    mock.state.journal.clear()
    return request.param


@pytest.fixture
async def adapter(kind: str, mock: LLMockServer) -> AsyncIterator[Provider]:
    entry = KINDS[kind]
    module, _, name = entry.adapter.partition(":")
    made = getattr(import_module(module), name)(
        ProviderSettings(
            name="mocked",
            kind=kind,
            base_url=mock.base_url(entry.api) + entry.path,
            api_key=SecretStr("any"),
        )
    )
    yield made
    await made.close()


async def _answer(adapter: Provider, kind: str, deltas: list[Delta]) -> None:
    """Collect an answer into a list that outlives a failure."""
    messages = (
        PromptMessage.of_text("user", "What does the wheel do?"),
        PromptMessage.of_text("assistant", "It turns."),
        PromptMessage.of_text("user", "And the river?"),
    )
    request = ModelRequest(
        KINDS[kind].model, messages, max_output_tokens=4096, system="Answer in one sentence."
    )
    async for some in adapter.stream(request):
        deltas += some


def _text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


async def test_an_answer_arrives_whole_with_its_usage(adapter, kind, mock) -> None:
    mock.state.scenarios.add(Reply(SAID))
    deltas: list[Delta] = []

    await _answer(adapter, kind, deltas)

    assert _text(deltas) == SAID
    assert [delta for delta in deltas if isinstance(delta, Finish)] == [Finish("stop")]
    usage = [delta for delta in deltas if isinstance(delta, Usage)][-1]
    assert (usage.input_tokens or 0) > 0
    assert (usage.output_tokens or 0) > 0


async def test_the_reason_of_an_end_is_normalised(adapter, kind, mock) -> None:
    # The mock's Responses API knows no filter.
    for reason in ("length",) if kind == "openai" else ("length", "content_filter"):
        mock.state.scenarios.add(Reply(SAID, finish_reason=reason))
        deltas: list[Delta] = []

        await _answer(adapter, kind, deltas)

        assert [delta for delta in deltas if isinstance(delta, Finish)] == [Finish(reason)]


@pytest.mark.parametrize(
    ("fault", "expected", "wait"),
    [
        (Fail(429, retry_after=7), "rate_limited", 7),
        (Fail(401), "authentication", None),
        (Fail(404), "not_found", None),
        (Fail(500), "server_error", None),
        (Fail(503), "overloaded", None),
    ],
)
async def test_a_refusal_is_classified_and_not_retried(
    adapter, kind, mock, fault, expected, wait
) -> None:
    mock.state.scenarios.add(fault)

    with pytest.raises(ProviderError) as caught:
        await _answer(adapter, kind, [])

    assert caught.value.type == expected
    if wait is not None:
        assert caught.value.retry_after == wait
    assert len(mock.state.journal.records()) == 1


@pytest.mark.parametrize(
    ("fault", "expected"),
    [("disconnect", "incomplete"), ("truncate", "incomplete"), ("malformed", "protocol")],
)
async def test_a_stream_that_breaks_is_an_error_after_what_came(
    adapter, kind, mock, fault, expected
) -> None:
    mock.state.scenarios.add(Reply(SAID), StreamFault(fault, after_chunks=6))
    deltas: list[Delta] = []

    with pytest.raises(ProviderError) as caught:
        await _answer(adapter, kind, deltas)

    assert caught.value.type == expected
    assert SAID.startswith(_text(deltas))


async def test_leaving_a_stalled_stream_is_seen_by_the_server(adapter, kind, mock) -> None:
    mock.state.scenarios.add(Reply(SAID), StreamFault("stall", after_chunks=6, stall_seconds=300))
    deltas: list[Delta] = []

    answering = asyncio.create_task(_answer(adapter, kind, deltas))
    async with asyncio.timeout(60):
        while not _text(deltas):  # noqa: ASYNC110 (the list tells nobody that it grows)
            await asyncio.sleep(0.01)
    answering.cancel()
    await asyncio.wait({answering})

    assert SAID.startswith(_text(deltas))
    (record,) = await asyncio.to_thread(mock.state.journal.records, wait=60)
    assert not record.completed


async def test_its_models_are_listed(adapter, kind) -> None:
    assert all(model.name for model in await adapter.models())
