"""Dead letters: events that could not be kept as rows, looked at, tried again, and purged.

Ingestion writes them and tries them again; the command line and the admin API call what is here. A
payload is shown redacted, since nobody vouches for what somebody put into it.
"""

import re
from datetime import datetime
from typing import Any

from tailrace.db import queries
from tailrace.db.pool import Pool, connect
from tailrace.problems import not_found
from tailrace.telemetry.event import SCHEMA_VERSION
from tailrace.telemetry.redact import preview

_sql = queries.load("dead_letters")

#: The ids that there can be.
MAX_ID = 2**63 - 1

# Characters of a payload that are shown; more than an event has.
_SHOWN = 300_000


def parse_id(text: str) -> int | None:
    """Return the id that a text is, ``None`` when it cannot be one."""
    # Beyond so many digits Python refuses even to look.
    if not re.fullmatch(r"[1-9][0-9]{0,18}", text, re.ASCII):
        return None
    id = int(text)
    return id if id <= MAX_ID else None


async def list_page(
    pool: Pool, limit: int, *, before: int | None = None, parked: bool | None = None
) -> list[dict[str, Any]]:
    """Return dead letters without their payloads, the newest first.

    Parameters
    ----------
    before
        Id that all of them are below.
    parked
        Whether to return events of a newer release alone, or none of them; both when ``None``.

    Raises
    ------
    Problem
        503 when the database cannot be reached.
    """
    terms = {"limit": limit, "before": before, "parked": parked}
    async with connect(pool) as connection:
        return await (await connection.execute(_sql["list_page"], terms)).fetchall()


async def read(pool: Pool, id: int) -> dict[str, Any]:
    """Return one dead letter, with its redacted payload as text.

    Raises
    ------
    Problem
        404 when there is none, 503 when the database cannot be reached.
    """
    async with connect(pool) as connection:
        row = await (await connection.execute(_sql["read"], {"id": id})).fetchone()
    if row is None:
        raise not_found("dead letter")
    return {**row, "payload": preview(row["payload"].decode(errors="replace"), _SHOWN)}


async def ask_replay(pool: Pool, ids: list[int] | None) -> int:
    """Have ingestion try dead letters again; return how many.

    Parameters
    ----------
    ids
        Which; ``None`` for all but those that this release cannot read.

    Raises
    ------
    Problem
        503 when the database cannot be reached.
    """
    terms = {"ids": ids, "schema_version": SCHEMA_VERSION}
    async with connect(pool) as connection:
        return (await connection.execute(_sql["ask_replay"], terms)).rowcount


async def purge(pool: Pool, ids: list[int] | None, before: datetime | None = None) -> int:
    """Forget dead letters for good; return how many.

    Parameters
    ----------
    ids
        Which; ``None`` for all.
    before
        Aware time that all of them were last seen before.

    Raises
    ------
    Problem
        503 when the database cannot be reached.
    """
    async with connect(pool) as connection:
        return (await connection.execute(_sql["purge"], {"ids": ids, "before": before})).rowcount
