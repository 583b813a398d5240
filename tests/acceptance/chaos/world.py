"""The servers, the processes that work over them, and the books that are kept of what was done.

A schedule does its worst to a `World`, then has it `settle`, which brings everything up and lets
ingestion and maintenance run until nothing waits, and `verify` what has to hold after that:

- Every call that was noted is one row, or its event one dead letter; nothing else is in the log.
- What others put into the queue is there as well, unless the queue was wiped since.
- No event is there twice; rollups, in every tier, and counters of usage tell what the log tells.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import psycopg
import redis

from localstack.embedded.postgres import Postgres
from localstack.embedded.valkey import Valkey
from tailrace.db.pool import connect
from tailrace.maintenance import maintain
from tailrace.metrics.rebuild import rebuild
from tailrace.problems import Problem
from tailrace.queue.base import QueueUnavailable
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry import dead_letters
from tailrace.telemetry.capture import spill
from tailrace.telemetry.event import InferenceEvent
from tailrace.telemetry.ingest import ingest
from tests.acceptance.chaos import actors
from tests.acceptance.chaos.actors import Actor, Failpoint, opened, until
from tests.acceptance.chaos.calls import Foreign
from tests.acceptance.chaos.counts import disagreements, rows
from tests.support.rollups import rolled_up

# Seconds after which whoever holds a message is taken for dead.
HOLD = 0.3

_STREAM, _GROUP = "tailrace:inference-events", "ingest"

#: More deliveries than any event has here. Whoever takes a slow holder for dead must not take what
#: it holds for deadly, unless that is what is tried.
MANY_DELIVERIES = 1000

# Seconds in which everything has to come to rest.
_PATIENCE = 120

# Of calls whose clock was ahead, nobody can say that they have died.
_UNDER_WAY = "closed_at IS NULL AND started_at > now()"

# Calls whose event the queue took and never gave out.
_LOST = """
SELECT FROM runs WHERE closed_at IS NOT NULL
AND NOT EXISTS (SELECT FROM inference_dead_letters WHERE payload = event)
"""


class World:
    """What one schedule works on; its database is fresh.

    Parameters
    ----------
    folder
        Where processes write.
    """

    def __init__(
        self,
        postgres: Postgres,
        valkey: Valkey,
        settings: Settings,
        owners: list[UUID],
        folder: Path,
    ) -> None:
        self.postgres = postgres
        self.valkey = valkey
        self.settings = settings
        self.owners = owners
        self.folder = folder
        self.actors: list[Actor] = []
        self.made: dict[UUID, InferenceEvent] = {}
        self.poison: set[UUID] = set()
        #: How often the queue was wiped.
        self.wipes = 0
        #: What others sent, and how often the queue had been wiped when it took it.
        self.foreign: list[tuple[Foreign, float]] = []
        self._ledger = folder / "ledger"
        self._ledger.touch()
        self._names = itertools.count(1)
        self._lost = 0

    # What is done to it.

    def ingester(self, failpoint: Failpoint | None = None, *, hold: float = HOLD) -> Actor:
        """Start one ingestion."""
        return self._start(actors.ingest, failpoint, hold=hold)

    def caller(
        self,
        calls: list[InferenceEvent],
        failpoint: Failpoint | None = None,
        *,
        poison: list[InferenceEvent] | None = None,
    ) -> Actor:
        """Start a process that makes calls, some of whose events can never be rows."""
        poison = poison or []
        self.made |= {call.id: call for call in (*calls, *poison)}
        self.poison |= {call.id for call in poison}
        events = [*calls, *poison]
        # Good ones before and after every bad one.
        events.sort(key=lambda event: event.id.bytes[::-1])
        return self._start(actors.make_calls, failpoint, events=events, ledger=self._ledger)

    def maintainer(self, *, event_lost_after: float = 600.0) -> Actor:
        """Start one maintenance."""
        settings = self.settings.model_copy(update={"event_lost_after": event_lost_after})
        return self._start(actors.maintain_once, settings=settings)

    async def site(self, **settings: Any) -> tuple[Actor, str]:
        """Start the site; return it and its address."""
        address = self.folder / f"address-{next(self._names)}"
        (self.folder / "index.html").write_text("<!doctype html><title>Tailrace</title>")
        site = self._start(
            actors.serve_site,
            settings=self.settings.model_copy(update=settings),
            web_root=self.folder,
            address=address,
        )
        await until(lambda: address.exists() or site.has_ended)
        assert not site.has_ended, site.log.read_text()
        return site, address.read_text()

    async def send(
        self, foreign: list[Foreign], by: Literal["queue", "outbox", "both"] = "queue"
    ) -> None:
        """Put payloads into queue or outbox as they are; what the queue does not take goes by both.

        As it does when the queue took something, and did not say so in time.
        """
        async with opened(self.settings) as services:
            for each in foreign:
                safe = -inf
                if by != "outbox":
                    with suppress(QueueUnavailable):
                        await services.queue.publish(each.payload)
                        safe = self.wipes
                if by != "queue" or safe < 0:
                    safe = max(safe, await self._spill(services, each))
                self.foreign.append((each, safe))

    async def replay(self) -> None:
        """Have ingestion try all dead letters again."""
        async with opened(self.settings) as services:
            # Down, it has nobody ask.
            with suppress(Problem):
                await dead_letters.ask_replay(services.pool, None)

    def kill_valkey(self, *, wiped: bool = False) -> None:
        """End Valkey as a crash does, with its data or without."""
        if wiped:
            self.valkey.kill()
            self.valkey.wipe()
            self.wipes += 1
            self._make_durable()
        else:
            self.valkey.kill()

    def start_valkey(self) -> None:
        """Start Valkey where it is down."""
        if self.valkey.pid is None:
            self.valkey.start()
            self._make_durable()

    def delete_stream(self) -> None:
        """Delete the queue and all that it holds."""
        if self.valkey.pid is not None:
            with redis.Redis.from_url(self.valkey.url) as client:
                client.delete(_STREAM)
            self.wipes += 1

    def delete_group(self) -> None:
        """Delete what the queue knows of who holds what; messages stay."""
        if self.valkey.pid is not None:
            with redis.Redis.from_url(self.valkey.url) as client, suppress(redis.ResponseError):
                client.xgroup_destroy(_STREAM, _GROUP)

    def kill_postgres(self) -> None:
        """End PostgreSQL as a crash does."""
        self.postgres.kill()

    def start_postgres(self) -> None:
        """Start PostgreSQL where it is down; it recovers."""
        if self.postgres.pid is None:
            self.postgres.start()

    def cut_connections(self) -> None:
        """End all connections to the database, as a fail-over does."""
        if self.postgres.pid is not None:
            with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )

    async def reach(self, actor: Actor) -> None:
        """Return when a process is at its failpoint or has ended; no frozen one is in its way."""
        for other in self.actors:
            if other is not actor and other.is_frozen:
                other.thaw()
        await actor.reach()

    async def join(self) -> None:
        """Return when no process is left; frozen ones go on."""

        def thaw_and_look() -> bool:
            for actor in self.actors:
                if actor.is_frozen:
                    actor.thaw()
            return all(actor.has_ended for actor in self.actors)

        await until(thaw_and_look)
        for actor in self.actors:
            await actor.end()

    def end(self) -> None:
        """Leave no process behind, whatever happened."""
        for actor in self.actors:
            actor.kill()

    # What comes of it.

    async def settle(self) -> None:
        """Bring all up, and let ingestion and maintenance run until nothing is on its way."""
        self.start_valkey()
        self.start_postgres()
        await self.join()
        # Whoever has not closed a call by now is dead, and what has not come is lost.
        settings = self.settings.model_copy(
            update={
                "run_timeout": 0.0,
                "run_dead_after": 0.0,
                "event_lost_after": 0.0,
                "database_timeout": 30.0,
            }
        )
        hold = 1.0 if settings.queue_url else 0.0
        async with opened(settings, hold) as services, asyncio.timeout(_PATIENCE):
            await self._repeat(lambda: ingest(services), lambda: self._is_drained(services))
            self._lost = len(await rows(services, _LOST))
            await self._repeat(lambda: self._tend(services), lambda: self._is_at_rest(services))

    async def verify(self) -> dict[str, int]:
        """Compare what is there with what was done; return what there was.

        Raises
        ------
        AssertionError
            When something does not hold.
        """
        # Without a wipe the queue has lost nothing: nobody had to send an event once more.
        assert self.wipes or not self._lost
        async with opened(self.settings) as services:
            counts = await self._verify_events(services)
            assert await disagreements(services) == []
            await self._verify_rebuild(services)
        return counts

    async def _spill(self, services: Services, foreign: Foreign) -> float:
        """Put into the outbox what the queue did not take; return as of which wipe it is safe."""
        try:
            async with connect(services.pool) as connection:
                await spill(connection, foreign.payload)
        except Problem:
            # Neither took it, as far as anybody knows.
            return -inf
        return inf

    async def _repeat(
        self, work: Callable[[], Awaitable[Any]], is_done: Callable[[], Awaitable[bool]]
    ) -> None:
        while True:
            # The server may still be busy with its recovery.
            with suppress(Problem):
                await work()
                if await is_done():
                    return
            await asyncio.sleep(0.02)

    async def _tend(self, services: Services) -> None:
        await maintain(services)
        await ingest(services)

    async def _is_drained(self, services: Services) -> bool:
        waiting = await rows(services, "SELECT FROM telemetry_outbox LIMIT 1")
        return not waiting and await services.queue.depth() == 0

    async def _is_at_rest(self, services: Services) -> bool:
        left = f"SELECT FROM runs WHERE NOT ({_UNDER_WAY}) LIMIT 1"
        return await self._is_drained(services) and not await rows(services, left)

    async def _verify_events(self, services: Services) -> dict[str, int]:
        # Those of the site's chats are looked at by who had them.
        ours = "SELECT id, status FROM inference_log WHERE conversation_id IS NULL"
        found = await rows(services, ours)
        logged = {row["id"]: row["status"] for row in found}
        assert len(logged) == len(found), "an event is there twice"
        letters = await rows(
            services, "SELECT source, payload, schema_version FROM inference_dead_letters"
        )
        dead = {bytes(letter["payload"]) for letter in letters}
        assert len(dead) == len(letters), "a dead letter is there twice"
        parked = {bytes(each["payload"]) for each in letters if each["schema_version"] is not None}
        waiting = {
            row["id"] for row in await rows(services, f"SELECT id FROM runs WHERE {_UNDER_WAY}")
        }
        noted = {UUID(line) for line in self._ledger.read_text().splitlines()}

        named = {payload: _id_of(payload) for payload in dead}
        buried = self.made.keys() & set(named.values())
        lost = noted - logged.keys() - buried - waiting
        assert lost == set(), f"lost: {[self.made[id] for id in lost]}"
        # Whose end nobody saw was there all the same, and is a row besides.
        unsound = {id for id in self.poison & logged.keys() if logged[id] != "interrupted"}
        assert unsound == set(), "what can be no row is one"
        sound = buried - self.poison
        assert sound & logged.keys() == set(), "an event is both row and dead letter"
        assert not sound or self._may_exhaust, "what can be a row is a dead letter"

        wiped = 0
        for foreign, wipes in self.foreign:
            there = foreign.payload in dead
            if foreign.lands == "row":
                assert not there or (self._may_exhaust and foreign.id not in logged)
                there = there or foreign.id in logged
            else:
                assert foreign.id not in logged
                is_parked = foreign.payload in parked
                # Nobody looks what an exhausted one is.
                assert is_parked == (there and foreign.lands == "parked") or self._may_exhaust
            if not there:
                assert wipes < self.wipes, f"lost: {foreign}"
                wiped += 1

        known_ids = {*self.made, *(foreign.id for foreign, _ in self.foreign)}
        assert logged.keys() - known_ids == set(), "rows of nobody"
        known = {foreign.payload for foreign, _ in self.foreign}
        assert {each for each in dead - known if named[each] not in buried} == set()
        return {
            "rows": len(logged),
            "dead": len(dead - parked),
            "parked": len(parked),
            "under way": len(waiting),
            "sent again": self._lost,
            "wiped": wiped,
            "kills": sum(actor.was_killed for actor in self.actors),
        }

    @property
    def _may_exhaust(self) -> bool:
        """Whether an event may be a dead letter for the ingestions that ended beside it."""
        return self.settings.queue_max_deliveries < MANY_DELIVERIES

    async def _verify_rebuild(self, services: Services) -> None:
        kept = await rolled_up(services)
        report = await rebuild(services)
        assert report.kept == []
        assert await rolled_up(services) == kept

    def _make_durable(self) -> None:
        # By default a killed server may lose the second that it has not written yet.
        with redis.Redis.from_url(self.valkey.url) as client:
            client.config_set("appendfsync", "always")

    def _start(
        self,
        work: Callable[..., Awaitable[None]],
        failpoint: Failpoint | None = None,
        *,
        settings: Settings | None = None,
        **arguments: Any,
    ) -> Actor:
        log = self.folder / f"{work.__name__}-{next(self._names)}.log"
        actor = Actor(log, work, settings or self.settings, failpoint, **arguments)
        self.actors.append(actor)
        return actor


def _id_of(payload: bytes) -> UUID | None:
    """Return the id of the event that a payload is, as far as it is one."""
    begin = b'{"id":"'
    return UUID(payload[len(begin) :][:36].decode()) if payload.startswith(begin) else None
