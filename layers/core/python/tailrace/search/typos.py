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
# Letters; what is shorter is not kept as a word.
_SHORTEST = 4
_MOST_WORDS = 5
# A wrong letter leaves a word of six a likeness of 0.4, one of five 0.33; the less is asked for,
# the more words have to be compared.
_LIKENESS, _LIKENESS_OF_SHORT = "0.36", "0.3"


async def mend(
    connection: Connection, owner_id: UUID, asked: dict[str, str]
) -> dict[str, str] | None:
    """Return `asked` with known words for unknown ones, ``None`` when no word is like them.

    Parameters
    ----------
    connection
        In a pipeline.
    asked
        A query for each language, as PostgreSQL writes them.
    """
    lexemes = {
        lexeme
        for query in asked.values()
        for lexeme in _OPERAND.findall(query)
        if len(lexeme) >= _SHORTEST and lexeme.isalpha()
    }
    swaps = [(lexeme, swapped) for lexeme in sorted(lexemes) for swapped in _swaps(lexeme)]
    params = {
        "owner_id": owner_id,
        "lexemes": sorted(lexemes),
        "typed": [swap[0] for swap in swaps],
        "swapped": [swap[1] for swap in swaps],
    }
    # Both are on their way before the first is read.
    unknown_rows = await connection.execute(_sql["unknown_words"], params)
    near_rows = await connection.execute(_sql["begun_or_swapped_words"], params)
    unknown = [row["lexeme"] for row in await unknown_rows.fetchall()]
    similar: dict[str, list[str]] = {lexeme: [] for lexeme in unknown}
    for row in await near_rows.fetchall():
        if row["lexeme"] in similar:
            similar[row["lexeme"]].append(row["word"])
    if missing := [lexeme for lexeme, words in similar.items() if not words]:
        likeness = _LIKENESS if min(map(len, missing)) > 5 else _LIKENESS_OF_SHORT
        await connection.execute(_sql["set_likeness"], {"likeness": likeness})
        rows = await connection.execute(_sql["similar_words"], {**params, "lexemes": missing})
        for row in await rows.fetchall():
            similar[row["lexeme"]].append(row["word"])
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


def _swaps(word: str) -> list[str]:
    return [
        word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        for place in range(len(word) - 1)
    ]


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
