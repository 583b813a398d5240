"""What works on the events, each in a process of its own: the product's own code, and how it dies.

They are forked from one that has everything imported, so that a start takes milliseconds. One may
be given a step at which it ends (SIGKILL) or freezes (SIGSTOP) itself, as Lambda does: the
libraries it works with are wrapped in that process alone, and the product knows nothing of it.
"""

import asyncio
import faulthandler
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple
from weakref import WeakSet

import boto3  # noqa: F401  # Imported once, in the process that is forked from.
import psutil
import psycopg
from psycopg.pq import TransactionStatus

from tailrace.db.pool import connect, transaction
from tailrace.http.site import create_app
from tailrace.maintenance import maintain
from tailrace.problems import Problem
from tailrace.queue.base import Queue
from tailrace.queue.redis_streams import RedisStreamsQueue
from tailrace.queue.sqs import SqsQueue
from tailrace.runs.ledger import close_run, open_run
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry import ingest as ingestion
from tailrace.telemetry import pricing  # noqa: F401  # The same.
from tailrace.telemetry.capture import publish
from tailrace.telemetry.event import InferenceEvent
from tests.support.serving import serve

#: Steps of ingestion, in their order.
INGESTION_STEPS = (
    "after receive",
    "before COPY",
    "in COPY",
    "after COPY",
    "before commit",
    "after commit",
    "before acknowledge",
    "after acknowledge",
)
#: Steps of whoever made a call, in their order.
CAPTURE_STEPS = ("before publish", "after publish", "before close", "after close")

#: Whoever looks at a payload with this in it is killed.
LETHAL = b"kills whoever reads it"

# Exit code of a process that met a server that was down: the schedule calls it again.
_UNAVAILABLE = 75

# Seconds that a process may live, should the test that waits for it be gone.
_LIFE = 100

# Tries to close a call, as a chat makes them.
_ATTEMPTS = 3

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])


class Failpoint(NamedTuple):
    """Where a process ends or freezes: at a step, the so-manieth time that it gets there."""

    step: str
    nth: int = 1
    how: Literal["kill", "freeze"] = "kill"


class Actor:
    """A process under way.

    Parameters
    ----------
    log
        File for what it writes.
    work
        One of the functions below; it gets `settings`, `Steps` and `arguments`.
    """

    def __init__(
        self,
        log: Path,
        work: Callable[..., Awaitable[None]],
        settings: Settings,
        failpoint: Failpoint | None = None,
        **arguments: Any,
    ) -> None:
        self.log = log
        self.failpoint = failpoint
        # Their endpoint and keys are set when the process that is forked from runs already.
        environment = {name: value for name, value in os.environ.items() if name[:4] == "AWS_"}
        self._process = _context.Process(
            target=_run, args=(log, environment, work, settings, failpoint, arguments), daemon=True
        )
        self._process.start()

    @property
    def is_frozen(self) -> bool:
        """Whether it has stopped itself and waits."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self._process.pid).status() == psutil.STATUS_STOPPED
        return False

    @property
    def has_ended(self) -> bool:
        return self._process.exitcode is not None

    @property
    def was_killed(self) -> bool:
        return self._process.exitcode == -signal.SIGKILL

    @property
    def did_its_work(self) -> bool:
        return self._process.exitcode == 0

    def thaw(self) -> None:
        """Let it go on where it froze."""
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        self._send(signal.SIGKILL)

    async def reach(self) -> None:
        """Return when it is at its failpoint, or has ended without getting there."""
        await until(lambda: self.has_ended or self.is_frozen)

    async def end(self) -> None:
        """Return when it has ended in one of the ways that it may end.

        Raises
        ------
        AssertionError
            When it failed, with what it wrote.
        """
        await until(lambda: self.has_ended)
        code = self._process.exitcode
        assert code in (0, _UNAVAILABLE, -signal.SIGKILL), f"{code}: {self.log.read_text()}"

    def _send(self, number: signal.Signals) -> None:
        if not self.has_ended and self._process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)


class Steps:
    """The steps that a process takes, and what happens at one of them."""

    def __init__(self, failpoint: Failpoint | None) -> None:
        self._failpoint = failpoint
        self._left = failpoint.nth if failpoint else 0

    def reach(self, step: str) -> None:
        """Note that a step is taken; the process may not come back from here."""
        if self._failpoint and self._failpoint.step == step:
            self._left -= 1
            if self._left == 0:
                how = signal.SIGKILL if self._failpoint.how == "kill" else signal.SIGSTOP
                os.kill(os.getpid(), how)

    def watch(self, queue: Queue) -> None:
        """Take a step before and after each call of a queue."""
        for name in ("publish", "receive", "acknowledge", "release"):
            setattr(queue, name, self._around(name, getattr(queue, name)))

    def watch_database(self) -> None:
        """Take steps around every COPY, and around the commit of its transaction."""
        copy, transaction = psycopg.AsyncCursor.copy, psycopg.AsyncConnection.transaction
        copied: WeakSet[psycopg.AsyncConnection] = WeakSet()

        @asynccontextmanager
        async def watched_copy(
            cursor: psycopg.AsyncCursor, *args: Any, **options: Any
        ) -> AsyncIterator[psycopg.AsyncCopy]:
            self.reach("before COPY")
            async with copy(cursor, *args, **options) as rows:
                yield rows
                self.reach("in COPY")
            copied.add(cursor.connection)
            self.reach("after COPY")

        @asynccontextmanager
        async def watched_transaction(
            connection: psycopg.AsyncConnection, *args: Any, **options: Any
        ) -> AsyncIterator[psycopg.AsyncTransaction]:
            # One within another ends with a savepoint, not with a commit.
            is_outermost = connection.info.transaction_status == TransactionStatus.IDLE
            async with transaction(connection, *args, **options) as entered:
                yield entered
                if is_outermost and connection in copied:
                    self.reach("before commit")
            if is_outermost and connection in copied:
                copied.discard(connection)
                self.reach("after commit")

        psycopg.AsyncCursor.copy = watched_copy
        psycopg.AsyncConnection.transaction = watched_transaction

    def _around(self, name: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        async def watched(*args: Any, **options: Any) -> Any:
            self.reach(f"before {name}")
            result = await call(*args, **options)
            self.reach(f"after {name}")
            return result

        return watched


async def until(happened: Callable[[], bool]) -> None:
    """Return when something has happened that nobody tells us of."""
    async with asyncio.timeout(_LIFE):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@asynccontextmanager
async def opened(settings: Settings, hold: float = 60.0) -> AsyncIterator[Services]:
    """Open services, with a queue that takes whoever holds a message for so long for dead."""
    services = Services(settings)
    limits = {
        "max_length": settings.queue_max_length,
        "max_deliveries": settings.queue_max_deliveries,
        "hold": hold,
    }
    services.queue = (
        SqsQueue(settings.queue_url.get_secret_value(), **limits)
        if settings.queue_url
        else RedisStreamsQueue(services.redis, **limits)
    )
    await services.open()
    try:
        yield services
    finally:
        await services.close()


async def ingest(settings: Settings, steps: Steps, *, hold: float) -> None:
    """Ingest once, as the schedule does."""
    decode = ingestion.decode

    def decode_or_die(payload: bytes) -> InferenceEvent:
        if LETHAL in payload:
            os.kill(os.getpid(), signal.SIGKILL)
        return decode(payload)

    ingestion.decode = decode_or_die
    steps.watch_database()
    async with opened(settings, hold) as services:
        steps.watch(services.queue)
        await ingestion.ingest(services)


async def make_calls(
    settings: Settings, steps: Steps, *, events: list[InferenceEvent], ledger: Path
) -> None:
    """Record calls as those who make them do: noted, captured, and closed.

    Parameters
    ----------
    ledger
        File to which the id of each call is appended that was noted.
    """
    async with opened(settings) as services:
        steps.watch(services.queue)
        with ledger.open("ab", buffering=0) as noted:
            for event in events:
                try:
                    async with connect(services.pool) as connection:
                        await open_run(connection, _opening(event))
                except Problem:
                    # Then no model is called.
                    continue
                noted.write(f"{event.id}\n".encode())
                unsent = await publish(services.queue, event)
                steps.reach("before close")
                for _ in range(_ATTEMPTS):
                    with suppress(Problem):
                        async with transaction(services.pool) as connection:
                            await close_run(connection, event, unsent)
                        break
                steps.reach("after close")


async def maintain_once(settings: Settings, steps: Steps) -> None:
    """Maintain once, as the schedule does."""
    async with opened(settings) as services:
        await maintain(services)


async def serve_site(settings: Settings, steps: Steps, *, web_root: Path, address: Path) -> None:
    """Serve the site until the end, and write its address into a file."""
    steps.watch_database()
    services = Services(settings)
    steps.watch(services.queue)
    async with serve(create_app(services, web_root)) as url:
        address.with_suffix(".new").write_text(url)
        address.with_suffix(".new").rename(address)
        await asyncio.Event().wait()


def _opening(event: InferenceEvent) -> dict[str, Any]:
    names = ("id", "kind", "owner_id", "provider_name", "request_model", "started_at")
    unsaid = dict.fromkeys(("conversation_id", "request_id", "input_preview"))
    return {name: getattr(event, name) for name in names} | unsaid


def _run(
    log: Path,
    environment: dict[str, str],
    work: Callable[..., Coroutine[Any, Any, None]],
    settings: Settings,
    failpoint: Failpoint | None,
    arguments: dict[str, Any],
) -> None:
    os.environ.update(environment)
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    # One that hangs says where; see `_watched` as well.
    faulthandler.dump_traceback_later(_LIFE - 10, exit=True)
    # What was buffered before the fork is the parent's to write.
    sys.stdout = sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    try:
        asyncio.run(_watched(work(settings, Steps(failpoint), **arguments)))
    except Problem:
        sys.exit(_UNAVAILABLE)


async def _watched(work: Coroutine[Any, Any, None]) -> None:
    """Do some work; shortly before it is ended for hanging, have each task say what it awaits."""
    asyncio.get_running_loop().call_later(_LIFE - 15, _tell_tasks)
    await work


def _tell_tasks() -> None:
    for task in asyncio.all_tasks():
        print(task, file=sys.stderr)
        # A task tells of its outermost coroutine alone.
        awaited = task.get_coro()
        while frame := getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None):
            print(f"  {frame.f_code.co_filename}:{frame.f_lineno}", file=sys.stderr)
            awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
