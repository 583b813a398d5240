"""Named SQL statements, read from the `.sql` files beside this module.

A file holds statements, each under a line ``-- name: <name>`` and a line of purpose.
"""

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def load(file: str) -> dict[str, LiteralString]:
    """Return the statements of ``sql/<file>.sql`` by name.

    The text ships inside the package and never holds a caller's input, hence ``LiteralString``.
    """
    text = files("tailrace.db").joinpath("sql", f"{file}.sql").read_text("utf-8")
    parts = _NAME.split(text)[1:]
    names, bodies = parts[::2], parts[1::2]
    return {
        name: cast("LiteralString", body.strip()) for name, body in zip(names, bodies, strict=True)
    }
