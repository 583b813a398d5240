"""Metrics in the embedded metric format: what CloudWatch would make of the lines."""

import json
import os
import subprocess
import sys

import pytest

from tailrace.queue.memory import MemoryQueue
from tailrace.queue.status import QueueStatus, status
from tailrace.services import Services
from tailrace.telemetry import capture
from tailrace.telemetry.cloudwatch import call_writer, write_report
from tailrace.telemetry.ingest import IngestReport
from tests.support.events import make_event


def _metrics(line: str) -> dict[str, float]:
    """Check a line against the format, and return its metrics."""
    document = json.loads(line)
    (directive,) = document["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Tailrace"
    assert directive["Dimensions"] == [["service"]]
    assert document["_aws"]["Timestamp"] > 1_700_000_000_000
    assert {metric["Unit"] for metric in directive["Metrics"]} <= {"Count", "Seconds"}
    values = {metric["Name"]: document[metric["Name"]] for metric in directive["Metrics"]}
    return {name: v[0] if isinstance(v, list) else v for name, v in values.items()}


async def test_a_report_and_what_waits(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    await services.queue.publish(b"waits")

    report = IngestReport(received=7, inserted=5, dead=2)
    write_report("Tailrace", "ingest", report, await status(services))

    line = capsys.readouterr().out
    assert json.loads(line)["service"] == "ingest"
    metrics = _metrics(line)
    assert metrics["Received"] == 7
    assert (metrics["Inserted"], metrics["Dead"]) == (5, 2)
    # What did not happen is not charged for.
    assert "Parked" not in metrics
    assert (metrics["QueueDepth"], metrics["DeadLetters"]) == (1, 0)
    assert metrics["IngestionLag"] == 0


def test_one_that_rested_tells_what_waits_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    left = QueueStatus(
        available=True, depth=0, oldest_age=None, lag=0.0, spilled=0, dead=3, parked=0
    )

    write_report("Tailrace", "ingest", None, left)

    assert _metrics(capsys.readouterr().out) == {
        "QueueDepth": 0,
        "IngestionLag": 0,
        "Spilled": 0,
        "DeadLetters": 3,
        "ParkedEvents": 0,
    }


def test_what_was_done_is_told_when_what_waits_is_not_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_report("Tailrace", "ingest", IngestReport(received=1), None)

    metrics = _metrics(capsys.readouterr().out)
    assert metrics["Received"] == 1
    assert "QueueDepth" not in metrics


def test_without_a_namespace_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    write_report(None, "ingest", IngestReport(), None)

    assert capsys.readouterr().out == ""


async def test_a_call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_told", [])
    capture.tell(call_writer("Tailrace", "chat"))
    queue = MemoryQueue()

    await capture.publish(queue, make_event())
    queue.available = False
    await capture.publish(queue, make_event(status="timeout", time_to_first_chunk=None))

    ok, timeout = capsys.readouterr().out.splitlines()
    assert _metrics(ok) == {
        "Calls": 1,
        "Errors": 0,
        "Duration": 1.5,
        "TimeToFirstChunk": 0.25,
        "InputTokens": 1000,
        "OutputTokens": 100,
    }
    assert json.loads(ok)["request_model"] == "gpt-4o"
    assert _metrics(timeout)["Errors"] == 1
    assert "TimeToFirstChunk" not in _metrics(timeout)


def test_the_chat_function_imports_nothing_for_it() -> None:
    code = (
        "import sys, tailrace.telemetry.cloudwatch;"
        " sys.exit(any(name.startswith('aws_lambda_powertools') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0
