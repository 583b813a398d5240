"""Answers a search: matches in titles first, then in messages, each the best and newest first.

Called by the api application; every statement is scoped by the owner. To rank every match of a word
that stands in a hundred thousand messages takes too long, so matches are ranked in windows: the
newest of them against each other, then the next ones. The cursor tells the window and the place in
it, and the time from which age is counted, so that pages fit together while new messages arrive.
"""

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncCursor

from tailrace.db import queries
from tailrace.db.pool import Connection, Pool, pipeline
from tailrace.search import typos
from tailrace.search.query import spaced

_sql = queries.load("search")

Row = dict[str, Any]

# Matches that are ranked against each other, at most.
_WINDOW = 200
# Of a word that stands in many messages the index finds too many, and a look at the newest finds
# enough: so many are looked at first, then so many as hold that many matches, by what was seen, but
# no more than the last; where that is not enough, the index is asked for all there are. It knows
# nothing of filters, which makes it worth while to look further.
_GLANCE, _ENOUGH, _LOOK, _FILTERED_LOOK = 200, 50, 2_500, 8_000
# Conversations of a tag or model whose messages are read one by one.
_FEW = 1_000
# A match of today counts twice as much as a very old one; this many days halve its lead.
_RECENCY_DAYS = 90.0

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_LAST_ID = UUID(int=2**128 - 1)


class Filters(NamedTuple):
    """What a match must be, besides a match.

    Attributes
    ----------
    tag, model
        Of the conversation.
    start, end
        Of the message's, or for a title the conversation's beginning: from `start`, before `end`.
    """

    tag: str | None = None
    model: str | None = None
    start: datetime | None = None
    end: datetime | None = None


class _Place(NamedTuple):
    """Where a page begins.

    Attributes
    ----------
    mended
        The query was read again with similar words.
    now
        When the first page was asked for; what was written later is not shown.
    before_time, before_id
        The window holds the newest matches before these.
    score, id
        The match of the window after which to go on; ``None`` for its beginning.
    """

    mended: bool
    now: datetime
    in_titles: bool
    before_time: datetime
    before_id: UUID
    score: float | None = None
    id: UUID | None = None


#: Where a page begins.
Key = tuple[bool, datetime, bool, datetime, UUID, float | None, UUID | None]


async def index_rest(connection: Connection, owner_id: UUID, conversation_id: UUID) -> None:
    """Index the questions of a conversation that have no answer to be indexed with."""
    await connection.execute(_sql["index_rest"], {"id": conversation_id, "owner_id": owner_id})


async def find(
    pool: Pool, owner_id: UUID, text: str, filters: Filters, limit: int, following: Key | None
) -> Row:
    """Return a page of the owner's matches.

    Parameters
    ----------
    text
        As `websearch_to_tsquery` reads it: words, "phrases", ``or``, ``-not``.
    following
        The key that the page before gave.

    Returns
    -------
    dict
        ``items``, the key ``following`` or ``None``, and ``corrected``: whether nothing was found,
        and the items are matches of similar words.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached.
    """
    now = datetime.now(UTC)
    place = _Place(False, now, True, now, _LAST_ID) if following is None else _Place(*following)
    async with pipeline(pool) as connection:
        await connection.execute(_sql["configure"])
        rows = await connection.execute(
            _sql["read_query"], {"owner_id": owner_id, "text": spaced(text)}
        )
        asked = {row["language"]: row["query"] for row in await rows.fetchall()}
        search = _Search(connection, owner_id, asked, filters)
        matches = [] if place.mended else await search.matches(place, limit + 1)
        if place.mended or (following is None and not matches):
            mended = await typos.mend(connection, owner_id, asked)
            if mended is not None:
                place = place._replace(mended=True)
                search = _Search(connection, owner_id, mended, filters)
                matches = await search.matches(place, limit + 1)
        page = matches[:limit]
        return {
            "items": await search.show(page),
            "following": tuple(page[-1]) if len(matches) > limit else None,
            "corrected": place.mended and bool(page),
        }


class _Search:
    """A query, read in each of its owner's languages, and its filters."""

    def __init__(
        self, connection: Connection, owner_id: UUID, asked: dict[str, str], filters: Filters
    ) -> None:
        self._connection = connection
        self._params = {
            "owner_id": owner_id,
            "languages": list(asked),
            "queries": list(asked.values()),
            "tag": filters.tag,
            "model": filters.model,
            "start": filters.start or _FIRST,
            "end": filters.end or _LAST,
            "window": _WINDOW,
        }
        self._few: list[UUID] | None = None
        self._asked_few = False

    async def matches(self, place: _Place, count: int) -> list[_Place]:
        """Return the places of up to `count` matches from `place` on."""
        found: list[_Place] = []
        while self._params["languages"]:
            rows, is_last = await self._window(place)
            scored = sorted((-_score(row, place.now), row["id"]) for row in rows)
            if place.id is not None and place.score is not None:
                scored = [match for match in scored if match > (-place.score, place.id)]
            found += [place._replace(score=-score, id=id) for score, id in scored]
            if len(found) >= count or (is_last and not place.in_titles):
                break
            if is_last:
                place = _Place(place.mended, place.now, False, place.now, _LAST_ID)
            else:
                oldest = (rows[-1]["created_at"], rows[-1]["id"])
                place = _Place(place.mended, place.now, place.in_titles, *oldest)
        return found[:count]

    async def show(self, matches: list[_Place]) -> list[Row]:
        """Return matches with their titles and snippets, in order."""
        # Both are on their way before the first is read.
        cursors = [
            await self._execute(statement, ids=ids)
            for statement, in_titles in (("show_titles", True), ("show_messages", False))
            if (ids := [match.id for match in matches if match.in_titles == in_titles])
        ]
        shown = {row.pop("id"): row for cursor in cursors for row in await cursor.fetchall()}
        return [
            {**row, "snippet": segments(row["snippet"]), "score": match.score}
            for match in matches
            # A message may have been deleted since it was found.
            if match.id is not None and (row := shown.get(match.id)) is not None
        ]

    async def _window(self, place: _Place) -> tuple[list[Row], bool]:
        """Return the matches of a window, the newest first, and whether there are no older ones."""
        before = {"before_time": place.before_time, "before_id": place.before_id}
        if place.in_titles:
            rows = await self._rows("find_titles", **before)
            return rows, len(rows) < _WINDOW
        ids = await self._few_conversations()
        if ids is not None:
            rows = await self._rows("find_messages_within", ids=ids, **before)
            return rows, len(rows) < _WINDOW
        rows = await self._rows("find_recent_messages", recent=_GLANCE, **before)
        if 0 < len(rows) < _ENOUGH:
            looked_at = round(_GLANCE * 1.25 * _ENOUGH / len(rows))
            if looked_at <= (_FILTERED_LOOK if self._asked_few else _LOOK):
                rows = await self._rows("find_recent_messages", recent=looked_at, **before)
        if len(rows) >= _ENOUGH:
            return rows, False
        rows = await self._rows("find_messages", **before)
        return rows, len(rows) < _WINDOW

    async def _few_conversations(self) -> list[UUID] | None:
        """Return the conversations that the filters leave, unless they are many."""
        if self._params["tag"] is None and self._params["model"] is None:
            return None
        if not self._asked_few:
            rows = await self._rows("find_conversations", few=_FEW + 1)
            self._few = [row["id"] for row in rows] if len(rows) <= _FEW else None
            self._asked_few = True
        return self._few

    async def _rows(self, statement: str, **params: Any) -> list[Row]:
        return await (await self._execute(statement, **params)).fetchall()

    async def _execute(self, statement: str, **params: Any) -> AsyncCursor[Row]:
        return await self._connection.execute(_sql[statement], {**self._params, **params})


def segments(marked: str) -> list[Row]:
    """Return the text between marks as ``{"text", "match"}``, in order."""
    text = marked.replace("\x1f", "").replace("\x03\x02", "").replace("\x01", "<")
    text = re.sub(r"\s+", " ", text)
    pieces = re.split("[\x02\x03]", text)
    return [{"text": piece, "match": place % 2 == 1} for place, piece in enumerate(pieces) if piece]


def _score(row: Row, now: datetime) -> float:
    days = max(0.0, (now - row["created_at"]).total_seconds() / 86_400)
    return row["rank"] * (1 + 0.5 ** (days / _RECENCY_DAYS))
