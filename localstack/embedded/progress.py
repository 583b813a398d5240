"""Doing the steps of a start at once, and saying what is waited for once that takes a while.

Called by `up`. Writes to standard output alone.
"""

import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, wait

# Seconds of silence before something is said, and between two lines where none can be rewritten.
_PATIENCE = 2.0
_REPEAT = 10.0


def run_together(executor: Executor, steps: dict[str, Callable[[], None]]) -> None:
    """Run steps at once; return when all are done, or raise the first error when one fails.

    Parameters
    ----------
    executor
        Has a thread for each step.
    steps
        What to do, by a name that fits after "Starting".
    """
    futures = {executor.submit(step): name for name, step in steps.items()}
    began = time.monotonic()
    show = _Display()
    pending: set[Future[None]] = set(futures)
    try:
        while pending:
            done, pending = wait(pending, timeout=0.1, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            show.waiting([futures[future] for future in pending], time.monotonic() - began)
    finally:
        for future in pending:
            future.cancel()
        show.end()


class _Display:
    """One line that is rewritten on a terminal, and a new line now and then elsewhere."""

    def __init__(self) -> None:
        self._rewrites = sys.stdout.isatty()
        self._next = _PATIENCE
        self._shown = False

    def waiting(self, names: Iterable[str], seconds: float) -> None:
        text = ", ".join(names)
        if not text or seconds < self._next:
            return
        line = f"Starting {text}… {seconds:.1f} s"
        if self._rewrites:
            print(f"\r\033[K{line}", end="", flush=True)
            self._shown = True
        else:
            print(line, flush=True)
            self._next = seconds + _REPEAT

    def end(self) -> None:
        if self._shown:
            print("\r\033[K", end="", flush=True)
