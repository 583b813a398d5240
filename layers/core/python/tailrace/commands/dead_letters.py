"""``tailrace dead-letters list|show|replay|purge``: as the admin API does, and at once."""

from argparse import ArgumentTypeError, Namespace
from datetime import UTC, datetime
from typing import Any

import msgspec

from tailrace.services import Services
from tailrace.telemetry import dead_letters
from tailrace.telemetry.ingest import replay

_COLUMNS = ("id", "attempts", "first_seen_at", "last_seen_at", "bytes", "source", "reason")


def add(commands: Any) -> None:
    """Add the parsers of these commands."""
    group = commands.add_parser("dead-letters", help="events that could not be kept")
    actions = group.add_subparsers(dest="action", required=True)

    listing = actions.add_parser("list", help="list them, the newest first")
    listing.add_argument("--limit", type=_limit, default=50, help="how many (default: 50)")
    listing.add_argument("--before", type=_id, metavar="ID", help="only ids below this one")
    listing.add_argument("--parked", action="store_true", help="only events of a newer release")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    listing.set_defaults(work=_list)

    showing = actions.add_parser("show", help="show one with its payload, redacted")
    showing.add_argument("id", type=_id)
    showing.set_defaults(work=_show)

    replaying = actions.add_parser("replay", help="try them again, now")
    _add_which(replaying)
    replaying.set_defaults(work=_replay)

    purging = actions.add_parser("purge", help="forget them for good")
    purging.add_argument(
        "--before", type=_time, metavar="TIME", help="of these, only those last seen before it"
    )
    _add_which(purging)
    purging.set_defaults(work=_purge)


def _add_which(parser: Any) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("ids", type=_id, nargs="*", default=[], metavar="ID")
    which.add_argument("--all", action="store_true", help="all of them")


async def _list(services: Services, arguments: Namespace) -> str:
    rows = await dead_letters.list_page(
        services.pool,
        arguments.limit,
        before=arguments.before,
        parked=True if arguments.parked else None,
    )
    if arguments.json:
        return "\n".join(msgspec.json.encode(row).decode() for row in rows)
    lines = [_COLUMNS, *([_cell(row[column]) for column in _COLUMNS] for row in rows)]
    # The last column, which is the longest, ends where it ends.
    widths = [max(len(line[at]) for line in lines) for at in range(len(_COLUMNS) - 1)]
    return "\n".join("  ".join([*map(str.ljust, line[:-1], widths), line[-1]]) for line in lines)


async def _show(services: Services, arguments: Namespace) -> str:
    row = await dead_letters.read(services.pool, arguments.id)
    payload = row.pop("payload")
    return "\n".join([*(f"{name}: {_cell(value)}" for name, value in row.items()), "", payload])


async def _replay(services: Services, arguments: Namespace) -> str:
    asked = await dead_letters.ask_replay(services.pool, arguments.ids or None)
    report = await replay(services)
    landed = report.inserted + report.duplicates
    return f"{asked} asked for, {landed} landed, {report.dead + report.parked} failed again"


async def _purge(services: Services, arguments: Namespace) -> str:
    purged = await dead_letters.purge(services.pool, arguments.ids or None, arguments.before)
    return f"{purged} purged"


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return "-" if value is None else " ".join(str(value).split())


def _id(text: str) -> int:
    id = dead_letters.parse_id(text)
    if id is None:
        raise ArgumentTypeError("not an id")
    return id


def _limit(text: str) -> int:
    limit = dead_letters.parse_id(text)
    if limit is None or limit > 10_000:
        raise ArgumentTypeError("must be a whole number from 1 to 10000")
    return limit


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"not a time such as 2026-11-21T08:00Z: {text!r}") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
