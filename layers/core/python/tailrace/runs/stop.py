"""Asking runs to stop: by one of their readers, or because their conversation was deleted.

Called by both applications. The request is a row, so that it holds without Valkey, and a flag
there, so that the run sees it soon.
"""

from contextlib import suppress
from uuid import UUID

from tailrace.db import queries
from tailrace.db.pool import connect
from tailrace.runs import journal
from tailrace.services import Services
from tailrace.valkey import UNREACHABLE

_sql = queries.load("runs")


async def request_stop(
    services: Services, owner_id: UUID, conversation_id: UUID, run_id: UUID | None
) -> list[UUID]:
    """Ask a run of a conversation to stop; asking again changes nothing.

    Parameters
    ----------
    run_id
        The run; ``None`` for every one that is under way.

    Returns
    -------
    list of UUID
        The runs that are under way and were asked.

    Raises
    ------
    Problem
        503 when the database is down.
    """
    async with connect(services.pool) as connection:
        cursor = await connection.execute(
            _sql["request_cancel"],
            {"id": run_id, "conversation_id": conversation_id, "owner_id": owner_id},
        )
        asked = [row["id"] for row in await cursor.fetchall()]
    # Without Valkey a run reads the row just written.
    with suppress(*UNREACHABLE):
        for id in asked:
            await journal.request_cancel(services.redis, id, services.settings.journal_ttl)
    return asked
