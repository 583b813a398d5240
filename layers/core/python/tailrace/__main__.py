"""The command line: ``tailrace``, or ``python -m tailrace``.

Bad input is one line on standard error and exit code 2; a failure is one line and exit code 1.
"""

import argparse
import asyncio
import logging
import sys

import psycopg

from tailrace.commands import dead_letters, functions, rollups
from tailrace.commands.parser import Parser
from tailrace.db.migrate import MigrationError
from tailrace.problems import Problem
from tailrace.services import Services
from tailrace.settings import Settings, SettingsError

_COMMANDS = (functions, dead_letters, rollups)


def main() -> int:
    """Run one command and return the exit code."""
    parser = Parser(prog="tailrace", description="Run Tailrace, and look after its data.")
    commands = parser.add_subparsers(dest="command", required=True)
    for group in _COMMANDS:
        group.add(commands)
    arguments = parser.parse_args()
    # The pool tells of every attempt to connect; the one line at the end says the same.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    try:
        text = asyncio.run(_run(Settings.load(), arguments))
    except SettingsError as error:
        print(f"tailrace: {error}", file=sys.stderr)
        return 2
    except (Problem, MigrationError, psycopg.OperationalError) as error:
        print(f"tailrace: {arguments.command}: {str(error).splitlines()[0]}", file=sys.stderr)
        # What does not exist was asked for in vain; all else that is wrong is the server's.
        return 2 if isinstance(error, Problem) and error.status < 500 else 1
    if text:
        print(text)
    return 0


async def _run(settings: Settings, arguments: argparse.Namespace) -> str:
    services = Services(settings)
    await services.open()
    try:
        return await arguments.work(services, arguments)
    finally:
        await services.close()


if __name__ == "__main__":
    sys.exit(main())
