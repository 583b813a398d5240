"""What a scanner of templates finds in ours, and which of it we have a reason for."""

import json
import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.aws.cloudformation import Template
from tests.acceptance.aws.function import ROOT, make
from tests.acceptance.aws.test_parameters import BROUGHT, DOMAIN

EXCEPTIONS = tomllib.loads(Path(__file__).with_name("scan-exceptions.toml").read_text())
# Between them they have every resource.
CHOICES = [
    {
        **{"Bedrock": "true", "MailUrl": "ses:", "OidcClientSecret": "secret", "MonthlyBudget": 9},
        **{"AlertWebhookUrl": "https://hooks.example.org", "MetricsToken": "a token of Prometheus"},
    },
    {
        **{"Network": "public", "Queue": "sqs", "Front": "apigateway", "WebAclArn": "create"},
        **{"HostedZoneId": "Z1", "AlarmEmail": "ops@example.org", **BROUGHT, **DOMAIN},
    },
    {"Database": "rds", "Nat": "true", "Front": "none", "UrlAuth": "NONE", "Archive": "true"},
]


@pytest.fixture(scope="module")
def findings(translated: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The resources that fail, by check."""
    make(".venv-checkov/bin/checkov")
    folder = tmp_path_factory.mktemp("scan")
    for number, choice in enumerate(CHOICES):
        # Conditions decided: the scanner does not always decide them the same way.
        template = Template(translated, **choice)
        (folder / f"{number}.json").write_text(json.dumps({"Resources": template.resources}))
    command = [ROOT / ".venv-checkov/bin/checkov", "--directory", folder, "--skip-download"]
    command += ["--framework", "cloudformation", "--output", "json", "--quiet", "--compact"]
    done = subprocess.run(command, capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0, done.stderr
    assert report["summary"]["passed"] > 200
    found = defaultdict(set)
    for failure in report["results"]["failed_checks"]:
        found[failure["check_id"]].add(failure["resource"].rpartition(".")[2])
    return found


def test_whatever_is_found_has_a_reason(findings):
    unreasoned = {
        check: sorted(resources - set(EXCEPTIONS.get(check, {}).get("resources", ())))
        for check, resources in findings.items()
    }
    assert {check: resources for check, resources in unreasoned.items() if resources} == {}


def test_every_resource_is_scanned(translated):
    scanned = {name for choice in CHOICES for name in Template(translated, **choice).resources}
    assert scanned == translated["Resources"].keys()


def test_every_reason_has_something_to_be_for(findings):
    unneeded = {
        check: sorted(set(exception["resources"]) - findings.get(check, set()))
        for check, exception in EXCEPTIONS.items()
    }
    assert {check: resources for check, resources in unneeded.items() if resources} == {}
    assert all(len(exception["reason"]) > 10 for exception in EXCEPTIONS.values())
