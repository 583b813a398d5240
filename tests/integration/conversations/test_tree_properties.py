"""Whatever is done to a tree, in whatever order, it stays the tree that a simple model says."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.conversations import store, tree
from tailrace.db.pool import connect
from tailrace.ids import uuid7
from tailrace.services import Services

_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "branch", "edit", "regenerate", "switch", "delete", "retry"]),
        st.integers(min_value=0, max_value=1_000),
    ),
    min_size=1,
    max_size=14,
)


class _Model:
    """A tree as plain dictionaries: parent, role and sequence by id."""

    def __init__(self) -> None:
        self.parent: dict[str, str | None] = {}
        self.role: dict[str, str] = {}
        self.sequence: dict[str, int] = {}
        self.leaf: str | None = None
        self._last = 0

    def add(self, id: str, role: str, parent: str | None) -> None:
        self._last += 1
        self.parent[id], self.role[id], self.sequence[id] = parent, role, self._last
        self.leaf = id

    def children(self, id: str | None) -> list[str]:
        return sorted((c for c, p in self.parent.items() if p == id), key=self.sequence.__getitem__)

    def below(self, id: str) -> set[str]:
        return {id}.union(*(self.below(child) for child in self.children(id)))

    def newest(self, ids: set[str]) -> str | None:
        return max(ids, key=self.sequence.__getitem__, default=None)

    def remove(self, id: str) -> None:
        parent, gone = self.parent[id], self.below(id)
        for each in gone:
            del self.parent[each], self.role[each], self.sequence[each]
        if self.leaf in gone:
            left = set(self.parent) if parent is None else self.below(parent)
            self.leaf = self.newest(left)

    def path(self) -> list[str]:
        path, id = [], self.leaf
        while id is not None:
            path.append(id)
            id = self.parent[id]
        return path[::-1]


class _Tree:
    """The same over the database."""

    def __init__(self, services: Services, owner_id: UUID) -> None:
        self.owner_id, self.conversation_id = owner_id, uuid4()
        self._services, self._number = services, 0

    async def turn(
        self, message: str | None = None, *, again: bool = False, below: store.Below | None = None
    ) -> tuple[str, str, bool]:
        """Take a turn to its end; return the question's id, the answer's, and if it was new."""
        self._number += 1
        run = {
            "id": uuid7(),
            "kind": "chat",
            "owner_id": self.owner_id,
            "conversation_id": self.conversation_id,
            "provider_name": "p",
            "request_model": "m",
            "request_id": None,
            "input_preview": None,
            "started_at": datetime.now(UTC),
        }
        client_id = message or f"m{self._number}"
        turn = await store.begin_turn(
            self._services.pool,
            run,
            client_message_id=client_id,
            title_from="x",
            parts=[{"type": "text", "text": client_id}],
            model="p/m",
            again=again,
            below=below,
        )
        async with connect(self._services.pool) as connection:
            await store.finish_message(connection, turn.answer_id, "complete", [], {})
            await connection.execute("DELETE FROM runs WHERE id = %s", (turn.answer_id,))
        return client_id, str(turn.answer_id), turn.answer is None

    async def shown(self) -> list[store.Row]:
        conversation = await store.find(self._services.pool, self.owner_id, self.conversation_id)
        return conversation["messages"]


@pytest.fixture
async def owner_id(services: Services) -> UUID:
    id = uuid7()
    async with connect(services.pool) as connection:
        await connection.execute(
            "INSERT INTO users (id, email, password_hash, role) VALUES (%s, %s, 'x', 'user')",
            (id, f"{id}@example.org"),
        )
    return id


@given(steps=_STEPS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_a_tree_is_what_its_steps_make_it(
    services: Services, owner_id: UUID, steps: list[tuple[str, int]]
) -> None:
    real, model = _Tree(services, owner_id), _Model()
    await _step(services, real, model, "send", None)
    for step, pick in steps:
        ids = sorted(model.parent, key=model.sequence.__getitem__)
        await _step(services, real, model, step, ids[pick % len(ids)] if ids else None)

        shown = await real.shown()
        assert [message["id"] for message in shown] == model.path()
        for message in shown:
            parent = model.parent[message["id"]]
            assert message["parent_id"] == parent
            assert message["siblings"] == model.children(parent)
    async with connect(services.pool) as connection:
        cursor = await connection.execute(
            "SELECT coalesce(client_message_id, id::text) AS id, sequence FROM messages"
            " WHERE conversation_id = %s",
            (real.conversation_id,),
        )
        assert {row["id"]: row["sequence"] for row in await cursor.fetchall()} == model.sequence


async def _step(
    services: Services, real: _Tree, model: _Model, step: str, picked: str | None
) -> None:
    if step == "send" or picked is None:
        question, answer, _ = await real.turn()
        model.add(question, "user", model.leaf)
        model.add(answer, "assistant", question)
    elif step in ("branch", "edit"):
        parent = picked if step == "branch" else model.parent[picked]
        question, answer, _ = await real.turn(below=store.Below(parent))
        model.add(question, "user", parent)
        model.add(answer, "assistant", question)
    elif step in ("regenerate", "retry"):
        found = await store.find_question(
            services.pool, real.owner_id, real.conversation_id, picked
        )
        question = picked if model.role[picked] == "user" else model.parent[picked]
        assert question is not None
        answers = [c for c in model.children(question) if model.role[c] == "assistant"]
        _, answer, is_new = await real.turn(str(found["id"]), again=step == "regenerate")
        assert is_new == (step == "regenerate" or not answers)
        if is_new:
            model.add(answer, "assistant", question)
        else:
            assert answer == answers[-1]
    elif step == "switch":
        await tree.select_branch(services.pool, real.owner_id, real.conversation_id, picked)
        model.leaf = model.newest(model.below(picked))
    else:
        await tree.delete_branch(services.pool, real.owner_id, real.conversation_id, picked)
        model.remove(picked)
