"""A query read again, with the words of its owner that are most like those nobody wrote.

Called by `store` for a search that finds nothing. PostgreSQL brings candidates by their trigrams;
which of them is near enough is told by the number of slips of the finger between them.
"""

import re
from uuid import UUID

from tailrace.db import queries
from tailrace.db.pool import Connection

_sql = queries.load("search")

_OPERAND = re.compile(r"'((?:[^']|'')*)'")
_SHORTEST = 3
_MOST_WORDS = 5
# Letters; two neighbours swapped leave a word of six a likeness of 0.27, one of seven 0.33.
_SHORT = 6


async def mend(
    connection: Connection, owner_id: UUID, asked: dict[str, str]
) -> dict[str, str] | None:
    """Return `asked` with known words for unknown ones, ``None`` when no word is like them.

    Parameters
    ----------
    asked
        A query for each language, as PostgreSQL writes them.
    """
    lexemes = {
        lexeme
        for query in asked.values()
        for lexeme in _OPERAND.findall(query)
        if len(lexeme) >= _SHORTEST and lexeme.isalpha()
    }
    rows = await connection.execute(
        _sql["unknown_words"], {"owner_id": owner_id, "lexemes": sorted(lexemes)}
    )
    unknown = [row["lexeme"] for row in await rows.fetchall()]
    if not unknown:
        return None
    # The more likeness is asked for, the less has to be compared.
    likeness = "0.3" if min(map(len, unknown)) > _SHORT else "0.25"
    await connection.execute(_sql["set_likeness"], {"likeness": likeness})
    cursor = await connection.execute(
        _sql["similar_words"], {"owner_id": owner_id, "lexemes": unknown}
    )
    similar: dict[str, list[str]] = {}
    for row in await cursor.fetchall():
        similar.setdefault(row["lexeme"], []).append(row["word"])
    meant = {
        lexeme: words
        for lexeme, candidates in similar.items()
        if (words := nearest(lexeme, candidates))
    }
    if not meant:
        return None

    def replace(operand: re.Match[str]) -> str:
        words = [f"'{word}'" for word in meant.get(operand[1], ())]
        return f"( {' | '.join(words)} )" if words else operand[0]

    return {language: _OPERAND.sub(replace, query) for language, query in asked.items()}


def nearest(lexeme: str, candidates: list[str]) -> list[str]:
    """Return the candidates that were most likely meant, at most five.

    Words that begin with the lexeme were perhaps not typed to their end; of the others, those with
    the fewest slips: one in a word of up to five letters, two in a longer one.
    """
    begun = [word for word in candidates if word.startswith(lexeme)]
    if begun:
        return begun[:_MOST_WORDS]
    slips = {word: distance(lexeme, word) for word in candidates}
    fewest = min(slips.values(), default=99)
    allowed = 1 if len(lexeme) <= 5 else 2
    if fewest > allowed:
        return []
    return [word for word in candidates if slips[word] == fewest][:_MOST_WORDS]


def distance(a: str, b: str) -> int:
    """Count the letters to add, drop, exchange or swap with their neighbour to make `b` of `a`.

    >>> distance("recieve", "receive")
    1
    """
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, letter in enumerate(a):
        row = [i + 1]
        for j, other in enumerate(b):
            cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (letter != other))
            if i and j and letter == b[j - 1] and a[i - 1] == other:
                cost = min(cost, before[j - 1] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
