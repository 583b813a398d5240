"""Purges conversations that were deleted long enough ago, and files that no message uses.

Called by `tailrace.maintenance`. Messages and feedback go, and in the end their files; the calls
they took stay counted, but tell neither which conversation they were made for nor a word of it.

A file's row goes first and leaves its id behind, then its bytes, then the id: whatever dies in
between, the next maintenance goes on where that ended.
"""

import asyncio
import logging
from typing import TYPE_CHECKING
from uuid import UUID

from tailrace.attachments.base import Store, StoreError
from tailrace.db import queries
from tailrace.db.pool import transaction

if TYPE_CHECKING:
    from tailrace.services import Services

_log = logging.getLogger(__name__)
_sql = queries.load("maintenance")
_files_sql = queries.load("attachments")

# Conversations of one transaction, and transactions of one maintenance.
_BATCH = 100
_BATCHES = 50
# Files deleted from the store at once, and seconds until one is tried again.
_AT_ONCE = 8
_RETRY_AFTER = 300.0


async def purge_deleted(services: "Services") -> int:
    """Purge conversations that can no longer be restored; return how many they were.

    One whose calls have not all reached the inference log waits for the next time, since nothing
    would take its id from them later.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached; what is not purged yet stays as it is.
    """
    kept_for = services.settings.deleted_kept_for
    purged = 0
    for _ in range(_BATCHES):
        async with transaction(services.pool) as connection:
            cursor = await connection.execute(
                _sql["take_purgeable"], {"kept_for": kept_for, "limit": _BATCH}
            )
            terms = {"ids": [row["id"] for row in await cursor.fetchall()]}
            if terms["ids"]:
                await connection.execute(_sql["forget_conversations"], terms)
                await connection.execute(_sql["purge_conversations"], terms)
        purged += len(terms["ids"])
        if len(terms["ids"]) < _BATCH:
            break
    return purged


async def purge_attachments(services: "Services") -> int:
    """Purge files whose last message went, or that none ever used; return how many they were.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached; what is not purged yet stays as it is.
    """
    purged = 0
    for _ in range(_BATCHES):
        async with transaction(services.pool) as connection:
            cursor = await connection.execute(_files_sql["take_purgeable"], {"limit": _BATCH})
            terms = {"ids": [row["id"] for row in await cursor.fetchall()]}
            if terms["ids"]:
                # A statement of its own sees what was written before we had the rows.
                deleted = await connection.execute(_files_sql["purge_unused"], terms)
                await connection.execute(_files_sql["leave_used"], terms)
                purged += deleted.rowcount
        if len(terms["ids"]) < _BATCH:
            break
    if services.files.has_store:
        await _delete_from_store(services, services.files.store)
    return purged


async def _delete_from_store(services: "Services", store: Store) -> None:
    """Delete the bytes of files whose rows went."""
    for _ in range(_BATCHES):
        async with transaction(services.pool) as connection:
            cursor = await connection.execute(_files_sql["take_deleted"], {"limit": _BATCH})
            ids = [row["id"] for row in await cursor.fetchall()]
            gone = await _delete(store, ids)
            left = [id for id in ids if id not in gone]
            if gone:
                await connection.execute(_files_sql["forget_deleted"], {"ids": list(gone)})
                await connection.execute(_files_sql["delete_again"], {"ids": list(gone)})
            if left:
                await connection.execute(
                    _files_sql["delete_later"], {"ids": left, "pause": _RETRY_AFTER}
                )
        if len(ids) < _BATCH:
            return


async def _delete(store: Store, ids: list[UUID]) -> set[UUID]:
    """Return those of the files that are gone from the store now."""
    turns = asyncio.Semaphore(_AT_ONCE)
    gone: set[UUID] = set()
    failures = 0

    async def delete(id: UUID) -> None:
        nonlocal failures
        async with turns:
            # A store that is down takes its time to say so.
            if failures >= _AT_ONCE:
                return
            try:
                await store.delete(id)
            except StoreError as error:
                failures += 1
                _log.warning("file %s could not be deleted: %s", id, error)
            else:
                gone.add(id)

    await asyncio.gather(*map(delete, ids))
    return gone
