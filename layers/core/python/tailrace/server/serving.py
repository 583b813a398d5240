"""Serves the site in this process, with the schedules beside it, until a signal ends it.

Called by `__main__`, and by the embedded stack, which loads this module while its servers start.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import uvicorn
import uvloop

from tailrace.http.site import Site, create_app
from tailrace.server import schedule
from tailrace.services import Services
from tailrace.settings import Settings

# Seconds that open connections get to read the end of their streams.
_GRACE = 5


def serve_until(
    stop_signals: Iterable[signal.Signals],
    settings: Settings,
    web_root: Path,
    listeners: list[socket.socket],
    announce: Callable[[], None],
    *,
    schedules: bool = True,
) -> None:
    """Serve the site and keep the schedules until one of the signals comes.

    The first signal ends the runs under way, keeping what they have, and gives their readers a
    few seconds to read the end; a second one does not wait for readers.

    Parameters
    ----------
    web_root
        Folder of the built page.
    listeners
        Bound sockets; closed at the end.
    announce
        Called once requests are answered.
    schedules
        Whether this process ingests and maintains, too.
    """

    async def serve() -> None:
        server = _Server(create_app(Services(settings), web_root), announce)
        loop = asyncio.get_running_loop()
        for number in stop_signals:
            loop.add_signal_handler(number, server.stop)
        async with schedule.running(settings) if schedules else nullcontext():
            await server.serve(listeners)

    uvloop.run(serve())


class _Server(uvicorn.Server):
    """uvicorn, ending the runs before it waits for the connections that read them."""

    def __init__(self, site: Site, announce: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                site,
                http="httptools",
                lifespan="on",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                # Whom to believe about addresses, the settings say: tailrace.limits.addresses.
                proxy_headers=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        self._site = site
        self._announce = announce

    def stop(self) -> None:
        """Stop serving; asked twice, without waiting."""
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the event loop, which calls `stop`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Begins once the listeners are closed, which shutdown does before it first waits.
        interrupting = asyncio.create_task(self._site.interrupt())
        await super().shutdown(sockets)
        await interrupting
