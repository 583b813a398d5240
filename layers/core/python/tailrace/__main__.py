"""The command line: ``python -m tailrace migrate|ingest|maintain``.

Each command is what the function of the same name does, once. Bad input is one line on standard
error and exit code 2; a failure is one line and exit code 1.
"""

import argparse
import asyncio
import logging
import sys
from typing import Any

import msgspec
import psycopg

from tailrace.db.migrate import MigrationError, migrate
from tailrace.maintenance import maintain
from tailrace.problems import Problem
from tailrace.services import Services
from tailrace.settings import Settings, SettingsError
from tailrace.telemetry.ingest import ingest


def main() -> int:
    """Run one command and return the exit code."""
    parser = argparse.ArgumentParser(prog="tailrace", description="Run one function once.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="apply the schema migrations that are missing")
    commands.add_parser("ingest", help="drain the queue and the outbox once")
    commands.add_parser("maintain", help="create partitions and close dead runs, once")
    command = parser.parse_args().command
    # The pool tells of every attempt to connect; the one line at the end says the same.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    try:
        settings = Settings.load()
        report = asyncio.run(_run(command, settings))
    except SettingsError as error:
        print(f"tailrace: {error}", file=sys.stderr)
        return 2
    except (Problem, MigrationError, psycopg.OperationalError) as error:
        print(f"tailrace: {command}: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    print(msgspec.json.encode(report).decode())
    return 0


async def _run(command: str, settings: Settings) -> Any:
    if command == "migrate":
        return {"applied": await migrate(settings.database_url.get_secret_value())}
    services = Services(settings)
    await services.open()
    try:
        return await (ingest(services) if command == "ingest" else maintain(services))
    finally:
        await services.close()


if __name__ == "__main__":
    sys.exit(main())
