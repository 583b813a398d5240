"""``tailrace rollups rebuild``: sums made anew from the calls themselves."""

from argparse import ArgumentTypeError, Namespace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tailrace.metrics.rebuild import rebuild
from tailrace.services import Services


def add(commands: Any) -> None:
    """Add the parsers of these commands."""
    group = commands.add_parser("rollups", help="sums of the calls")
    actions = group.add_subparsers(dest="action", required=True)
    rebuilding = actions.add_parser("rebuild", help="make them anew from the calls themselves")
    rebuilding.add_argument("--from", dest="start", type=_day, metavar="DAY", help="first day, UTC")
    rebuilding.add_argument("--to", dest="last", type=_day, metavar="DAY", help="last day, UTC")
    rebuilding.add_argument(
        "--force", action="store_true", help="even of days that the log no longer holds whole"
    )
    rebuilding.set_defaults(work=_rebuild)


async def _rebuild(services: Services, arguments: Namespace) -> str:
    end = arguments.last + timedelta(days=1) if arguments.last else None
    report = await rebuild(services, arguments.start, end, force=arguments.force)
    return msgspec.json.encode(report).decode()


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no day, such as 2026-01-31") from None
