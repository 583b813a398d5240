"""Rules and targets as settings: what is taken, and what a refusal tells."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from tailrace.settings import Settings, SettingsError

SECRET = "whsec_" + "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg=="
RULE = {"name": "errors", "kind": "error_rate", "threshold": 0.1}
HOOK = {"name": "ops", "url": "https://hooks.example.org/hunter2", "secret": SECRET}
SNS = {"name": "pager", "url": "sns:arn:aws:sns:eu-west-1:123456789012:alerts"}


@pytest.fixture(autouse=True)
def _required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILRACE_DATABASE_URL", "postgresql://localhost")
    monkeypatch.setenv("TAILRACE_REDIS_URL", "redis://localhost")
    monkeypatch.setenv("TAILRACE_SECRET_KEY", "x" * 32)


def test_rules_and_targets_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILRACE_ALERTS", json.dumps([RULE, RULE | {"name": "b", "window": 600}]))
    monkeypatch.setenv("TAILRACE_ALERT_TARGETS", json.dumps([HOOK, SNS]))

    settings = Settings.load()

    assert [rule.window for rule in settings.alerts] == [300, 600]
    assert settings.alert_targets[0].secret == SecretStr(SECRET)
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "happiness"},
        {"threshold": 0},
        {"threshold": 1.5},
        {"threshold": "NaN"},
        {"threshold": "Infinity"},
        {"resolve_threshold": 0.2},
        {"window": 59},
        {"for_seconds": -1},
        {"minimum_calls": 0},
        {"severity": "dire"},
        {"name": ""},
        {"name": "a\nb"},
        {"kind": "dead_letters", "provider_name": "openai"},
        {"colour": "red"},
    ],
)
def test_a_rule_that_cannot_be_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    monkeypatch.setenv("TAILRACE_ALERTS", json.dumps([RULE | changes]))
    with pytest.raises(SettingsError, match=r"^TAILRACE_ALERTS \(0"):
        Settings.load()


def test_two_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILRACE_ALERTS", json.dumps([RULE, RULE]))
    with pytest.raises(SettingsError, match="a name of its own"):
        Settings.load()


@pytest.mark.parametrize(
    "target",
    [
        HOOK | {"secret": None},
        HOOK | {"secret": "hunter2"},
        HOOK | {"secret": "whsec_hunter2"},
        HOOK | {"secret": "whsec_" + "aHVudGVyMg=="},
        HOOK | {"url": "https:///hunter2"},
        HOOK | {"url": "https://hooks.example.org/hunter2\nx: y"},
        HOOK | {"url": "file:///hunter2"},
        HOOK | {"name": "Ops!"},
        SNS | {"url": "sns:hunter2"},
        SNS | {"secret": SECRET},
    ],
)
def test_a_target_that_cannot_be_is_refused_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, target: dict[str, Any]
) -> None:
    monkeypatch.setenv("TAILRACE_ALERT_TARGETS", json.dumps([target]))
    with pytest.raises(SettingsError, match=r"^TAILRACE_ALERT_TARGETS \(0") as refused:
        Settings.load()
    assert "hunter2" not in str(refused.value)
    assert SECRET not in str(refused.value)
