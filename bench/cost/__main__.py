"""``python -m bench.cost [--chats N … | --write]``; bad input is one line and exit code 2."""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from bench.cost import tables
from bench.cost.bill import MOST_CHATS

PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"

# Around the tables in that page.
_BEGIN, _END = "<!-- python -m bench.cost --write -->\n", "\n<!-- until here -->"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """Print or write the tables and return the exit code."""
    parser = _Parser(prog="python -m bench.cost", description="What Tailrace costs in a month.")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--chats", type=_chats, nargs="+", help="the bills for these loads alone")
    choice.add_argument("--write", action="store_true", help="write the tables to docs/deploy.md")
    told = parser.parse_args(arguments)
    if told.chats:
        print(tables.bills(told.chats))
    elif told.write:
        page = PAGE.read_text()
        if not (old := held(page)):
            parser.error(f"{PAGE.name} does not say where the tables are to be")
        PAGE.write_text(page.replace(old, tables.everything()))
    else:
        print(tables.everything())
    return 0


def held(page: str) -> str:
    """Return the tables that the page holds."""
    return page.partition(_BEGIN)[2].partition(_END)[0]


def _chats(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_CHATS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {MOST_CHATS}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
