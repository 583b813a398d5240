"""What somebody typed, made ready for `websearch_to_tsquery`."""

import re

# As in the schema's search_text: scripts without spaces between words, of which every letter is
# indexed as a word.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]+"
)


def spaced(text: str) -> str:
    """Make a phrase of each run of letters that are indexed one by one.

    >>> spaced('GPT -模型 "新 模型"')
    'GPT -"模 型"  " 新   模 型 "'
    """
    pieces = text.replace("\0", " ").split('"')
    for place, piece in enumerate(pieces):
        # A last quote without a partner quotes nothing.
        quoted = place % 2 == 1 and place < len(pieces) - 1
        form = " {} " if quoted else '"{}" '
        pieces[place] = _UNSPACED.sub(lambda run, form=form: form.format(" ".join(run[0])), piece)
    return '"'.join(pieces)
