"""``tailrace migrate|ingest|maintain``: what the function of the same name does, once."""

from argparse import Namespace
from typing import Any

import msgspec

from tailrace.db.migrate import migrate
from tailrace.maintenance import maintain
from tailrace.services import Services
from tailrace.telemetry.ingest import ingest


def add(commands: Any) -> None:
    """Add the parsers of these commands."""
    for name, work, help in (
        ("migrate", _migrate, "apply the schema migrations that are missing"),
        ("ingest", _ingest, "drain the queue and the outbox once"),
        ("maintain", _maintain, "do once what has to be done from time to time"),
    ):
        commands.add_parser(name, help=help).set_defaults(work=work)


async def _migrate(services: Services, arguments: Namespace) -> str:
    return _json({"applied": await migrate(services.settings.database_url.get_secret_value())})


async def _ingest(services: Services, arguments: Namespace) -> str:
    return _json(await ingest(services))


async def _maintain(services: Services, arguments: Namespace) -> str:
    return _json(await maintain(services))


def _json(report: Any) -> str:
    return msgspec.json.encode(report).decode()
