"""The command line as an operator runs it."""

import json
import os
import subprocess
import sys

import psycopg
import pytest

from tailrace.settings import Settings
from tailrace.telemetry.event import encode
from tests.support.events import make_event


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tailrace", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "TAILRACE_DATABASE_URL": settings.database_url.get_secret_value(),
        "TAILRACE_REDIS_URL": settings.redis_url.get_secret_value(),
        "TAILRACE_SECRET_KEY": settings.secret_key.get_secret_value(),
    }


def test_every_command_reports_what_it_did(settings: Settings) -> None:
    environment = _environment(settings)

    assert json.loads(_run("migrate", **environment).stdout) == {"applied": []}
    assert json.loads(_run("ingest", **environment).stdout)["inserted"] == 0
    maintained = _run("maintain", **environment)
    assert maintained.returncode == 0
    assert json.loads(maintained.stdout)


def test_a_bad_setting_is_one_line_and_exit_code_2(settings: Settings) -> None:
    result = _run("ingest", **_environment(settings) | {"TAILRACE_GUEST_LIMIT": "many"})

    assert result.returncode == 2
    assert result.stderr.startswith("tailrace: TAILRACE_GUEST_LIMIT: ")
    assert result.stderr.count("\n") == 1


def test_a_database_that_is_down_is_one_line_and_exit_code_1(settings: Settings) -> None:
    down = {"TAILRACE_DATABASE_URL": "postgresql://nobody:hunter2@127.0.0.1:1/x"}
    for command in ("migrate", "maintain"):
        result = _run(command, **_environment(settings) | down)

        assert result.returncode == 1, result.stderr
        assert result.stderr.count("\n") == 1, result.stderr
        assert "hunter2" not in result.stderr


def test_an_unknown_command_is_exit_code_2() -> None:
    assert _run("frobnicate").returncode == 2


def _bury(settings: Settings, *payloads: bytes) -> None:
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        for number, payload in enumerate(payloads):
            connection.execute(
                "INSERT INTO inference_dead_letters (source, source_id, reason, payload)"
                " VALUES ('queue', %s, 'no event', %s)",
                (str(number), payload),
            )


def test_dead_letters_are_listed_shown_replayed_and_purged(settings: Settings) -> None:
    environment = _environment(settings)
    secret = "password=hunter2hunter2"
    event = make_event()
    _bury(settings, encode(event), secret.encode())

    listed = _run("dead-letters", "list", **environment).stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["id", "2", "1"]
    lines = _run("dead-letters", "list", "--json", "--limit", "1", **environment).stdout
    assert json.loads(lines)["id"] == 2
    shown = _run("dead-letters", "show", "2", **environment).stdout
    assert "reason: no event" in shown
    assert "hunter2" not in shown
    assert _run("dead-letters", "replay", "--all", **environment).stdout == (
        "2 asked for, 1 landed, 1 failed again\n"
    )
    assert _run("dead-letters", "purge", "2", **environment).stdout == "1 purged\n"
    assert len(_run("dead-letters", "list", **environment).stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("dead-letters",),
        ("dead-letters", "bury"),
        ("dead-letters", "list", "--limit", "0"),
        ("dead-letters", "show", "one"),
        ("dead-letters", "show", "9" * 30),
        ("dead-letters", "replay"),
        ("dead-letters", "replay", "1", "--all"),
        ("dead-letters", "purge", "--before", "yesterday", "--all"),
        ("dead-letters", "show", "1"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    settings: Settings, arguments: tuple[str, ...]
) -> None:
    result = _run(*arguments, **_environment(settings))

    assert result.returncode == 2, result.stdout
    assert result.stderr.startswith("tailrace"), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stdout == ""
