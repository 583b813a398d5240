"""Ingestion: drains the outbox and the queue into `inference_log`, each event once.

Called by `functions/ingest`, by the scheduler of ``make up`` and by ``python -m tailrace ingest``.
It may run twice, run beside itself and be killed anywhere: a message is acknowledged only after
the transaction that holds its row has been committed, and a row that is there already is left as
it is. It never drops an event: one that cannot be kept becomes a dead letter.
"""

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
from psycopg import DataError, Error, IntegrityError

from tailrace.db import queries
from tailrace.db.pool import Connection, connect, transaction
from tailrace.problems import unavailable
from tailrace.queue.base import Message, QueueUnavailable
from tailrace.telemetry.event import InferenceEvent, InvalidEvent, decode, storable

if TYPE_CHECKING:
    from tailrace.services import Services

_log = logging.getLogger(__name__)
_sql = queries.load("telemetry")

# The columns of a row, in the order of COPY: what the event holds as it is...
_FIELDS = {
    "id": "uuid",
    "started_at": "timestamptz",
    "kind": "text",
    "status": "text",
    "owner_id": "uuid",
    "conversation_id": "uuid",
    "request_id": "text",
    "operation_name": "text",
    "provider_name": "text",
    "request_model": "text",
    "response_model": "text",
    "response_id": "text",
    "error_type": "text",
    "error_message": "text",
    "duration": "float8",
    "time_to_first_chunk": "float8",
    "time_per_output_chunk": "float8",
    "input_tokens": "int8",
    "cache_read_input_tokens": "int8",
    "cache_write_input_tokens": "int8",
    "output_tokens": "int8",
    "reasoning_output_tokens": "int8",
    "usage_estimated": "bool",
    "attempts": "int4",
    "fallback_from": "text",
    "cold_start": "bool",
    "input_preview": "text",
    "output_preview": "text",
}
# ... then finish_reasons, metadata, cost_usd, unpriced and price_version, which are made of it. The
# first two come as the bytes that stand for them, which in a binary COPY are the same to the server
# and which psycopg would take longer to make than all the rest of the row.
_TYPES = [*_FIELDS.values(), "bytea", "bytea", "numeric", "bool", "text"]

_TEXT_OID = 25

_fields_of = attrgetter(*_FIELDS)

# While one batch waits for the server, another is read, decoded and priced.
_WORKERS = 2

# Events after which the loop gets a turn: `make up` chats in the same process.
_TURN = 250

_ATTEMPTS = 5
_REASON_CHARS = 500
_DEAD_PAYLOAD = 1024 * 1024


class IngestReport(msgspec.Struct):
    """What one ingestion did.

    Attributes
    ----------
    received, outbox
        Messages taken from the queue and from the outbox; they add up to the next three.
    inserted, duplicates, dead
        Rows written, events that were there already, dead letters written.
    batches
        Transactions committed.
    queue_available
        Whether the queue answered throughout.
    """

    received: int = 0
    outbox: int = 0
    inserted: int = 0
    duplicates: int = 0
    dead: int = 0
    batches: int = 0
    queue_available: bool = True


async def ingest(services: "Services", *, deadline: float | None = None) -> IngestReport:
    """Drain outbox and queue once; what comes in meanwhile may wait for the next time.

    Parameters
    ----------
    deadline
        Time of the event loop after which no further batch is begun.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached. What is not committed stays in queue and outbox.
    """
    ingestion = _Ingestion(services, deadline)
    await ingestion.drain(ingestion.land_from_outbox)
    await ingestion.drain(ingestion.land_from_queue)
    async with connect(services.pool) as connection:
        await connection.execute(_sql["settle_runs"])
    return ingestion.report


class _Dead(NamedTuple):
    """A message that cannot be kept, and why."""

    message: Message
    reason: str


class _Conflict(Exception):
    """The transaction got into the way of another one, and may be tried again."""


class _Ingestion:
    """One call of `ingest`."""

    def __init__(self, services: "Services", deadline: float | None) -> None:
        self.report = IngestReport()
        self._services = services
        self._limit = services.settings.ingest_batch_size
        self._deadline = deadline
        # One worker at a time reads or decodes: in step, all would compute and then all would wait,
        # and one's answers from the queue would lie around while the other computes.
        self._turn = asyncio.Lock()
        # Until the first batch proves otherwise, every event is taken for new and fit.
        self._straight = True

    async def drain(self, land: Callable[[], Awaitable[bool]]) -> None:
        """Land batches until `land` says that there is no more, or the time is up."""
        if self._time_is_up() or not await land():
            return
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(_WORKERS):
                    workers.create_task(self._repeat(land))
        except* Exception as group:
            raise group.exceptions[0] from None

    async def land_from_outbox(self) -> bool:
        """Land one batch of the outbox; true when there may be more."""

        async def take(connection: Connection) -> list[Message]:
            cursor = await connection.execute(_sql["take_outbox"], {"limit": self._limit})
            return [Message(str(row["id"]), row["payload"]) for row in await cursor.fetchall()]

        taken = await self._commit("outbox", take)
        self.report.outbox += taken
        return taken >= self._limit

    async def land_from_queue(self) -> bool:
        """Land one batch of the queue; true when there may be more."""
        queue = self._services.queue
        try:
            async with self._turn:
                messages = await queue.receive(self._limit)
            if not messages:
                return False
            ids = [message.id for message in messages]

            async def take(_: Connection) -> list[Message]:
                return messages

            try:
                await self._commit("queue", take)
            except BaseException:
                # The next ingestion need not wait until we are taken for dead.
                with suppress(QueueUnavailable):
                    await queue.release(ids)
                raise
            self.report.received += len(messages)
            await queue.acknowledge(ids)
        except QueueUnavailable as error:
            _log.warning("the queue is unavailable: %s", error)
            self.report.queue_available = False
            return False
        return len(messages) >= self._limit

    async def _repeat(self, land: Callable[[], Awaitable[bool]]) -> None:
        while not self._time_is_up() and await land():
            pass

    def _time_is_up(self) -> bool:
        return self._deadline is not None and asyncio.get_running_loop().time() >= self._deadline

    async def _commit(
        self,
        source: Literal["queue", "outbox"],
        take: Callable[[Connection], Awaitable[list[Message]]],
    ) -> int:
        """Land what `take` gives in one transaction with it; return how many messages."""
        for _ in range(_ATTEMPTS):
            try:
                async with transaction(self._services.pool) as connection:
                    messages = await take(connection)
                    if not messages:
                        return 0
                    try:
                        inserted, dead = await self._write(connection, source, messages)
                    except Error as error:
                        if _is_conflict(error):
                            raise _Conflict(_first_line(error)) from error
                        raise
            except _Conflict as conflict:
                _log.info("a batch is tried again: %s", conflict)
                continue
            self.report.batches += 1
            self.report.inserted += inserted
            self.report.duplicates += len(messages) - dead - inserted
            self.report.dead += dead
            return len(messages)
        raise unavailable("The database refused a batch again and again.")

    async def _write(
        self, connection: Connection, source: str, messages: list[Message]
    ) -> tuple[int, int]:
        """Write rows and dead letters; return how many of each."""
        inserted, dead = await self._insert(connection, messages)
        if dead:
            _log.warning("%d events are dead letters now: %s", len(dead), dead[0].reason)
            letters = [
                {
                    "source": source,
                    "source_id": message.id,
                    "reason": storable(reason)[:_REASON_CHARS],
                    "payload": message.payload[:_DEAD_PAYLOAD],
                }
                for message, reason in dead
            ]
            async with connection.cursor() as cursor:
                await cursor.executemany(_sql["bury"], letters)
        return inserted, len(dead)

    async def _insert(
        self, connection: Connection, messages: list[Message]
    ) -> tuple[int, list[_Dead]]:
        """Insert what is new and fit; return how many rows that made, and what is unfit."""
        if self._straight:
            try:
                async with connection.transaction():
                    return await self._copy(connection, "copy_to_log", messages)
            except Error as error:
                if _is_conflict(error) or not _is_refusal(error):
                    raise
                # A duplicate, most likely, and where there is one there are more.
                self._straight = False
        await connection.execute(_sql["create_staging"])
        return await self._settle(connection, messages)

    async def _settle(
        self, connection: Connection, messages: list[Message]
    ) -> tuple[int, list[_Dead]]:
        """Merge the messages; when the database refuses them, find out which by halving."""
        try:
            async with connection.transaction():
                _, dead = await self._copy(connection, "copy_to_staging", messages)
                cursor = await connection.execute(_sql["merge"])
                return cursor.rowcount, dead
        except Error as error:
            if _is_conflict(error) or not _is_refusal(error):
                raise
            if len(messages) == 1:
                return 0, [_Dead(messages[0], _first_line(error))]
        inserted, dead = 0, []
        middle = len(messages) // 2
        for half in (messages[:middle], messages[middle:]):
            more_inserted, more_dead = await self._settle(connection, half)
            await connection.execute(_sql["empty_staging"])
            inserted += more_inserted
            dead += more_dead
        return inserted, dead

    async def _copy(
        self,
        connection: Connection,
        statement: Literal["copy_to_log", "copy_to_staging"],
        messages: list[Message],
    ) -> tuple[int, list[_Dead]]:
        """Decode, check and price every message on its own, and send its row."""
        dead: list[_Dead] = []
        # Importing the price table takes most of a second, which the loop must not stand still.
        make_row = await asyncio.to_thread(_load_make_row)
        async with self._turn, connection.cursor() as cursor:
            async with cursor.copy(_sql[statement]) as copy:
                copy.set_types(_TYPES)
                for number, message in enumerate(messages, start=1):
                    try:
                        row = make_row(decode(message.payload))
                    except InvalidEvent as error:
                        dead.append(_Dead(message, str(error)))
                    else:
                        await copy.write_row(row)
                    if number % _TURN == 0:
                        await asyncio.sleep(0)
            return cursor.rowcount, dead


def _load_make_row() -> Callable[[InferenceEvent], tuple[Any, ...]]:
    from tailrace.telemetry import pricing

    def make_row(event: InferenceEvent) -> tuple[Any, ...]:
        return (
            *_fields_of(event),
            _array(tuple(event.finish_reasons)),
            b"\x01" + msgspec.json.encode(event.metadata) if event.metadata else b"\x01{}",
            *pricing.price(event),
            pricing.VERSION,
        )

    return make_row


@lru_cache(maxsize=1024)
def _array(values: tuple[str, ...]) -> bytes:
    """Return the binary form of a text array: dimensions, no NULLs, type; size and first index.

    https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/arrayfuncs.c
    """
    if not values:
        return struct.pack(">iii", 0, 0, _TEXT_OID)
    items = [value.encode() for value in values]
    return struct.pack(">iiiii", 1, 0, _TEXT_OID, len(items), 1) + b"".join(
        struct.pack(">i", len(item)) + item for item in items
    )


def _is_refusal(error: Error) -> bool:
    """Tell whether the database refused the data, rather than failed."""
    # Class 54 is a limit of the server that a value went over.
    return isinstance(error, DataError | IntegrityError) or (error.sqlstate or "")[:2] == "54"


def _is_conflict(error: Error) -> bool:
    # 23514: maintain made the partition of a row that was on its way to the default partition.
    return error.sqlstate in ("40001", "40P01", "23514")


def _first_line(error: Error) -> str:
    return str(error).partition("\n")[0]
