"""The process behind ``make up``, started and stopped by a test as a person would."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.support.patience import PATIENT

CHECKOUT = Path(__file__).parents[2]

SCRIPTED = {
    **PATIENT,
    "TAILRACE_PROVIDERS": json.dumps([{"name": "scripted", "kind": "scripted"}]),
    "TAILRACE_DEFAULT_MODEL": "scripted/echo",
}

# Seconds; a start takes about 3 on two idle cores.
_START_TIMEOUT = 240.0
_STOP_TIMEOUT = 120.0


class Stack:
    """A running stack on a port of its own.

    Parameters
    ----------
    data
        Its data folder.
    settings
        Environment variables; only PATH and HOME are handed on besides.

    Raises
    ------
    AssertionError
        When it does not come up, with what it wrote.
    """

    def __init__(self, data: Path, settings: dict[str, str]) -> None:
        self._process = launch(data, settings)
        self.output = _read_until(self._process, "Ctrl-C stops it.", _START_TIMEOUT)
        self.address = next(word for word in self.output.split() if word.startswith("http://"))
        self.children = psutil.Process(self._process.pid).children(recursive=True)

    @property
    def pid(self) -> int:
        """Process id of the parent of it all."""
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the parent alone."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the parent's end and return its exit code."""
        return self._process.wait(_STOP_TIMEOUT)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop it as Ctrl-C does, and return its exit code."""
        self.send(number)
        return self.wait()

    def survivors(self, patience: float = 0.0) -> list[psutil.Process]:
        """Return the children that still live after so many seconds."""
        deadline = time.monotonic() + patience
        while (left := [child for child in self.children if _lives(child)]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.05)
        return left

    def end(self) -> None:
        """Leave nothing behind, whatever the test did."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self.survivors(_STOP_TIMEOUT)


def launch(data: Path, settings: dict[str, str]) -> subprocess.Popen[str]:
    """Start the process without waiting for anything."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME")}
    return subprocess.Popen(
        [sys.executable, "-m", "localstack.embedded", "--end-with-parent"],
        cwd=CHECKOUT,
        env=kept | {"TAILRACE_PORT": "0", "TAILRACE_DATA_DIR": str(data)} | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refusal(data: Path, settings: dict[str, str]) -> tuple[int, str, str]:
    """Start a stack that cannot be; return its exit code, standard output and standard error."""
    process = launch(data, settings)
    try:
        output, errors = process.communicate(timeout=_START_TIMEOUT)
    finally:
        process.kill()
    return process.returncode, output, errors


def _read_until(process: subprocess.Popen[str], mark: str, timeout: float) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    text = ""
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while mark not in text:
            ready = selector.select(max(deadline - time.monotonic(), 0))
            chunk = os.read(process.stdout.fileno(), 65_536).decode() if ready else ""
            if not chunk:
                process.kill()
                raise AssertionError(f"the stack is not up: {text}{process.stderr.read()}")
            text += chunk
    return text


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
