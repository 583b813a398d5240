"""Reasoning that a model writes into its answer is told apart, wherever its bytes are cut."""

import pytest

from tailrace.providers.base import ReasoningDelta, TextDelta
from tailrace.providers.think import ThinkSplitter


def _split(*pieces: str) -> tuple[str, str]:
    splitter = ThinkSplitter()
    said = []
    for piece in pieces:
        said += [TextDelta(piece)] if splitter.done else splitter.feed(piece)
    said += splitter.end()
    reasoning = "".join(d.text for d in said if isinstance(d, ReasoningDelta))
    return reasoning, "".join(d.text for d in said if not isinstance(d, ReasoningDelta))


CASES = [
    ("plain text", ("", "plain text")),
    ("", ("", "")),
    ("<think>hm, 1 < 2</think>yes", ("hm, 1 < 2", "yes")),
    ("\n<think>\nhm\n\nwell\n</think>\n\nyes\n", ("hm\n\nwell", "yes\n")),
    ("<think>\n\n</think>\n\nyes", ("", "yes")),
    ("<think>cut in mid-thou", ("cut in mid-thou", "")),
    ("<think>cut in the tag</thi", ("cut in the tag</thi", "")),
    ("<think>a</b> and </thinks></think>ok", ("a</b> and </thinks>", "ok")),
    ("<thin air", ("", "<thin air")),
    ("<thi", ("", "<thi")),
    ("say <think>no</think>", ("", "say <think>no</think>")),
    ("<think>a</think>b<think>c</think>", ("a", "b<think>c</think>")),
    ("  indented", ("", "  indented")),
]


@pytest.mark.parametrize(("answer", "expected"), CASES)
def test_a_whole_answer(answer: str, expected: tuple[str, str]) -> None:
    assert _split(answer) == expected


@pytest.mark.parametrize(("answer", "expected"), CASES)
def test_an_answer_letter_by_letter(answer: str, expected: tuple[str, str]) -> None:
    assert _split(*answer) == expected


@pytest.mark.parametrize(("answer", "expected"), CASES)
def test_an_answer_cut_once_anywhere(answer: str, expected: tuple[str, str]) -> None:
    for cut in range(len(answer)):
        assert _split(answer[:cut], answer[cut:]) == expected


def test_text_is_certain_at_once() -> None:
    splitter = ThinkSplitter()

    assert [delta.text for delta in splitter.feed("Hello")] == ["Hello"]
    assert splitter.done
