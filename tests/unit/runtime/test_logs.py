"""What the runtime writes to Lambda's log."""

import json
import logging

from tailrace_runtime.context import LambdaContext
from tailrace_runtime.logs import JsonFormatter, request


def record(message, *args, **fields):
    return logging.getLogger("some.module").makeRecord(
        "some.module", logging.WARNING, "file.py", 1, message, args, **fields
    )


def formatted(made):
    return json.loads(JsonFormatter().format(made))


def test_a_line_has_what_lambda_filters_by():
    line = formatted(record("%d left, für %s", 3, "Ada", exc_info=None))
    assert line.pop("timestamp").endswith("Z")
    assert line == {"level": "WARNING", "message": "3 left, für Ada", "logger": "some.module"}


def test_a_line_has_the_request_and_the_extra_fields():
    made = record("done", exc_info=None, extra={"report": {"rows": 2}, "path": object})
    with request("an-id"):
        line = formatted(made)
    assert line["requestId"] == "an-id"
    assert line["report"] == {"rows": 2}
    assert line["path"] == "<class 'object'>"
    assert "requestId" not in formatted(made)


def test_an_exception_is_one_line():
    try:
        raise ValueError("bad\nthing")
    except ValueError as error:
        made = record("failed", exc_info=(ValueError, error, error.__traceback__))
    text = JsonFormatter().format(made)
    assert "\n" not in text
    line = json.loads(text)
    assert (line["errorType"], line["errorMessage"]) == ("ValueError", "bad\nthing")
    assert "test_logs.py" in line["stackTrace"][0]


def test_remaining_time_is_never_negative():
    headers = {"lambda-runtime-aws-request-id": "1", "lambda-runtime-deadline-ms": "1000"}
    assert LambdaContext(headers).get_remaining_time_in_millis() == 0
