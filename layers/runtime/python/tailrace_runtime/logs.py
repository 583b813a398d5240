"""Logs as JSON lines on standard output, one object an event, each with the request's id.

Configured once by `__main__`. The keys are those of Lambda's own JSON log format, so that log
filters and queries work alike on every function.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
"""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tailrace_runtime.runtime_api import describe

# Of the task, since several requests may be served at once.
_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
_log = logging.getLogger("tailrace_runtime")


class JsonFormatter(logging.Formatter):
    """Write a record with its ``extra`` fields and its exception."""

    _STANDARD = frozenset(vars(logging.makeLogRecord({})))

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "timestamp": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        if request_id := _request_id.get():
            line["requestId"] = request_id
        if record.exc_info and record.exc_info[1]:
            line |= describe(record.exc_info[1])
        extra = {key: value for key, value in vars(record).items() if key not in self._STANDARD}
        return json.dumps(extra | line, ensure_ascii=False, default=str)


def configure() -> None:
    """Send every logger's records to standard output, at ``AWS_LAMBDA_LOG_LEVEL`` or above."""
    # Lambda reads a pipe: without this, lines would wait in a buffer while the process is frozen.
    sys.stdout.reconfigure(line_buffering=True)  # pyright: ignore[reportAttributeAccessIssue]
    output = logging.StreamHandler(sys.stdout)
    output.setFormatter(JsonFormatter())
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "INFO")
    # Lambda knows one level more than Python does.
    logging.basicConfig(level="DEBUG" if level == "TRACE" else level, handlers=[output])


@contextmanager
def request(request_id: str) -> Iterator[None]:
    """Put the id of the request being served into every line written meanwhile."""
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


def failure(message: str, error: Exception) -> None:
    """Log an exception that ended an invocation or the start."""
    _log.error(message, exc_info=error)
