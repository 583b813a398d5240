"""A boto3 call in a thread of its own, whose answer an event loop reads and whose end it decides.

Called by the adapter of Bedrock. boto3 waits in reads that no other thread can end, so the request
is sent here, over a connection that can be shut from outside; what it holds is read elsewhere.
"""

import asyncio
import socket
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import urllib3
from botocore.awsrequest import AWSResponse
from botocore.httpsession import get_cert_path
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import parse_url

from tailrace.providers.base import Delta

# Reads that may wait for whoever reads the stream; the thread pauses beyond.
_READS_AHEAD = 64
# Idle connections kept for the next call.
_IDLE = 16


class Abandoned(Exception):
    """Nobody reads the stream any more."""


class Call:
    """One stream: its thread, its socket, and the queue between the thread and the event loop.

    The thread calls `run` and `hand_over`; the event loop calls `reads` and `abandon`.
    """

    def __init__(self, pools: urllib3.PoolManager) -> None:
        self.pools = pools
        self.response: urllib3.BaseHTTPResponse | None = None
        self._loop = asyncio.get_running_loop()
        self._queue: deque[list[Delta] | Exception | None] = deque()
        self._room = threading.Semaphore(_READS_AHEAD)
        self._arrived = asyncio.Event()
        self._told = False
        self._connection: _Watched | None = None
        self._abandoned = self._ended = False

    def run(self, work: Callable[[], None]) -> None:
        """Do the work in this thread and tell the reader how it ended."""
        _running.call = self
        end: Exception | None = None
        try:
            work()
        except Abandoned:
            pass
        except Exception as error:
            # Raised again where the stream is read.
            end = error
        finally:
            # Gives the connection back if the answer was read to its end, else closes it.
            if self.response is not None:
                self.response.close()
        self._ended = True
        with suppress(Abandoned):
            self._put(end)

    def took(self, connection: "_Watched") -> None:
        """Remember the connection that serves this call from now on."""
        with _owning:
            if self._abandoned:
                raise Abandoned
            self._connection = connection
            connection.call = self

    def hand_over(self, deltas: list[Delta]) -> None:
        """Queue what one read held; wait while the reader is behind."""
        self._room.acquire()
        if self._abandoned:
            raise Abandoned
        self._put(deltas)

    def _put(self, item: list[Delta] | Exception | None) -> None:
        """Queue for the reader, and wake it once for all that it has not seen yet."""
        self._queue.append(item)
        if not self._told:
            self._told = True
            try:
                self._loop.call_soon_threadsafe(self._arrived.set)
            except RuntimeError:
                # The loop is gone, and its reader with it.
                raise Abandoned from None

    async def reads(self) -> AsyncGenerator[list[Delta]]:
        """Yield what the thread has read, all of it at once."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            # Before the queue is read: what comes after wakes the reader again.
            self._told = False
            deltas: list[Delta] = []
            alive = False
            while self._queue:
                item = self._queue.popleft()
                if not isinstance(item, list):
                    if deltas:
                        yield deltas
                    if item is not None:
                        raise item
                    return
                alive = True
                deltas += item
                self._room.release()
            # What woke the reader may have been read with what came before it.
            if alive:
                yield deltas

    def abandon(self) -> None:
        """Shut the connection and let the thread end; harmless when it has."""
        with _owning:
            self._abandoned = True
            connection = self._connection
            # It may serve another call by now.
            if not self._ended and connection is not None and connection.call is self:
                connection.shut()
        self._room.release()


# The call of each thread.
_running = threading.local()
# Held while a connection gets another call, or is shut for the one it has.
_owning = threading.Lock()


class _Watched(HTTPConnection):
    """Knows which call it serves, and can be shut from another thread than the one that waits."""

    call: Call | None = None
    _wire: socket.socket | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.is_closed:
            self.connect()
        # The connection forgets its socket when the server says that it will close it.
        self._wire = self.sock
        _running.call.took(self)
        super().request(*args, **kwargs)

    def shut(self) -> None:
        """End a read that is under way; TLS has no say in it."""
        if self._wire is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._wire, socket.SHUT_RDWR)


class _WatchedTls(HTTPSConnection, _Watched):
    """The same, over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched  # pyright: ignore[reportAssignmentType]


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls  # pyright: ignore[reportAssignmentType]


def pools_of(connect_timeout: float) -> urllib3.PoolManager:
    """Return pools of such connections, which trust what boto3 trusts.

    Parameters
    ----------
    connect_timeout
        Seconds; the waits of a stream are bounded by whoever reads it.
    """
    pools = urllib3.PoolManager(
        maxsize=_IDLE,
        retries=False,
        timeout=urllib3.Timeout(connect=connect_timeout, read=None),
        cert_reqs="CERT_REQUIRED",
        ca_certs=get_cert_path(True),
    )
    pools.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return pools


def send(request: Any, **_: Any) -> AWSResponse:
    """Send a signed request in the place of boto3; a handler of its event ``before-send``."""
    call: Call = _running.call
    response = call.pools.connection_from_url(request.url).urlopen(
        request.method,
        parse_url(request.url).request_uri,
        body=request.body,
        headers=dict(request.headers.items()),
        retries=False,
        redirect=False,
        preload_content=False,
        decode_content=False,
    )
    call.response = response
    return AWSResponse(request.url, response.status, response.headers, response)
