"""Trees of whatever another product kept: nothing lost, nothing made up, parents first."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.transfer.draft import Node, Unusable, grow, line, moment, span, time_of, title_of

IDS = st.sampled_from("abcdefgh")
NODES = st.lists(
    st.builds(
        lambda id, parent_id, role: Node(id, parent_id, role, [{"type": "text", "text": id}]),
        IDS,
        st.none() | IDS | st.just("elsewhere"),
        st.sampled_from([None, "user", "assistant"]),
    ),
    max_size=8,
)


@given(nodes=NODES, active_id=st.none() | IDS, join=st.booleans())
def test_any_nodes_make_a_tree_or_none(
    nodes: list[Node], active_id: str | None, join: bool
) -> None:
    said = sorted(node.id for node in nodes if node.role is not None)
    try:
        messages, leaf = grow(nodes, active_id, join=join)
    except Unusable:
        return

    seen: set[str | None] = {None}
    for message in messages:
        assert message.parent_id in seen
        seen.add(message.id)
    assert sorted(part["text"] for message in messages for part in message.parts) == said
    assert leaf in seen
    assert leaf not in {message.parent_id for message in messages}
    if not join and active_id in said:
        parents = {message.id: message.parent_id for message in messages}
        path = [leaf]
        while (above := parents[path[-1]]) is not None:
            path.append(above)
        assert active_id in path


def test_a_tree_as_deep_as_may_be_is_no_trouble() -> None:
    nodes = [Node(str(n), str(n - 1), "user", [{"type": "text", "text": ""}]) for n in range(9999)]

    messages, leaf = grow(nodes[::-1], None)

    assert len(messages) == 9999
    assert leaf == "9998"


def test_what_holds_nothing_lets_those_below_move_up() -> None:
    nodes = [
        Node("root", None),
        Node("u", "root", "user", [{}]),
        Node("tool", "u"),
        Node("a", "tool", "assistant", [{}]),
    ]

    messages, leaf = grow(nodes, "tool")

    assert [(message.id, message.parent_id) for message in messages] == [("u", None), ("a", "u")]
    assert leaf == "a"


@pytest.mark.parametrize(
    ("title", "said", "expected"),
    [
        ("  A\ttitle\0 ", "", ("A title\ufffd", "user")),
        ("x" * 300, "", ("x" * 200, "user")),
        (None, "Some\n\n words", ("Some words", "prompt")),
        ("\n", "w" * 100, ("w" * 79 + "…", "prompt")),
        ("", "", ("Imported conversation", "prompt")),
    ],
)
def test_titles_are_one_line(title: str | None, said: str, expected: tuple[str, str]) -> None:
    node = Node("m", None, "user", [{"type": "text", "text": said}])

    assert title_of(title, [node]) == expected


@given(st.text())
def test_a_line_has_no_control_characters(text: str) -> None:
    assert not any(ord(letter) < 32 or letter in "\x7f\0" for letter in line(text))


@given(st.none() | st.floats() | st.integers())
def test_seconds_are_a_time_or_none(seconds: float | None) -> None:
    time = time_of(seconds)
    assert time is None or 1970 <= time.year < 2100


@given(st.none() | st.text() | st.datetimes().map(str))
def test_texts_are_a_time_or_none(text: str | None) -> None:
    time = moment(text)
    assert time is None or (time.tzinfo is not None and 1970 <= time.year < 2100)


def test_every_message_gets_a_time_and_the_future_is_not_believed() -> None:
    first = datetime(2024, 1, 1, tzinfo=UTC)
    nodes = [Node("a", None), Node("b", "a", created_at=first), Node("c", "b")]

    created, updated = span(None, datetime(2099, 1, 1, tzinfo=UTC), nodes)

    assert created == first
    assert updated <= datetime.now(UTC)
    assert [node.created_at for node in nodes] == [first, first, first]
