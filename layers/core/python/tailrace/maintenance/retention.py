"""Retention: what is kept only so long, a class at a time, by the settings.

Called by `tailrace.maintenance`. Events go a day at a time, by dropping its partition, which gives
the space back at once; with an archive configured, only after their archive was read back. Previews
are emptied row by row in small batches: a table of their own would cost every ingestion a second
row, while a day's rows are emptied once, in seconds, when nobody writes to them any longer.

All of it may run twice, run beside itself and be killed anywhere.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from psycopg import sql
from psycopg.errors import UndefinedTable

from tailrace.db import queries
from tailrace.db.pool import Connection, Pool, connect, transaction
from tailrace.maintenance.archive import ArchiveError
from tailrace.maintenance.archive.partition import archive_partition
from tailrace.maintenance.partitions import InUse, Partition, change_partitions, partitions

if TYPE_CHECKING:
    from tailrace.services import Services

_log = logging.getLogger(__name__)
_sql = queries.load("storage")

# Rows of one transaction.
_BATCH = 2_000
# How often it is asked whether calls came late, and by how much a transaction of ingestion may
# have been underway then.
_LATE_EVERY = timedelta(minutes=15)
_LATE_BY = timedelta(hours=1)

# The tables of a tier of rollups, and the tier within each.
_TIERS = ("minute", "hour", "day")

TimeIsUp = Callable[[], bool]


class RetentionReport(msgspec.Struct):
    """What one retention did.

    Attributes
    ----------
    dropped, archived
        Names of partitions.
    previews
        Calls whose previews were emptied.
    rollups
        Rollups deleted.
    dead_letters
        Dead letters deleted.
    """

    dropped: list[str] = []
    archived: list[str] = []
    previews: int = 0
    rollups: int = 0
    dead_letters: int = 0


async def apply_retention(
    services: "Services", now: datetime | None = None, *, is_time_up: TimeIsUp = lambda: False
) -> RetentionReport:
    """Remove what is kept no longer, as far as time allows; the rest waits for the next time.

    Parameters
    ----------
    now
        By which time what is kept counts as over; the current one if none is given.
    is_time_up
        Asked before each batch and each partition.

    Raises
    ------
    Problem
        503 when the database cannot be reached; what was done stays done.
    """
    now = now or datetime.now(UTC)
    pool, settings = services.pool, services.settings
    report = RetentionReport()
    if settings.previews_kept_for is not None:
        before = now - timedelta(seconds=settings.previews_kept_for)
        report.previews = await _empty_previews(pool, before, now, is_time_up)
    for tier in _TIERS:
        kept_for: float | None = getattr(settings, f"{tier}_rollups_kept_for")
        if kept_for is not None:
            before = now - timedelta(seconds=kept_for)
            report.rollups += await _delete_rollups(pool, tier, before, is_time_up)
    if settings.dead_letters_kept_for is not None:
        terms = {"before": now - timedelta(seconds=settings.dead_letters_kept_for)}
        report.dead_letters = await _delete(pool, _sql["delete_dead_letters"], terms, is_time_up)
    if settings.events_kept_for is not None:
        before = now - timedelta(seconds=settings.events_kept_for)
        # Whole days, those as well that are cut into several partitions.
        before = before.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        await _drop_events(services, before, report, is_time_up)
    return report


async def _drop_events(
    services: "Services", before: datetime, report: RetentionReport, is_time_up: TimeIsUp
) -> None:
    shelf = services.shelf
    for partition in await partitions(services.pool):
        if partition.ends_at > before or is_time_up():
            break
        try:
            archive_id = None
            if shelf is not None and not await _is_empty(services.pool, partition):
                archived = await archive_partition(services, shelf, partition)
                if archived is None:
                    # Somebody else is at it.
                    break
                archive_id, is_new = archived
                if is_new:
                    report.archived.append(partition.name)
            if await _drop(services.pool, partition, archive_id):
                report.dropped.append(partition.name)
        except InUse:
            _log.warning("%s is in use; it is dropped later", partition.name)
        except UndefinedTable:
            # Somebody else was faster.
            continue
        except ArchiveError as error:
            # The next one would fare no better.
            _log.error("%s is kept, since it could not be archived: %s", partition.name, error)
            break


async def _is_empty(pool: Pool, partition: Partition) -> bool:
    async with connect(pool) as connection:
        row = await (await _about(connection, "is_partition_empty", partition)).fetchone()
    return row is None or row["empty"]


async def _drop(pool: Pool, partition: Partition, archive_id: UUID | None) -> bool:
    """Drop a partition if its archive, where there is one, holds every row; tell whether."""
    async with change_partitions(pool) as connection:
        if archive_id is not None:
            await _about(connection, "keep_late_events_out", partition)
            row = await (await _about(connection, "count_partition", partition)).fetchone()
            cursor = await connection.execute(_sql["find_archive"], {"id": archive_id})
            archive = await cursor.fetchone()
            if row is None or archive is None or archive["dropped_at"] is not None:
                return False
            # Rows come to a partition and never leave it: as many are the same.
            if row["count"] != archive["row_count"]:
                await connection.execute(_sql["reopen_archive"], {"id": archive_id})
                return False
            await connection.execute(_sql["close_archive"], {"id": archive_id})
        await _about(connection, "drop_partition", partition)
    return True


async def _empty_previews(pool: Pool, before: datetime, now: datetime, is_time_up: TimeIsUp) -> int:
    emptied = 0
    while not is_time_up():
        async with transaction(pool) as connection:
            cursor = await connection.execute(_sql["lock_preview_retention"])
            progress = await cursor.fetchone()
            if progress is None:
                break
            done_to, checked_at = progress["emptied_before"], progress["late_checked_at"]
            if done_to is None or done_to < before:
                batch = await _find_previews(connection, done_to, before)
                emptied += await _empty(connection, batch)
                is_last = len(batch) < _BATCH
                note = {
                    "emptied_before": before if is_last else batch[-1]["started_at"],
                    # What lay in the log at this time is being seen to.
                    "late_checked_at": None if checked_at else now,
                }
            elif checked_at is None or checked_at < now - _LATE_EVERY:
                since = (checked_at or now) - _LATE_BY
                terms = {"end": done_to, "since": since, "limit": _BATCH}
                cursor = await connection.execute(_sql["find_late_previews"], terms)
                batch = await cursor.fetchall()
                emptied += await _empty(connection, batch)
                is_last = len(batch) < _BATCH
                note = {"emptied_before": None, "late_checked_at": now if is_last else None}
            else:
                break
            await connection.execute(_sql["note_preview_retention"], note)
    return emptied


async def _find_previews(
    connection: Connection, start: datetime | None, end: datetime
) -> list[dict[str, Any]]:
    # The log takes no event from before 1970.
    start = start or datetime.fromtimestamp(0, UTC)
    terms = {"start": start, "end": end, "limit": _BATCH}
    return await (await connection.execute(_sql["find_previews"], terms)).fetchall()


async def _empty(connection: Connection, batch: list[dict[str, Any]]) -> int:
    if not batch:
        return 0
    times = [row["started_at"] for row in batch]
    cursor = await connection.execute(
        _sql["empty_previews"],
        {
            "ids": [row["id"] for row in batch],
            "times": times,
            "first": min(times),
            "last": max(times),
        },
    )
    return cursor.rowcount


async def _delete_rollups(pool: Pool, tier: str, before: datetime, is_time_up: TimeIsUp) -> int:
    deleted = 0
    for each in (tier, f"{tier}_total"):
        table = sql.Identifier(f"rollups_{each}")
        statement = sql.SQL(_sql["delete_rollups"]).format(table=table)
        deleted += await _delete(pool, statement, {"tier": each, "before": before}, is_time_up)
    terms = {"tier": tier, "before": before}
    if tier == "day":
        deleted += await _delete(pool, _sql["delete_owner_rollups"], terms, is_time_up)
    if tier != "minute":
        deleted += await _delete(pool, _sql["delete_rollup_reasons"], terms, is_time_up)
    return deleted


async def _delete(pool: Pool, statement: Any, terms: dict[str, Any], is_time_up: TimeIsUp) -> int:
    """Delete in batches until nothing is left or time is up; return how many rows."""
    deleted = 0
    while not is_time_up():
        async with connect(pool) as connection:
            cursor = await connection.execute(statement, terms | {"limit": _BATCH})
        deleted += cursor.rowcount
        if cursor.rowcount < _BATCH:
            break
    return deleted


async def _about(connection: Connection, statement: str, partition: Partition) -> Any:
    name = sql.Identifier(partition.name)
    return await connection.execute(sql.SQL(_sql[statement]).format(name=name))
