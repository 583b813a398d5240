"""Time of a search in a million messages of a thousand owners, beside ILIKE without an index.

Run by ``make bench`` or ``python -m bench.search``. The texts are made up, of words as frequent as
words are (Zipf), with real function words; one owner has an eighth of all messages, half of the
owners less than 300. Messages are copied in, and then the migration indexes them as it does what
was there before it. Each search is the api's own, without HTTP; who searches is drawn by the number
of their messages. What a search looks for is taken from a message of its owner:

- rare, common: a word beyond the 20,000 most frequent ones, and one of the 30 most frequent
- phrase: two neighbouring words
- typo: a word of at least six letters, two of them swapped, one left out or another in its place
- filter: a word of any kind, with a tag and a span of time

ILIKE looks through the same owner's messages for the same text, newest first. Also measured: what a
turn takes to write with the index and without (its triggers disabled). Prints Markdown tables.
"""

import argparse
import asyncio
import itertools
import random
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock
from uuid import UUID, uuid4

import psycopg
from pydantic import SecretStr

from localstack.embedded.postgres import Postgres
from tailrace import search
from tailrace.conversations import store
from tailrace.db import migrate
from tailrace.db.pool import connect
from tailrace.ids import uuid7
from tailrace.search import Filters
from tailrace.services import Services
from tailrace.settings import Settings

_OWNERS = 1_000
_VOCABULARY = 150_000
_START, _DAYS = datetime(2025, 1, 1, tzinfo=UTC), 690
_TAGS = {"work": 30, "code": 30, "home": 20, "recipes": 10, "travel": 9, "taxes": 1}
_FUNCTION_WORDS = {
    "english": "the of and to in is that for it with as on be at by this are from or an was not you"
    " your if can which we has they how what when will there do more about into",
    "german": "der die und das in ist zu den mit nicht von sie ein eine auf es für im dem auch als"
    " an werden aus er dass wir wie kann oder wenn noch bei nach über nur",
}
_SYLLABLES = (
    "b c d f g h k l m n p r s t v w z br cr dr fl gr pl pr sh st tr th ch",
    "a e i o u ai ea ou",
    " n r s t l m nd rt st ck",
)
_KINDS = ("rare", "common", "phrase", "typo", "filter")


class _Asked(NamedTuple):
    text: str
    filters: Filters = Filters()


class _Texts:
    """Words, and texts made of them."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.words = self._vocabulary()
        self.place = {word: place for place, word in enumerate(self.words)}
        english, german = (each.split() for each in _FUNCTION_WORDS.values())
        self._lists = (english + self.words, german + self.words)
        size = max(map(len, self._lists))
        self._weights = list(itertools.accumulate(1 / (n + 2.7) ** 1.05 for n in range(size)))

    def topic(self) -> list[str]:
        """Return words that a conversation comes back to."""
        return self._rng.choices(self.words[200:], k=12)

    def message(self, topic: list[str], *, german: bool, is_user: bool) -> list[str]:
        """Return the words of a message: some twenty of a user, some hundred of an assistant."""
        rng, words = self._rng, self._lists[german]
        length = rng.lognormvariate(2.9, 0.9) if is_user else rng.lognormvariate(4.75, 0.7)
        count = max(2, min(3_000, int(length)))
        text = rng.choices(words, cum_weights=self._weights[: len(words)], k=count)
        for place in range(0, count, 12):
            text[place] = rng.choice(topic)
        return text

    def _vocabulary(self) -> list[str]:
        pieces = [each.split(" ") for each in _SYLLABLES]
        words: dict[str, None] = {}
        while len(words) < _VOCABULARY:
            count = self._rng.choice((1, 2, 2, 2, 3, 3, 4))
            word = "".join(self._rng.choice(each) for _ in range(count) for each in pieces)
            if 3 <= len(word) <= 16:
                words[word] = None
        return list(words)


class _Data:
    """Conversations of all owners, interleaved in time as they would be written."""

    def __init__(self, messages: int) -> None:
        self.rng = random.Random(7)
        self.texts = _Texts(self.rng)
        self.owners = [UUID(int=self.rng.getrandbits(128)) for _ in range(_OWNERS)]
        share = messages / sum(1 / (place + 1) for place in range(_OWNERS))
        self.messages = [max(20, round(share / (place + 1))) for place in range(_OWNERS)]

    def load(self, url: str) -> None:
        """Copy everything into the tables, past triggers and foreign keys."""
        with psycopg.connect(url) as connection:
            cursor = connection.cursor()
            cursor.execute("SET session_replication_role = replica")
            with cursor.copy("COPY users (id, email, password_hash, role) FROM STDIN") as copy:
                for owner in self.owners:
                    copy.write_row((owner, f"{owner}@example.org", "x", "user"))
            with cursor.copy(
                "COPY messages (id, conversation_id, sequence, role, status, parts, created_at)"
                " FROM STDIN"
            ) as copy:
                conversations = [self._conversation(copy, *each) for each in self._plan()]
            with cursor.copy(
                "COPY conversations (id, owner_id, title, created_at, updated_at, title_source,"
                " model, tags, active_leaf_id, last_sequence) FROM STDIN"
            ) as copy:
                for row in conversations:
                    copy.write_row(row)

    def _plan(self) -> list[tuple[datetime, int, int, bool]]:
        rng, plan = self.rng, []
        for place, left in enumerate(self.messages):
            while left > 0:
                count = min(left, 2 * max(1, int(rng.lognormvariate(1.5, 0.7))))
                at = _START + timedelta(days=rng.random() * _DAYS)
                # A fifth of the owners writes German every other time.
                plan.append((at, place, count, place % 5 == 2 and rng.random() < 0.5))
                left -= count
        return sorted(plan)

    def _conversation(
        self, copy: psycopg.Copy, at: datetime, owner: int, count: int, german: bool
    ) -> tuple[Any, ...]:
        id, topic = self._uuid7(at), self.texts.topic()
        lines, leaf = [], None
        for number in range(count):
            is_user = number % 2 == 0
            said = self.texts.message(topic, german=german, is_user=is_user)
            moment = at + timedelta(seconds=45 * number)
            leaf = self._uuid7(moment)
            lines.append(
                f"{leaf}\t{id}\t{number + 1}\t{'user' if is_user else 'assistant'}\tcomplete\t"
                f'[{{"text": "{" ".join(said)}", "type": "text"}}]\t{moment.isoformat()}\n'
            )
        copy.write("".join(lines))
        tag = self.rng.choices(list(_TAGS), list(_TAGS.values()))[0]
        title = " ".join(self.texts.message(topic, german=german, is_user=True)[:6]).capitalize()
        return id, self.owners[owner], title, at, at, "model", "a/b", [tag], leaf, count

    def _uuid7(self, at: datetime) -> UUID:
        random_bits = self.rng.getrandbits
        milliseconds = int(at.timestamp() * 1000)
        return UUID(
            int=milliseconds << 80 | 7 << 76 | random_bits(12) << 64 | 2 << 62 | random_bits(62)
        )


async def _prepare(postgres: Postgres, data: _Data) -> str:
    """Return the URL of the loaded and indexed database, made unless an earlier run left it."""
    url = postgres.url("search")
    if not postgres.create_database("search"):
        await migrate.migrate(url)
        return url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE search SET maintenance_work_mem = '1GB'")
    files = migrate._available()
    before = {name: text for name, text in files.items() if name < "0007"}
    with mock.patch.object(migrate, "_available", return_value=before):
        await migrate.migrate(url)
    start = time.perf_counter()
    data.load(url)
    loaded = time.perf_counter()
    await migrate.migrate(url)
    indexed = time.perf_counter()
    print(f"loaded in {loaded - start:,.0f} s, indexed in {indexed - loaded:,.0f} s\n", flush=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    return url


async def _samples(services: Services, data: _Data, owner: UUID) -> list[list[str]]:
    """Return the words of some messages of an owner."""
    async with connect(services.pool) as connection:
        rows = await connection.execute(
            "SELECT parts -> 0 ->> 'text' AS said FROM messages JOIN conversations"
            " ON conversations.id = conversation_id WHERE owner_id = %s"
            " AND messages.id >= %s ORDER BY messages.id LIMIT 12",
            (owner, data._uuid7(_START + timedelta(days=data.rng.random() * _DAYS * 0.7))),
        )
        return [row["said"].split() for row in await rows.fetchall()]


def _asked(kind: str, data: _Data, samples: list[list[str]]) -> _Asked | None:
    """Return what to look for, ``None`` when the samples have no such thing."""
    rng, place = data.rng, data.texts.place
    said = rng.choice(samples)
    words = [word for word in said if word in place]
    if kind == "common":
        return _Asked(rng.choice(data.texts.words[:30]))
    if kind == "rare":
        words = [word for word in words if place[word] >= 20_000]
        return _Asked(rng.choice(words)) if words else None
    if kind == "phrase":
        pairs = [pair for pair in itertools.pairwise(said) if set(pair) <= set(words)]
        return _Asked('"{} {}"'.format(*rng.choice(pairs))) if pairs else None
    if kind == "typo":
        words = [word for word in words if len(word) >= 6]
        if not words:
            return None
        word = rng.choice(words)
        at = rng.randrange(1, len(word) - 2)
        slips = (word[at + 1] + word[at], word[at + 1], rng.choice("aeiou") + word[at + 1])
        typo = word[:at] + rng.choice(slips) + word[at + 2 :]
        return None if typo in place else _Asked(typo)
    if not words:
        return None
    start = _START + timedelta(days=rng.random() * _DAYS / 2)
    tag = rng.choices(list(_TAGS), list(_TAGS.values()))[0]
    return _Asked(rng.choice(words), Filters(tag=tag, start=start, end=start + timedelta(days=200)))


async def _ilike(services: Services, owner: UUID, asked: _Asked) -> None:
    async with connect(services.pool) as connection:
        await connection.execute(
            "SELECT messages.id FROM messages JOIN conversations"
            " ON conversations.id = conversation_id"
            " WHERE owner_id = %(owner)s AND deleted_at IS NULL"
            " AND parts -> 0 ->> 'text' ILIKE %(text)s"
            " AND (%(tag)s::text IS NULL OR %(tag)s = ANY (tags))"
            " AND messages.created_at BETWEEN coalesce(%(start)s, '-infinity'::timestamptz)"
            " AND coalesce(%(end)s, 'infinity'::timestamptz)"
            " ORDER BY messages.created_at DESC LIMIT 21",
            {
                "owner": owner,
                "text": "%" + asked.text.strip('"') + "%",
                **asked.filters._asdict(),
            },
        )


class _Times:
    """Milliseconds of one kind of search."""

    def __init__(self) -> None:
        self.ours: list[float] = []
        self.largest: list[float] = []
        self.ilike: list[float] = []
        self.found = 0

    def row(self, kind: str) -> str:
        def at(share: float, times: list[float]) -> str:
            return f"{_percentile(times, share):,.1f}" if times else "-"

        cells = [
            at(0.5, self.ours), at(0.95, self.ours), at(0.95, self.largest),
            at(0.5, self.ilike), at(0.95, self.ilike),
        ]  # fmt: skip
        found = f"{self.found / len(self.ours):.0%}"
        return f"| {kind} | {' | '.join(cells)} | {found} |"


def _percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


async def _measure(
    services: Services, data: _Data, kind: str, searches: int, times: _Times
) -> None:
    people = data.rng.choices(data.owners, data.messages, k=searches)
    for number, owner in enumerate([*people, *data.owners[:1] * (searches // 5)]):
        asked = None
        while asked is None:
            if samples := await _samples(services, data, owner):
                asked = _asked(kind, data, samples)
        start = time.perf_counter()
        page = await search.find(services.pool, owner, asked.text, asked.filters, 20, None)
        took = (time.perf_counter() - start) * 1000
        if number < searches:
            times.ours.append(took)
            times.found += bool(page["items"])
        else:
            times.largest.append(took)
        # It takes so much longer that fewer have to do.
        if number < searches and number % 10 == 0 and kind != "typo":
            start = time.perf_counter()
            await _ilike(services, owner, asked)
            times.ilike.append((time.perf_counter() - start) * 1000)


async def _write(services: Services, data: _Data, turns: int) -> dict[str, dict[str, list[float]]]:
    """Write turns of the largest owner, alternately with the index and without it."""
    times = {side: {"begin_turn": [], "finish_message": []} for side in ("with", "without")}
    texts, owner = data.texts, data.owners[0]
    for number in range(turns):
        for side in times:
            verb = "ENABLE" if side == "with" else "DISABLE"
            async with connect(services.pool) as connection:
                for table in ("messages", "conversations"):
                    await connection.execute(f"ALTER TABLE {table} {verb} TRIGGER USER".encode())
            topic = texts.topic()
            question = " ".join(texts.message(topic, german=False, is_user=True))
            answer = " ".join(texts.message(topic, german=False, is_user=False))
            took = await _turn(services, owner, question, answer)
            # The first ones load what a connection keeps.
            if number >= turns // 10:
                for step, milliseconds in took.items():
                    times[side][step].append(milliseconds)
    return times


async def _turn(services: Services, owner: UUID, question: str, answer: str) -> dict[str, float]:
    run = {
        "id": uuid7(), "owner_id": owner, "conversation_id": uuid4(), "provider_name": "p",
        "request_model": "m", "request_id": "r", "input_preview": None,
        "started_at": datetime.now(UTC),
    }  # fmt: skip
    parts = [{"type": "text", "text": question}]
    start = time.perf_counter()
    turn = await store.begin_turn(
        services.pool, run, client_message_id=str(uuid4()), title_from=question, parts=parts,
        model="a/b", again=False,
    )  # fmt: skip
    begun = time.perf_counter()
    async with connect(services.pool) as connection:
        await store.finish_message(
            connection, turn.answer_id, "complete", [{"type": "text", "text": answer}], {}
        )
    ended = time.perf_counter()
    return {"begin_turn": (begun - start) * 1000, "finish_message": (ended - begun) * 1000}


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure search beside ILIKE.")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--searches", type=int, default=200, help="of each kind, in a round")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keep the loaded database here, or use it")
    arguments = parser.parse_args()
    data = _Data(arguments.messages)
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as folder:
        postgres = Postgres((arguments.folder or Path(folder)) / "postgres")
        postgres.start()
        try:
            url = await _prepare(postgres, data)
            await _report(url, data, arguments)
        finally:
            postgres.stop()


async def _report(url: str, data: _Data, arguments: argparse.Namespace) -> None:
    services = Services(
        Settings(
            database_url=SecretStr(url),
            redis_url=SecretStr("redis://127.0.0.1:1"),
            secret_key=SecretStr("a secret key for benchmarks only!"),
        )
    )
    await services.open()
    print(f"{sum(data.messages):,} messages of {_OWNERS:,} owners; milliseconds\n")
    print("| search | p50 | p95 | p95, the largest owner | ILIKE p50 | ILIKE p95 | found |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for kind in _KINDS:
        times = _Times()
        for _ in range(arguments.rounds):
            await _measure(services, data, kind, arguments.searches, times)
        print(times.row(kind), flush=True)
    print("\n| writing | without the index | with it |")
    print("|---|---:|---:|")
    times = await _write(services, data, 200)
    for step in ("begin_turn", "finish_message"):
        cells = [_both(times[side][step]) for side in ("without", "with")]
        print(f"| {step}, p50 / p95 | {' | '.join(cells)} |")
    await services.close()


def _both(times: list[float]) -> str:
    return f"{_percentile(times, 0.5):.2f} / {_percentile(times, 0.95):.2f}"


if __name__ == "__main__":
    asyncio.run(main())
