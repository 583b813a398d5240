"""What of a conversation is sent: whole turns, the newest first, within the context window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.problems import Problem
from tailrace.providers.base import (
    FilePart,
    ModelInfo,
    ModelRequest,
    PromptMessage,
    ProviderError,
    ReasoningPart,
    TextPart,
)
from tailrace.providers.registry import Choice
from tailrace.runs import context


class _Provider:
    """Counts as it is told; nothing here calls a model."""

    name = "p"

    def __init__(self, per_token: float | None = None, error: bool = False) -> None:
        self._scale = per_token
        self._error = error
        self.asked = 0

    async def count_tokens(self, request: ModelRequest) -> int | None:
        self.asked += 1
        if self._error:
            raise ProviderError("connection", "down")
        return None if self._scale is None else round(context.estimate(request) * self._scale)


def _choice(provider: _Provider | None = None, **info) -> Choice:
    return Choice("p/m", "openai_compatible", provider or _Provider(), ModelInfo(name="m", **info))  # pyright: ignore[reportArgumentType]


def _turns(*sizes: int) -> list[PromptMessage]:
    """Questions of so many tokens, each but the last with an answer of reasoning and text."""
    messages = []
    for number, tokens in enumerate(sizes):
        messages.append(PromptMessage.of_text("user", f"{number}" + "q" * (tokens * 4 - 1)))
        answer = (ReasoningPart("r" * 40, {"anthropic": {"signature": "s"}}), TextPart("a" * 40))
        messages.append(PromptMessage("assistant", answer))
    return messages[:-1]


def _request(messages: list[PromptMessage], output: int = 100, system: str | None = None):
    return ModelRequest("m", messages, output, system=system)


async def test_what_fits_is_sent_whole_and_nobody_is_asked_to_count() -> None:
    provider = _Provider()
    fitted = await context.fit(_choice(provider, context_window=10_000), _request(_turns(10, 10)))

    assert fitted.omitted_messages == 0
    assert len(fitted.request.messages) == 3
    assert provider.asked == 0


async def test_an_unknown_window_leaves_nothing_out() -> None:
    fitted = await context.fit(_choice(), _request(_turns(100_000, 100_000)))

    assert fitted.omitted_messages == 0


async def test_the_oldest_turns_are_left_out_whole() -> None:
    fitted = await context.fit(_choice(context_window=500), _request(_turns(200, 200, 100)))

    kept = fitted.request.messages
    assert fitted.omitted_messages == 2
    assert [message.role for message in kept] == ["user", "assistant", "user"]
    assert kept[0].text.startswith("1q")
    assert [type(part) for part in kept[1].parts] == [ReasoningPart, TextPart]


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=12),
    st.integers(50, 1000),
    st.integers(0, 40),
)
async def test_whatever_is_sent_fits_begins_with_a_question_and_ends_with_the_last(
    sizes: list[int], window: int, system: int
) -> None:
    messages = _turns(*sizes)
    request = _request(messages, output=window, system="s" * 4 * system or None)
    alone = _request(messages[-1:], system=request.system)
    if context.estimate(alone) > window - window // 2:
        with pytest.raises(ProviderError, match="longer than the window"):
            await context.fit(_choice(context_window=window), request)
        return
    fitted = await context.fit(_choice(context_window=window), request)
    sent = fitted.request
    assert context.estimate(sent) + sent.max_output_tokens <= window
    assert sent.messages[0].role == "user"
    assert list(sent.messages) == messages[fitted.omitted_messages :]
    # No turn more is left out than has to be.
    more = messages[max(0, fitted.omitted_messages - 2) :]
    if fitted.omitted_messages:
        whole = _request(more, system=request.system)
        assert context.estimate(whole) > window - sent.max_output_tokens


async def test_near_the_window_the_providers_own_count_decides() -> None:
    messages = _turns(200, 100)
    generous = await context.fit(_choice(_Provider(0.5), context_window=400), _request(messages))
    strict = await context.fit(_choice(_Provider(2.0), context_window=400), _request(messages))

    assert generous.omitted_messages == 0
    assert strict.omitted_messages == 2


async def test_a_provider_that_cannot_count_now_is_done_without() -> None:
    fitted = await context.fit(
        _choice(_Provider(error=True), context_window=500), _request(_turns(200, 200, 100))
    )

    assert fitted.omitted_messages == 2


async def test_the_answer_keeps_its_room() -> None:
    choice = _choice(context_window=1000, output_limit=300)

    assert (
        await context.fit(choice, _request(_turns(1), output=4096))
    ).request.max_output_tokens == 300
    assert context.output_budget(ModelInfo(name="m", context_window=1000), 4096) == 500
    assert context.output_budget(ModelInfo(name="m"), 4096) == 4096


async def test_a_file_that_the_model_cannot_read_becomes_a_note() -> None:
    picture = FilePart("image/png", b"x" * 100_000, "cat.png")
    notes = FilePart("text/plain", b"notes", "n.txt")
    messages = [
        PromptMessage("user", (picture, notes, TextPart("What is it?"))),
        PromptMessage.of_text("assistant", "A cat."),
        PromptMessage.of_text("user", "Sure?"),
    ]

    blind = await context.fit(_choice(context_window=10_000), _request(messages))
    seeing = await context.fit(
        _choice(context_window=10_000, capabilities=frozenset({"vision"})), _request(messages)
    )

    assert blind.omitted_files == 1
    assert blind.request.messages[0].parts[0] == TextPart("[cat.png: not shown]")
    assert blind.request.messages[0].parts[1] == notes
    assert seeing.omitted_files == 0
    assert seeing.request.messages[0].parts[0] == picture


def test_a_message_that_alone_is_too_long_is_refused_with_the_limit() -> None:
    with pytest.raises(Problem) as caught:
        context.require_fits(_choice(context_window=400), _request(_turns(350)), "message.parts")

    assert caught.value.status == 422
    assert "400" in caught.value.detail


async def test_effort_is_sent_to_models_that_reason_alone() -> None:
    request = ModelRequest("m", _turns(1), 10, reasoning_effort="low")

    plain = await context.fit(_choice(), request)
    reasoning = await context.fit(_choice(capabilities=frozenset({"reasoning"})), request)

    assert plain.request.reasoning_effort is None
    assert reasoning.request.reasoning_effort == "low"


async def test_metadata_goes_to_the_model_that_gave_it_alone() -> None:
    ours = context.given_by(_choice(), {"anthropic": {"signature": "s"}})
    parts = (ReasoningPart("r", ours), TextPart("a", ours))
    request = _request([PromptMessage.of_text("user", "q"), PromptMessage("assistant", parts)])
    other = _choice()._replace(id="p/n")

    same = (await context.fit(_choice(), request)).request.messages[1]
    stripped = (await context.fit(other, request)).request.messages[1]

    assert same.parts == parts
    assert stripped.parts == (ReasoningPart("r"), TextPart("a"))


@pytest.mark.parametrize("window", [None, 1_000_000])
async def test_files_are_no_more_than_one_request_takes(window: int | None) -> None:
    photograph = FilePart("image/png", b"\x89PNG" + bytes(3 << 20))
    turn = [
        PromptMessage("user", (photograph, TextPart("And this?"))),
        PromptMessage.of_text("assistant", "A dot."),
    ]
    choice = _choice(context_window=window, capabilities=frozenset({"vision"}))

    fitted = await context.fit(choice, _request([*turn * 9, *turn[:1]]))

    sent = [p for m in fitted.request.messages for p in m.parts if isinstance(p, FilePart)]
    assert len(sent) == 4
    assert fitted.omitted_messages == 12
    assert fitted.request.messages[0].role == "user"
