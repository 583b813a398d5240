"""What somebody typed, and what is shown of what was found."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.search import query, typos
from tailrace.search.store import segments

WORDS = st.text("abcd", max_size=7)


def test_the_examples_are_true() -> None:
    assert doctest.testmod(query).failed == 0
    assert doctest.testmod(typos).failed == 0


@given(st.text())
def test_quotes_stay_balanced_and_nothing_but_spacing_is_lost(text: str) -> None:
    spaced = query.spaced(text)

    assert "\0" not in spaced
    assert (spaced.count('"') - text.count('"')) % 2 == 0
    letters = [c for c in text if c not in ' "\0']
    assert [c for c in spaced if c not in ' "'] == letters


@given(WORDS, WORDS)
def test_a_slip_is_one_letter_more_less_other_or_swapped(a: str, b: str) -> None:
    slips = typos.distance(a, b)

    assert slips == typos.distance(b, a)
    assert (slips == 0) == (a == b)
    assert abs(len(a) - len(b)) <= slips <= max(len(a), len(b))


@given(st.text("abcd", min_size=2, max_size=9), st.data())
def test_two_neighbours_swapped_are_one_slip(word: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(word) - 2))
    swapped = word[:place] + word[place + 1] + word[place] + word[place + 2 :]

    assert typos.distance(word, swapped) == (0 if swapped == word else 1)


@pytest.mark.parametrize(
    ("lexeme", "candidates", "meant"),
    [
        ("kuberntes", ["kubernetes", "kuban"], ["kubernetes"]),
        ("recieve", ["relieve", "receive"], ["relieve", "receive"]),
        ("tset", ["test", "text"], ["test"]),
        ("kube", ["kubernetes", "cube", "kubectl"], ["kubernetes", "kubectl"]),
        ("tset", ["toast"], []),
        ("kubernetes", ["kuban", "internet"], []),
    ],
)
def test_the_nearest_words_are_meant(lexeme: str, candidates: list[str], meant: list[str]) -> None:
    assert typos.nearest(lexeme, candidates) == meant


@pytest.mark.parametrize(
    ("marked", "shown"),
    [
        ("", []),
        ("no match", [("no match", False)]),
        ("\x02all\x03", [("all", True)]),
        ("a \x02b\x03\n\n c", [("a ", False), ("b", True), (" c", False)]),
        # Letters indexed one by one are one match again.
        ("\x1f我\x1f\x1f\x02模\x03\x1f\x1f\x02型\x03\x1f", [("我", False), ("模型", True)]),
    ],
)
def test_a_snippet_is_plain_text_in_pieces(marked: str, shown: list[tuple[str, bool]]) -> None:
    assert [(each["text"], each["match"]) for each in segments(marked)] == shown
