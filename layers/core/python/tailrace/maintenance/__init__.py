"""Maintenance: what has to be done from time to time, all of it safe to do twice or at once.

Called by `functions/maintain`, by the scheduler of ``make up`` and by
``python -m tailrace maintain``.
"""

from typing import TYPE_CHECKING

import msgspec

from tailrace.auth import resets
from tailrace.auth.erasure import forget_late_events
from tailrace.db import queries
from tailrace.db.pool import connect
from tailrace.maintenance.partitions import create_partitions
from tailrace.maintenance.purge import purge_deleted
from tailrace.maintenance.reaper import reap_dead_runs
from tailrace.search.words import refresh_words

if TYPE_CHECKING:
    from tailrace.services import Services

__all__ = ["MaintainReport", "maintain"]

_sql = queries.load("maintenance")


class MaintainReport(msgspec.Struct):
    """What one maintenance did.

    Attributes
    ----------
    partitions
        Names of the partitions created.
    runs
        Dead runs closed.
    lost
        Events that the queue lost, sent again through the outbox.
    sessions
        Expired sessions deleted.
    purged
        Conversations purged, deleted long enough ago.
    reset_links
        Reset links sent.
    forgotten
        Events of deleted accounts that came late and were made nobody's.
    indexed
        Texts that came or went, and whose words misspelt queries are now compared with.
    """

    partitions: list[str]
    runs: int
    lost: int
    sessions: int
    purged: int
    reset_links: int
    forgotten: int
    indexed: int


async def maintain(services: "Services") -> MaintainReport:
    """Create partitions, close dead runs, send lost events again, delete what has expired.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached.
    """
    partitions = await create_partitions(services.pool, services.settings.partitions_ahead)
    runs = await reap_dead_runs(services)
    async with connect(services.pool) as connection:
        sent = await connection.execute(
            _sql["send_lost_events_again"], {"older_than": services.settings.event_lost_after}
        )
        ended = await connection.execute(_sql["delete_expired_sessions"])
    return MaintainReport(
        partitions=partitions,
        runs=runs,
        lost=sent.rowcount,
        sessions=ended.rowcount,
        purged=await purge_deleted(services),
        reset_links=await _send_reset_links(services),
        forgotten=await forget_late_events(services),
        indexed=await refresh_words(services.pool),
    )


async def _send_reset_links(services: "Services") -> int:
    mailer = services.mailer
    # Links begin with the public address.
    if mailer is None or services.settings.public_url is None:
        return 0
    return await resets.send_due(services.pool, services.settings, mailer)
