"""``python -m tailrace`` as an operator runs it."""

import json
import os
import subprocess
import sys

from tailrace.settings import Settings


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
