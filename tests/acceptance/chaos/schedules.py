"""Schedules: what is done to a world, drawn from a seed.

A seed gives the same calls, faults and failpoints in the same order; how processes interleave is
the machine's to say. Each step waits for what it needs to be in effect, never for a time.
"""

import random
from collections.abc import Awaitable, Callable

from tests.acceptance.chaos.actors import CAPTURE_STEPS, INGESTION_STEPS, Failpoint
from tests.acceptance.chaos.calls import make_calls, make_foreign, make_lethal, make_poison
from tests.acceptance.chaos.world import MANY_DELIVERIES, World

#: Settings that a schedule chooses from.
SETTINGS = {
    "ingest_batch_size": (3, 10, 50, 5000),
    # A burst beyond the cap goes through the outbox.
    "queue_max_length": (15, 1_000_000, 1_000_000),
    # With few, what is only held for long is a dead letter, too.
    "queue_max_deliveries": (4, MANY_DELIVERIES, MANY_DELIVERIES),
}

_Fault = Callable[[World, random.Random], Awaitable[None]]


async def _make_calls(world: World, rng: random.Random) -> None:
    number, skewed = rng.randrange(5, 40), rng.random() < 0.3
    world.caller(make_calls(rng, number, world.owners, skewed=skewed))


async def _make_calls_and_die(world: World, rng: random.Random) -> None:
    calls = make_calls(rng, rng.randrange(5, 30), world.owners)
    failpoint = Failpoint(rng.choice(CAPTURE_STEPS), rng.randrange(1, 15))
    caller = world.caller(calls, failpoint)
    if rng.random() < 0.5:
        await world.reach(caller)


async def _make_bad_calls(world: World, rng: random.Random) -> None:
    calls = make_calls(rng, rng.randrange(3, 12), world.owners)
    poison = [make_poison(rng, world.owners) for _ in range(rng.randrange(1, 4))]
    world.caller(calls, poison=poison)


async def _send_foreign(world: World, rng: random.Random) -> None:
    foreign = [make_foreign(rng, world.owners) for _ in range(rng.randrange(1, 8))]
    await world.send(foreign, by=rng.choice(("queue", "queue", "outbox", "both")))


async def _send_lethal(world: World, rng: random.Random) -> None:
    await world.send([make_lethal()], by=rng.choice(("queue", "outbox", "both")))


async def _replay(world: World, rng: random.Random) -> None:
    await world.replay()


async def _ingest(world: World, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 3, 4))):
        world.ingester(hold=rng.choice((0.3, 60.0)))


async def _ingest_and_die(world: World, rng: random.Random) -> None:
    failpoint = Failpoint(rng.choice(INGESTION_STEPS), rng.choice((1, 1, 2, 3)))
    ingester = world.ingester(failpoint)
    if rng.random() < 0.7:
        await world.reach(ingester)


async def _ingest_and_freeze(world: World, rng: random.Random) -> None:
    await world.reach(world.ingester(Failpoint(rng.choice(INGESTION_STEPS), 1, "freeze")))


async def _maintain(world: World, rng: random.Random) -> None:
    world.maintainer(event_lost_after=rng.choice((0.001, 600.0)))


async def _kill_valkey(world: World, rng: random.Random) -> None:
    world.kill_valkey()


async def _wipe_valkey(world: World, rng: random.Random) -> None:
    world.kill_valkey(wiped=True)


async def _restart_valkey(world: World, rng: random.Random) -> None:
    world.kill_valkey()
    world.start_valkey()


async def _delete_stream(world: World, rng: random.Random) -> None:
    world.delete_stream()


async def _delete_group(world: World, rng: random.Random) -> None:
    world.delete_group()


async def _kill_postgres(world: World, rng: random.Random) -> None:
    world.kill_postgres()


async def _restart_postgres(world: World, rng: random.Random) -> None:
    world.kill_postgres()
    world.start_postgres()


async def _cut_connections(world: World, rng: random.Random) -> None:
    world.cut_connections()


async def _repair(world: World, rng: random.Random) -> None:
    world.start_valkey()
    world.start_postgres()


async def _join(world: World, rng: random.Random) -> None:
    await _repair(world, rng)
    await world.join()


_FAULTS: dict[_Fault, int] = {
    _make_calls: 8,
    _make_calls_and_die: 4,
    _make_bad_calls: 2,
    _send_foreign: 3,
    _send_lethal: 2,
    _replay: 2,
    _ingest: 6,
    _ingest_and_die: 10,
    _ingest_and_freeze: 4,
    _maintain: 3,
    _kill_valkey: 2,
    _wipe_valkey: 2,
    _restart_valkey: 3,
    _delete_stream: 1,
    _delete_group: 2,
    _kill_postgres: 1,
    _restart_postgres: 2,
    _cut_connections: 2,
    _repair: 6,
    _join: 2,
}


async def run(world: World, rng: random.Random, done: list[str]) -> None:
    """Do what the seed says to a world, and append the name of each step before it is taken."""
    world.caller(make_calls(rng, 10, world.owners))
    for fault in rng.choices([*_FAULTS], [*_FAULTS.values()], k=rng.randrange(6, 16)):
        done.append(fault.__name__.strip("_"))
        await fault(world, rng)
