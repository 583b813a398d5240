"""Whether anybody is there: so that a database that sleeps while nobody is can be left asleep.

With ``TAILRACE_DATABASE_SLEEPS`` both HTTP applications note in Valkey that they are called, and
the scheduled functions ask here before they connect to PostgreSQL: they rest while nobody has
called since they last found nothing to do. Whenever Valkey or the queue cannot tell, they work.
"""

import time
from typing import TYPE_CHECKING, Literal

import msgspec
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from tailrace.alerts.rules import OF_CALLS
from tailrace.db import queries
from tailrace.db.pool import connect
from tailrace.queue.base import QueueUnavailable
from tailrace.queue.status import QueueStatus
from tailrace.valkey import UNREACHABLE

if TYPE_CHECKING:
    from tailrace.services import Services

_sql = queries.load("presence")

_CALLED = "tailrace:called-at"

# Seconds for which a process does not note again what it has noted, or could not.
_NOTED_FOR = 30.0
_PAUSE = 1.0

# Seconds after which what a call leaves to do stands in PostgreSQL or in the queue: none takes
# longer before it writes, one may go unnoted for a while, and clocks differ.
_SETTLED_AFTER = 30.0 + _NOTED_FOR + 30.0

# Seconds after which a schedule works although nobody was there: for retention, and days to come.
_LOOK_EVERY = 6 * 3600

# What somebody else asks to learn whether the process lives.
_NOT_SOMEBODY = "/healthz"

Schedule = Literal["ingest", "maintain"]


class _Look(msgspec.Struct):
    """When a schedule found nothing to do (seconds since 1970), and how far events were then."""

    at: float
    status: QueueStatus


def presence(services: "Services") -> list[Middleware]:
    """Return what stands around an application: `NotesCalls`, or nothing."""
    return [Middleware(NotesCalls, services)] if services.settings.database_sleeps else []


class NotesCalls:
    """Notes that somebody calls, before the call is answered or else after it."""

    def __init__(self, app: ASGIApp, services: "Services") -> None:
        self._app = app
        self._services = services
        # By the wall clock: the other may stand still while a function is frozen.
        self._noted_until = 0.0
        self._paused_until = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == _NOT_SOMEBODY:
            await self._app(scope, receive, send)
            return
        began_at = time.time()
        if began_at >= max(self._noted_until, self._paused_until):
            await self._note()
        try:
            await self._app(scope, receive, send)
        finally:
            # The next call may be long in coming, and what this one left to do would wait for it.
            if self._noted_until <= began_at:
                await self._note()

    async def _note(self) -> None:
        now = time.time()
        if await note_call(self._services):
            self._noted_until = now + _NOTED_FOR
        else:
            self._paused_until = now + _PAUSE


async def note_call(services: "Services") -> bool:
    """Note that there may be something to do; return whether Valkey took it."""
    try:
        # Outlives every look that it may be compared with.
        await services.redis.set(_CALLED, repr(time.time()), ex=2 * _LOOK_EVERY)
    except UNREACHABLE:
        return False
    return True


async def find_rest(services: "Services", schedule: Schedule) -> QueueStatus | None:
    """Return how far events are if a schedule has nothing to do, without asking PostgreSQL.

    Returns
    -------
    QueueStatus or None
        As at the schedule's last look, since which nobody called; ``None`` when it has to work.
    """
    if not services.settings.database_sleeps:
        return None
    try:
        called, looked = await services.redis.mget(_CALLED, _key(schedule))
        if looked is None or await services.queue.depth():
            return None
        look = msgspec.json.decode(looked, type=_Look)
    except (*UNREACHABLE, QueueUnavailable):
        # Who called meanwhile may not have been noted.
        services.presence_unknown_at = time.time()
        return None
    except msgspec.MsgspecError:
        # Of another release.
        return None
    called_at = max(float(called or 0), services.presence_unknown_at)
    return look.status if called_at + _SETTLED_AFTER <= look.at else None


async def note_look(
    services: "Services", schedule: Schedule, began_at: float, status: QueueStatus | None
) -> None:
    """Let a schedule rest from now on, if it has left nothing to do.

    Parameters
    ----------
    began_at
        When the schedule began its work, in seconds since 1970.
    status
        How far events are since, ``None`` when that could not be found out.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached.
    """
    if not services.settings.database_sleeps or status is None or status.depth != 0:
        return
    async with connect(services.pool) as connection:
        terms = {"kinds": list(OF_CALLS)}
        row = await (await connection.execute(_sql["is_work_left"], terms)).fetchone()
    if row is None or row["is_left"]:
        return
    try:
        look = msgspec.json.encode(_Look(began_at, status))
        await services.redis.set(_key(schedule), look, ex=_LOOK_EVERY)
    except UNREACHABLE:
        # It works again at its next turn.
        return


def _key(schedule: Schedule) -> str:
    return f"tailrace:looked:{schedule}"
