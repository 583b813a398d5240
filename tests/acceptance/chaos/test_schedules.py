"""Randomised schedules of faults, each after a seed.

``CHAOS_SCHEDULES`` says how many, ``CHAOS_SEED`` the first seed: a schedule that failed is run
again with the seed that it printed. Without them a few are run, always the same; `make chaos` runs
many, new ones each time.
"""

import os
import random
from collections import Counter

from tests.acceptance.chaos import schedules
from tests.acceptance.chaos.conftest import MakeWorld

_SCHEDULES = int(os.environ.get("CHAOS_SCHEDULES", "3"))
_SEED = int(os.environ.get("CHAOS_SEED", "1"))


async def test_whatever_happens_no_event_is_lost_or_counted_twice(make_world: MakeWorld) -> None:
    totals: Counter[str] = Counter()
    for seed in range(_SEED, _SEED + _SCHEDULES):
        rng = random.Random(seed)
        settings = {name: rng.choice(values) for name, values in schedules.SETTINGS.items()}
        steps: list[str] = []
        try:
            async with make_world(**settings) as world:
                await schedules.run(world, rng, steps)
                await world.settle()
                counts = await world.verify()
        except BaseException as error:
            error.add_note(f"CHAOS_SEED={seed} CHAOS_SCHEDULES=1: {settings}, {', '.join(steps)}")
            raise
        print(f"seed {seed}: {counts}", flush=True)
        totals.update(counts)
    print(f"{_SCHEDULES} schedules from seed {_SEED}: {dict(totals)}")
