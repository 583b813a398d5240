"""Maintenance: what has to be done from time to time, all of it safe to do twice or at once.

Called by `functions/maintain`, by the scheduler of ``make up`` and by
``python -m tailrace maintain``.
"""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from tailrace.alerts.deliveries import deliver
from tailrace.alerts.evaluation import evaluate
from tailrace.auth import resets
from tailrace.auth.erasure import forget_late_events
from tailrace.db import queries
from tailrace.db.pool import connect
from tailrace.maintenance.partitions import create_partitions, sweep
from tailrace.maintenance.purge import purge_attachments, purge_deleted
from tailrace.maintenance.reaper import reap_dead_runs
from tailrace.maintenance.retention import apply_retention
from tailrace.search.words import refresh_words

if TYPE_CHECKING:
    from tailrace.services import Services

__all__ = ["MaintainReport", "maintain"]

_sql = queries.load("maintenance")

# Seconds for moving, archiving and dropping what is stored, unless the caller says otherwise: who
# waits for a link, or for a run that died, must not wait for a backlog of rows.
_STORAGE_TIME = 20.0


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
    attachments
        Files purged that no message uses.
    reset_links
        Reset links sent.
    forgotten
        Events of deleted accounts that came late and were made nobody's.
    indexed
        Texts that came or went, and whose words misspelt queries are now compared with.
    alert_changes, alerts_told
        Alerts that began or ended, and deliveries made.
    swept
        Events moved from the default partition to their day's.
    archived, dropped
        Names of partitions.
    emptied_previews
        Calls whose previews were emptied.
    deleted_rollups, deleted_dead_letters
        What retention deleted.
    """

    partitions: list[str]
    runs: int
    lost: int
    sessions: int
    purged: int
    attachments: int
    reset_links: int
    forgotten: int
    indexed: int
    alert_changes: int
    alerts_told: int
    swept: int
    archived: list[str]
    dropped: list[str]
    emptied_previews: int
    deleted_rollups: int
    deleted_dead_letters: int


async def maintain(services: "Services", *, deadline: float | None = None) -> MaintainReport:
    """Create partitions, close dead runs, send lost events again, delete what has expired.

    Parameters
    ----------
    deadline
        Time of the event loop after which no further piece of what is stored is moved or dropped.

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
    report = MaintainReport(
        partitions=partitions,
        runs=runs,
        lost=sent.rowcount,
        sessions=ended.rowcount,
        purged=await purge_deleted(services),
        attachments=await purge_attachments(services),
        reset_links=await _send_reset_links(services),
        forgotten=await forget_late_events(services),
        indexed=await refresh_words(services.pool),
        alert_changes=await evaluate(services, datetime.now(UTC)),
        alerts_told=await deliver(services, datetime.now(UTC)),
        swept=0,
        archived=[],
        dropped=[],
        emptied_previews=0,
        deleted_rollups=0,
        deleted_dead_letters=0,
    )
    await _tidy(services, report, deadline)
    return report


async def _tidy(services: "Services", report: MaintainReport, deadline: float | None) -> None:
    """Do what may take long, after all that somebody waits for."""
    clock = asyncio.get_running_loop().time
    end = clock() + _STORAGE_TIME if deadline is None else deadline

    def is_time_up() -> bool:
        return clock() >= end

    ahead = services.settings.partitions_ahead
    report.swept = await sweep(services.pool, ahead, is_time_up=is_time_up)
    kept = await apply_retention(services, is_time_up=is_time_up)
    report.archived, report.dropped = kept.archived, kept.dropped
    report.emptied_previews = kept.previews
    report.deleted_rollups = kept.rollups
    report.deleted_dead_letters = kept.dead_letters


async def _send_reset_links(services: "Services") -> int:
    mailer = services.mailer
    # Links begin with the public address.
    if mailer is None or services.settings.public_url is None:
        return 0
    return await resets.send_due(services.pool, services.settings, mailer)
