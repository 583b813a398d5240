"""Ingestion: drains the outbox and the queue into `inference_log`, each event once.

Called by `functions/ingest`, by the scheduler of ``make up`` and by ``tailrace ingest``. It may run
twice, run beside itself and be killed anywhere: a message is acknowledged only after the
transaction that holds its row has been committed, and a row that is there already is left as it is.
It never drops an event: one that cannot be kept becomes a dead letter, which may be tried again.
"""

import asyncio
import logging
import math
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import lru_cache
from operator import attrgetter
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Literal, LiteralString, NamedTuple
from uuid import UUID

import msgspec
from psycopg import DataError, Error, IntegrityError

from tailrace.db import queries
from tailrace.db.pool import Connection, connect, transaction
from tailrace.problems import Problem, unavailable
from tailrace.queue.base import ALONE_AFTER, RECEIVE_BYTES, Message, QueueUnavailable
from tailrace.storable import storable
from tailrace.telemetry.event import (
    SCHEMA_VERSION,
    InferenceEvent,
    InvalidEvent,
    NewerEvent,
    decode,
    glimpse_id,
)
from tailrace.telemetry.redact import preview

if TYPE_CHECKING:
    from tailrace.services import Services

_log = logging.getLogger(__name__)
_sql = queries.load("telemetry")
_letters = queries.load("dead_letters")

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

# Runs settled in one statement.
_SETTLED = 10_000

# Seconds after its deadline at which an ingestion gives up a batch under way.
_GRACE = 10.0

# Seconds between two looks of an ingestion that lingers.
_POLL = 0.5

_ATTEMPTS = 5
_REASON_CHARS = 500
_EXHAUSTED = "was handed to ingestion again and again, and never acknowledged"

_Source = Literal["queue", "outbox", "dead_letters"]


class _Waiting(NamedTuple):
    """Statements on a table in which messages wait."""

    claim: LiteralString
    take: LiteralString
    release: LiteralString


_WAITING = {
    "outbox": _Waiting(_sql["claim_outbox"], _sql["take_outbox"], _sql["release_outbox"]),
    "dead_letters": _Waiting(_letters["claim"], _letters["take"], _letters["release"]),
}


class IngestReport(msgspec.Struct):
    """What one ingestion did.

    Attributes
    ----------
    received, outbox, replayed
        Messages taken from the queue, from the outbox and from the dead letters that are to be
        tried again; they add up to the next four.
    inserted, duplicates, dead, parked
        Rows written, events that were there already, dead letters written, and events of a newer
        release put by for it.
    batches
        Transactions committed.
    queue_available
        Whether the queue answered throughout.
    """

    received: int = 0
    outbox: int = 0
    replayed: int = 0
    inserted: int = 0
    duplicates: int = 0
    dead: int = 0
    parked: int = 0
    batches: int = 0
    queue_available: bool = True


async def ingest(services: "Services", *, deadline: float | None = None) -> IngestReport:
    """Drain dead letters to be tried again, outbox and queue.

    It ends when what was there at its start has landed; with ``TAILRACE_INGEST_LINGER`` it goes on
    for so long with what comes in meanwhile.

    Parameters
    ----------
    deadline
        Time of the event loop after which no further batch is begun; ten seconds later, one under
        way is given up, and comes again.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached. What is not committed stays where it was.
    """
    ingestion = _Ingestion(services, deadline)
    clock = asyncio.get_running_loop().time
    end = min(clock() + services.settings.ingest_linger, deadline or math.inf)
    try:
        async with asyncio.timeout_at(None if deadline is None else deadline + _GRACE):
            await ingestion.run()
            while clock() + _POLL < end:
                await asyncio.sleep(_POLL)
                await ingestion.run()
    except TimeoutError:
        _log.warning("time is up: a batch under way was given up, and comes again")
    return ingestion.report


async def ingest_messages(
    services: "Services", messages: list[Message], *, deadline: float | None = None
) -> tuple[IngestReport, list[str]]:
    """Land messages that somebody else received, and who acknowledges what has landed.

    Parameters
    ----------
    deadline
        As of `ingest`.

    Returns
    -------
    report : IngestReport
    failed : list of str
        Ids of the messages that did not land, and have to come again.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached and none has landed.
    """
    ingestion = _Ingestion(services, deadline)
    failed: list[str] = []
    try:
        async with asyncio.timeout_at(None if deadline is None else deadline + _GRACE):
            failed += await ingestion.land_received(messages)
            await ingestion.settle()
    except TimeoutError:
        _log.warning("time is up: a batch under way was given up, and comes again")
        failed = [message.id for message in messages]
    return ingestion.report, failed


async def replay(services: "Services") -> IngestReport:
    """Land the dead letters that are to be tried again, and nothing else.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached. What is not committed stays as it was.
    """
    ingestion = _Ingestion(services, None)
    await ingestion.drain(ingestion.land_dead_letters)
    await ingestion.land_suspects(ingestion.land_dead_letters)
    return ingestion.report


class _Dead(NamedTuple):
    """A message that cannot be kept as a row, and why."""

    message: Message
    reason: str
    #: Of an event of a newer release.
    schema_version: int | None = None
    #: Of what was never read, as far as it can be told.
    event_id: UUID | None = None


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
        # One worker at a time takes a batch of the queue, and holds a hand while it has it.
        self._door = asyncio.Lock()
        self._hands = asyncio.Semaphore(_WORKERS)
        # Until the first batch proves otherwise, every event is taken for new and fit.
        self._straight = True
        self._asked_for_parked = False
        # Messages of the queue that are to land before what came meanwhile may wait.
        self._expected = 0

    async def run(self) -> None:
        """Land what is there now."""
        if self._time_is_up():
            return
        batches = self.report.batches
        await self.drain(self.land_dead_letters)
        await self.drain(self.land_from_outbox)
        try:
            self._expected = self.report.received + await self._services.queue.depth()
        except QueueUnavailable as error:
            self._note_unavailable(error)
        else:
            await self.drain(self.land_from_queue)
        # What may end us has everything else behind it.
        await self.land_suspects(self.land_dead_letters)
        await self.land_suspects(self.land_from_outbox)
        if self.report.batches > batches or not batches:
            await self.settle()

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

    async def land_suspects(self, land: Callable[..., Awaitable[bool]]) -> None:
        """Land one after the other what is suspected of having ended ingestion before."""
        while not self._time_is_up() and await land(suspicious=True):
            pass

    async def land_dead_letters(self, *, suspicious: bool = False) -> bool:
        """Land one batch of the dead letters to be tried again; true when there may be more."""
        if not self._asked_for_parked:
            async with connect(self._services.pool) as connection:
                await connection.execute(
                    _letters["ask_replay_of_parked"], {"schema_version": SCHEMA_VERSION}
                )
            self._asked_for_parked = True
        taken, more = await self._land_claimed("dead_letters", suspicious)
        self.report.replayed += taken
        return more

    async def land_from_outbox(self, *, suspicious: bool = False) -> bool:
        """Land one batch of the outbox; true when there may be more."""
        taken, more = await self._land_claimed("outbox", suspicious)
        self.report.outbox += taken
        return more

    async def land_from_queue(self) -> bool:
        """Land one batch of the queue; true when there may be more."""
        queue = self._services.queue
        try:
            async with AsyncExitStack() as hands:
                async with self._door:
                    await hands.enter_async_context(self._hands)
                    async with self._turn:
                        messages = await queue.receive(self._limit)
                    if not messages:
                        return False
                    if len(messages) == 1:
                        # What comes alone may be what ends us, and must take nothing along.
                        for _ in range(_WORKERS - 1):
                            await hands.enter_async_context(self._hands)
                await self._land_held(messages)
        except QueueUnavailable as error:
            self._note_unavailable(error)
            return False
        return len(messages) >= self._limit or self.report.received < self._expected

    async def _land_held(self, messages: list[Message]) -> None:
        """Land what the queue handed us, and tell it so."""
        queue = self._services.queue
        ids = [message.id for message in messages]
        try:
            async with self._holding(ids):
                await self._commit_messages(messages)
        except BaseException:
            # The next ingestion need not wait until we are taken for dead.
            with suppress(QueueUnavailable):
                await queue.release(ids)
            raise
        await queue.acknowledge(ids)

    async def land_received(self, messages: list[Message]) -> list[str]:
        """Land messages of the queue that somebody else received; return which did not.

        Raises
        ------
        Problem
            When none did.
        """
        for start in range(0, len(messages), self._limit):
            if self._time_is_up():
                return [message.id for message in messages[start:]]
            try:
                await self._commit_messages(messages[start : start + self._limit])
            except Problem as problem:
                if start == 0:
                    raise
                _log.warning("a part of the messages comes again: %s", problem)
                return [message.id for message in messages[start:]]
        return []

    async def settle(self) -> None:
        """Forget runs whose events have arrived, as far as time allows, and letters that have."""
        async with connect(self._services.pool) as connection:
            await connection.execute(_letters["forget_landed"])
        while True:
            async with connect(self._services.pool) as connection:
                cursor = await connection.execute(_sql["settle_runs"], {"limit": _SETTLED})
            if cursor.rowcount < _SETTLED or self._time_is_up():
                return

    @asynccontextmanager
    async def _holding(self, ids: list[str]) -> AsyncIterator[None]:
        """Keep the queue from handing out messages again, however long they take."""
        queue = self._services.queue
        has_ended = False

        async def extend() -> None:
            # To be cancelled is not enough: up to Python 3.11, `asyncio.wait_for`, in which clients
            # send, may finish what it waits for instead.
            while not has_ended:
                await asyncio.sleep(max(queue.hold / 3, 1.0))
                try:
                    await queue.extend(ids)
                except QueueUnavailable as error:
                    _log.warning("a batch may be delivered again: %s", error)

        extending = asyncio.create_task(extend())
        try:
            yield
        finally:
            has_ended = True
            extending.cancel()
            await asyncio.wait({extending})

    def _note_unavailable(self, error: QueueUnavailable) -> None:
        _log.warning("the queue is unavailable: %s", error)
        self.report.queue_available = False

    async def _repeat(self, land: Callable[[], Awaitable[bool]]) -> None:
        while not self._time_is_up() and await land():
            pass

    def _time_is_up(self) -> bool:
        return self._deadline is not None and asyncio.get_running_loop().time() >= self._deadline

    async def _commit_messages(self, messages: list[Message]) -> None:
        """Land messages of the queue in one transaction."""

        async def take(_: Connection) -> list[Message]:
            return messages

        await self._commit("queue", take)
        self.report.received += len(messages)

    async def _land_claimed(
        self, source: Literal["outbox", "dead_letters"], suspicious: bool
    ) -> tuple[int, bool]:
        """Land a batch of a table, or the oldest suspect in it alone.

        Returns
        -------
        taken : int
        more : bool
            Whether it claimed as much as it may.
        """
        waiting = _WAITING[source]
        limit = 1 if suspicious else self._limit
        max_claims = self._services.settings.queue_max_deliveries
        async with connect(self._services.pool) as connection:
            cursor = await connection.execute(
                waiting.claim,
                {
                    "limit": limit,
                    "max_bytes": RECEIVE_BYTES,
                    "suspicious": suspicious,
                    "alone_after": ALONE_AFTER,
                    "max_claims": max_claims,
                },
            )
            claimed = await cursor.fetchall()
        if not claimed:
            return 0, False
        ids = [row["id"] for row in claimed]

        async def take(connection: Connection) -> list[Message]:
            cursor = await connection.execute(waiting.take, {"ids": ids})
            return [
                Message(str(row["id"]), row["payload"], row["claims"] > max_claims)
                for row in await cursor.fetchall()
            ]

        try:
            taken = await self._commit(source, take)
        except BaseException:
            # We have outlived them.
            with suppress(Problem):
                async with connect(self._services.pool) as connection:
                    await connection.execute(waiting.release, {"ids": ids})
            raise
        size = sum(row["bytes"] for row in claimed)
        return taken, len(claimed) >= limit or size >= RECEIVE_BYTES

    async def _commit(
        self, source: _Source, take: Callable[[Connection], Awaitable[list[Message]]]
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
            parked = sum(letter.schema_version is not None for letter in dead)
            self.report.batches += 1
            self.report.inserted += inserted
            self.report.duplicates += len(messages) - len(dead) - inserted
            self.report.dead += len(dead) - parked
            self.report.parked += parked
            return len(messages)
        raise unavailable("The database refused a batch again and again.")

    async def _write(
        self, connection: Connection, source: _Source, messages: list[Message]
    ) -> tuple[int, list[_Dead]]:
        """Write rows and dead letters; return how many rows, and the dead."""
        # Whatever keeps these from landing may be in themselves: they are not even looked at.
        exhausted = [message for message in messages if message.exhausted]
        others = [message for message in messages if not message.exhausted]
        inserted, dead = await self._insert(connection, others) if others else (0, [])
        if exhausted:
            dead += await self._find_missing(connection, exhausted)
        if dead:
            await self._bury(connection, source, dead)
        if source == "dead_letters":
            buried = {letter.message.id for letter in dead}
            landed = [int(message.id) for message in messages if message.id not in buried]
            await connection.execute(_letters["resurrect"], {"ids": landed})
        return inserted, dead

    async def _find_missing(self, connection: Connection, exhausted: list[Message]) -> list[_Dead]:
        """Return those that have no row: others may have landed, and were not acknowledged."""
        letters = [_Dead(each, _EXHAUSTED, event_id=glimpse_id(each.payload)) for each in exhausted]
        ids = [letter.event_id for letter in letters if letter.event_id]
        cursor = await connection.execute(_sql["find_landed"], {"ids": ids})
        landed = {row["id"] for row in await cursor.fetchall()}
        return [letter for letter in letters if letter.event_id not in landed]

    async def _bury(self, connection: Connection, source: _Source, dead: list[_Dead]) -> None:
        """Write dead letters."""
        _log.warning("%d events are dead letters now: %s", len(dead), _reason(dead[0]))
        by_statement: defaultdict[LiteralString, list[dict[str, Any]]] = defaultdict(list)
        for letter in dead:
            if source == "dead_letters":
                statement = _letters["bury_again"]
            else:
                statement = _letters["bury_unread" if letter.message.exhausted else "bury"]
            by_statement[statement].append(
                {
                    "source": source,
                    "source_id": letter.message.id,
                    "reason": _reason(letter),
                    "payload": letter.message.payload,
                    "schema_version": letter.schema_version,
                    "event_id": letter.event_id,
                }
            )
        async with connection.cursor() as cursor:
            for statement, letters in by_statement.items():
                await cursor.executemany(statement, letters)

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
            if statement == "copy_to_log" and not self._straight:
                # The worker whose batch was refused may hold what this would wait for, and wait for
                # its turn.
                raise _Conflict("another batch was refused meanwhile")
            async with cursor.copy(_sql[statement]) as copy:
                copy.set_types(_TYPES)
                for number, message in enumerate(messages, start=1):
                    try:
                        row = make_row(decode(message.payload))
                    except NewerEvent as error:
                        dead.append(_Dead(message, str(error), error.schema_version))
                    except InvalidEvent as error:
                        dead.append(_Dead(message, str(error)))
                    except MemoryError:
                        raise
                    except Exception as error:
                        # A fault of ours must not hold up the others, and can be replayed once it
                        # is mended. What it says may quote the event: where it was is enough.
                        where = extract_tb(error.__traceback__)[-1]
                        reason = f"not read or priced: {type(error).__name__}"
                        _log.error("%s in %s, line %s", reason, where.filename, where.lineno)
                        dead.append(_Dead(message, reason))
                    else:
                        await copy.write_row(row)
                    if number % _TURN == 0:
                        await asyncio.sleep(0)
            return cursor.rowcount, dead


def _load_make_row() -> Callable[[InferenceEvent], tuple[Any, ...]]:
    from tailrace.telemetry import pricing

    def make_row(event: InferenceEvent) -> tuple[Any, ...]:
        metadata = event.metadata
        if event.provider_kind is not None:
            metadata = {"provider_kind": event.provider_kind, **metadata}
        return (
            *_fields_of(event),
            _array(tuple(event.finish_reasons)),
            b"\x01" + msgspec.json.encode(metadata) if metadata else b"\x01{}",
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


def _reason(letter: _Dead) -> str:
    # What says that a value is wrong may quote it.
    return preview(storable(letter.reason), _REASON_CHARS)


def _is_refusal(error: Error) -> bool:
    """Tell whether the database refused the data, rather than failed."""
    # Class 54 is a limit of the server that a value went over.
    return isinstance(error, DataError | IntegrityError) or (error.sqlstate or "")[:2] == "54"


def _is_conflict(error: Error) -> bool:
    # 23514: maintain made the partition of a row that was on its way to the default partition.
    return error.sqlstate in ("40001", "40P01", "23514")


def _first_line(error: Error) -> str:
    return str(error).partition("\n")[0]
