"""A partition of the inference log on its way to the shelf: written, read back, noted.

Called by `tailrace.maintenance.retention` before it drops the partition. May be killed anywhere:
what is not noted as read back is written again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import tuple_row

from tailrace.db import queries
from tailrace.db.pool import Connection, connect
from tailrace.ids import uuid7
from tailrace.maintenance.archive.base import Shelf
from tailrace.maintenance.partitions import Partition

if TYPE_CHECKING:
    from tailrace.services import Services

_log = logging.getLogger(__name__)
_sql = queries.load("storage")

# Any constant does, as long as nothing else in the database takes the same lock.
_LOCK = 0x7461_696C_6172_6368


async def archive_partition(
    services: "Services", shelf: Shelf, partition: Partition
) -> tuple[UUID, bool] | None:
    """Write a partition to the shelf and read it back, unless that was done.

    Returns
    -------
    tuple or None
        The archive's id and whether it was written now; ``None`` when somebody else is writing.

    Raises
    ------
    ArchiveError
        When it cannot be written or read back.
    UndefinedTable
        When somebody dropped it meanwhile.
    Problem
        503 when the database cannot be reached.
    """
    from tailrace.maintenance.archive import parquet

    table = parquet.Table(services.settings.archive_contents == "everything")
    terms = partition._asdict() | {"id": uuid7(), "location": shelf.location}
    async with connect(services.pool) as connection, _lock(connection) as is_ours:
        if not is_ours:
            return None
        archive = await (await connection.execute(_sql["begin_archive"], terms)).fetchone()
        assert archive is not None
        id: UUID = archive["id"]
        if archive["verified_at"] is not None:
            return id, False
        name = _file_name(partition, id)
        written = await _write(connection, shelf, name, partition, table)
        await asyncio.to_thread(parquet.verify, shelf, name, written)
        await connection.execute(_sql["finish_archive"], {"id": id, **written._asdict()})
    _log.info("%s is archived: %d rows", partition.name, written.row_count)
    return id, True


@asynccontextmanager
async def _lock(connection: Connection) -> AsyncIterator[bool]:
    """Hold the lock of archives, longer than a transaction, if nobody else does."""
    cursor = await connection.execute(_sql["lock_archives"], {"key": _LOCK})
    row = await cursor.fetchone()
    is_ours = row is not None and row["locked"]
    try:
        if is_ours:
            await connection.execute(_sql["stay_idle"])
        yield is_ours
    finally:
        # With a broken connection the lock is gone as well.
        if is_ours and not connection.broken:
            await connection.execute(_sql["stay_idle_no_longer"])
            await connection.execute(_sql["unlock_archives"], {"key": _LOCK})


async def _write(
    connection: Connection, shelf: Shelf, name: str, partition: Partition, table: Any
) -> Any:
    """Send the rows of a partition to the shelf, one row group at a time."""
    from tailrace.maintenance.archive import parquet

    columns = [
        sql.SQL("{}::text" if as_text else "{}").format(sql.Identifier(column))
        for column, as_text in table.columns
    ]
    select = sql.SQL("SELECT {} FROM {} ORDER BY started_at, id").format(
        sql.SQL(", ").join(columns), sql.Identifier(partition.name)
    )
    draft = await asyncio.to_thread(shelf.write, name)
    try:
        writer = parquet.Writer(draft, table)
        async with (
            connection.transaction(),
            connection.cursor(name="archive", row_factory=tuple_row) as cursor,
        ):
            # What it sees is settled here; later events show when the rows are counted.
            await cursor.execute(select)
            while rows := await cursor.fetchmany(parquet.ROWS):
                await asyncio.to_thread(writer.write, rows)
        written = await asyncio.to_thread(writer.finish)
        await asyncio.to_thread(draft.keep)
    except BaseException:
        # Not to be put off by whatever stops us.
        await asyncio.shield(asyncio.to_thread(draft.discard))
        raise
    return written


def _file_name(partition: Partition, id: UUID) -> str:
    # Readers of Parquet know this way to tell days apart by their folders.
    return f"inference_log/day={partition.starts_at:%Y-%m-%d}/{partition.name}-{id}.parquet"
