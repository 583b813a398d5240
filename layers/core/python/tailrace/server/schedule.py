"""What EventBridge Scheduler does on AWS: calls ingest and maintain every few seconds.

Called by `serving`. Uses services of its own, as the functions do there; a tick that fails is one
line in the log and never ends the schedule.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tailrace.maintenance import maintain
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry.ingest import ingest

_log = logging.getLogger(__name__)

# Seconds between the end of a tick and the next.
_INGEST_EVERY = 1.0
_MAINTAIN_EVERY = 5.0
# Seconds after which one ingest hands back, so that stopping never waits long.
_INGEST_AT_MOST = 5.0


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """Keep the schedules running inside the with statement; a tick under way is finished."""
    services = Services(settings)
    await services.open()
    stopping = asyncio.Event()

    async def ingest_once() -> None:
        await ingest(services, deadline=asyncio.get_running_loop().time() + _INGEST_AT_MOST)

    async def maintain_once() -> None:
        await maintain(services)

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(repeat("ingest", ingest_once, _INGEST_EVERY, stopping))
            tasks.create_task(repeat("maintain", maintain_once, _MAINTAIN_EVERY, stopping))
            try:
                yield
            finally:
                stopping.set()
    finally:
        await services.close()


async def repeat(
    name: str, tick: Callable[[], Awaitable[None]], every: float, stopping: asyncio.Event
) -> None:
    """Call `tick` every so many seconds until `stopping` is set.

    A failure is logged once, not again until it has changed or passed.
    """
    said = None
    while not stopping.is_set():
        try:
            await tick()
        except Exception as error:
            line = f"{type(error).__name__}: {error}".splitlines()[0]
            if line != said:
                _log.warning("%s failed, trying again every %g s: %s", name, every, line)
                said = line
        else:
            if said is not None:
                _log.warning("%s works again", name)
                said = None
        try:
            async with asyncio.timeout(every):
                await stopping.wait()
        except TimeoutError:
            continue
