"""How our commands read what they are given."""

import argparse
import sys
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """A parser that tells bad input in one line on standard error, and exits with code 2."""

    def error(self, message: str) -> NoReturn:
        """Tell what is wrong, and exit."""
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(2)
