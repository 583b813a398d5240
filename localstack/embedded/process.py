"""Child processes of the embedded stack: started so that they end with us, and stopped in order.

Called by `server` and its kinds; knows nothing of what the children do.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

# A log that has grown beyond this many bytes is set aside at the next start.
_LOG_LIMIT = 10 << 20


class StackError(Exception):
    """The stack cannot run; the text is one line fit for a terminal."""


class Child:
    """One running server.

    Parameters
    ----------
    name
        What to call it in messages, such as ``PostgreSQL``.
    argv
        Program and arguments.
    folder
        Its working folder; `end_orphans` recognises a left-over by it.
    log
        File that standard output and standard error are appended to.
    stop_signal
        What asks this program for a clean stop. The kernel sends the same one when we die, where
        it can (Linux), even by SIGKILL. It does so when the *thread* that made the child ends, so
        that thread has to live as long as the child is wanted.
    stdin
        Written to standard input, which is then closed; None leaves the input empty.
    run_as
        User id to run as when we are root; the child keeps root's access to files.

    Raises
    ------
    StackError
        When the program cannot be started at all.
    """

    def __init__(
        self,
        name: str,
        argv: list[str],
        *,
        folder: Path,
        log: Path,
        stop_signal: signal.Signals,
        stdin: bytes | None = None,
        run_as: int | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._stop_signal = stop_signal
        try:
            if log.exists() and log.stat().st_size > _LOG_LIMIT:
                log.replace(log.with_suffix(".log.old"))
            with log.open("ab") as output:
                self._log_start = output.tell()
                self._process = subprocess.Popen(
                    bound_to_us(argv, stop_signal, run_as),
                    cwd=folder,
                    env=clean_environment(),
                    stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # Ctrl-C in the terminal reaches every process of the group; the servers have
                    # to outlive the runs that use them, so they stand in a session of their own.
                    start_new_session=True,
                )
        except OSError as error:
            raise StackError(f"{name} cannot be started: {error}") from None
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
                pipe.write(stdin or b"")

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    def stop(self, timeout: float = 15.0) -> None:
        """Ask for a clean stop, wait up to `timeout` seconds, then kill."""
        if self.running:
            self._process.send_signal(self._stop_signal)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def output(self) -> list[str]:
        """Return the lines it has written so far."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return [line.strip() for line in log.read().decode(errors="replace").splitlines()]

    def failure(self) -> StackError:
        """Build the error that says that this child did not come up."""
        lines = self.output()
        fatal = [line for line in lines if "FATAL" in line]
        reason = next((line for line in reversed(fatal or lines) if line), "no message")
        return StackError(f"{self.name} did not start: {reason} (log: {self.log})")


def bound_to_us(argv: list[str], at_our_death: signal.Signals, run_as: int | None) -> list[str]:
    """Prefix a command so that it dies with the calling thread and, from root, runs as a user.

    util-linux's ``setpriv`` is part of every Debian; without it (macOS) children are only tied to
    us by `end_orphans` at the next start. ``dac_override`` lets the user id read a checkout under
    a private folder such as ``/root`` without opening that folder to anybody;
    ``no_setuid_fixup`` makes access(2) honour it.
    """
    as_root = os.geteuid() == 0 and run_as is not None
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if as_root:
            raise StackError(f"{Path(argv[0]).name} does not run as root, and setpriv is missing")
        return argv
    prefix = [setpriv, "--pdeathsig", at_our_death.name.removeprefix("SIG")]
    if as_root:
        prefix += [
            f"--reuid={run_as}",
            "--clear-groups",
            "--securebits=+no_setuid_fixup",
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
        ]
    return [*prefix, "--", *argv]


def end_with_parent(how: signal.Signals) -> None:
    """Have the kernel send us a signal when our parent dies; does nothing outside Linux."""
    if sys.platform == "linux":
        # prctl(2): PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(1, how.value)


def clean_environment() -> dict[str, str]:
    """Return an environment for children that no locale or PG* variable of the user's bends."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def end_orphans(folder: Path, program: str, stop_signal: signal.Signals) -> None:
    """End what a killed run left behind in `folder`, and wait until it is gone.

    Parameters
    ----------
    folder
        The working folder of the children looked for; the caller holds the lock on it.
    program
        Start of the process name, so that a shell standing in the folder is left alone.
    stop_signal
        Asked first; SIGKILL after 15 seconds.
    """
    orphans = [process for process in psutil.process_iter() if _is_orphan(process, folder, program)]
    for chosen, patience in ((stop_signal, 15.0), (signal.SIGKILL, 5.0)):
        for process in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(chosen)
        deadline = time.monotonic() + patience
        while orphans and time.monotonic() < deadline:
            orphans = [process for process in orphans if _alive(process)]
            time.sleep(0.02)


def _is_orphan(process: psutil.Process, folder: Path, program: str) -> bool:
    try:
        return (
            process.name().startswith(program)
            and process.status() != psutil.STATUS_ZOMBIE
            and process.cwd() == str(folder)
        )
    except psutil.Error:
        return False


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    """Return a loopback TCP port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read_or_create_secret(path: Path, secret: str) -> str:
    """Return what the private file `path` holds, written with `secret` when it is missing."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret)
    return path.read_text()
