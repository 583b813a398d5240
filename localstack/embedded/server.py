"""A server of the embedded stack: a child process on a loopback port that it keeps.

Extended by `postgres`, `valkey` and `model`; `up` and the tests start and stop them.
"""

import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from localstack.embedded.process import Child, StackError, free_port

# Seconds in which a server has to answer; recovery after a crash is part of it.
_START_TIMEOUT = 60.0
# A free port can be taken before the server binds it.
_ATTEMPTS = 3


class Server(ABC):
    """A server over one folder.

    Parameters
    ----------
    folder
        Where its data and its log live; made when missing.
    """

    #: What to call it in messages.
    name: ClassVar[str]
    #: What it writes when its port is taken.
    bind_error: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._port: int | None = None
        self._child: Child | None = None
        self._stopped = True
        self._turn = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start it and wait until it answers; the first start chooses its port.

        Raises
        ------
        StackError
            When the folder cannot be used, or the server ends or stays silent.
        """
        self._stopped = False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._prepare()
        except OSError as error:
            raise StackError(f"{self.name} cannot use {self.folder}: {error.strerror}") from None
        attempts = _ATTEMPTS if self._port is None else 1
        while True:
            attempts -= 1
            port = self._port or free_port()
            child = self._spawn(port)
            if self._comes_up(child, port):
                self._port = port
                return
            child.stop()
            self._child = None
            if not attempts or not any(self.bind_error in line for line in child.output()):
                raise child.failure()

    def stop(self) -> None:
        """Stop it cleanly; a start under way in another thread fails."""
        with self._turn:
            self._stopped = True
            child, self._child = self._child, None
        if child:
            child.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        if self._child:
            self._child.kill()
            self._child = None

    def _spawn(self, port: int) -> Child:
        with self._turn:
            if self._stopped:
                raise StackError(f"{self.name} was stopped before it was up")
            self._child = self._launch(port)
            return self._child

    def _comes_up(self, child: Child, port: int) -> bool:
        deadline = time.monotonic() + _START_TIMEOUT
        while child.running and time.monotonic() < deadline:
            if self._answers(port):
                return True
            time.sleep(0.02)
        return False

    @abstractmethod
    def _prepare(self) -> None:
        """Make the data ready and end what an earlier run left behind."""

    @abstractmethod
    def _launch(self, port: int) -> Child:
        """Start the program on a port."""

    @abstractmethod
    def _answers(self, port: int) -> bool:
        """Tell whether it answers there."""
