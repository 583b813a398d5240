"""Whatever is chosen, the stack hangs together: nothing waits for itself or for what is missing."""

import json
from base64 import b64encode
from graphlib import TopologicalSorter
from itertools import product
from typing import Any

import pytest

from tests.acceptance.aws.cloudformation import Template, references

BROUGHT = {"DatabaseUrl": "postgresql://db/tailrace", "RedisUrl": "rediss://cache:6379"}
DOMAIN = {"DomainName": "chat.example.org", "CertificateArn": "arn:aws:acm:x:1:certificate/c"}
NETWORKS = [
    {"Network": "vpc", "Database": "aurora"},
    {"Network": "vpc", "Database": "rds", "Nat": "true"},
    {"Network": "public", **BROUGHT},
]
FRONTS = [
    {"Front": "cloudfront"},
    {"Front": "cloudfront", "HostedZoneId": "Z1", "WebAclArn": "create", **DOMAIN},
    {"Front": "cloudfront", "WebAclArn": "arn:aws:wafv2:us-east-1:1:global/webacl/w/1"},
    {"Front": "apigateway", "HostedZoneId": "Z1", "WebAclArn": "create", **DOMAIN},
    {"Front": "apigateway", **DOMAIN},
    {"Front": "none"},
    {"Front": "none", "UrlAuth": "NONE", "HostedZoneId": "Z1", **DOMAIN},
]
QUEUES = [{"Queue": "redis"}, {"Queue": "sqs"}]
REST = [
    {},
    {
        "Bedrock": "true",
        "Archive": "true",
        "MailUrl": "ses:",
        "OidcIssuer": "https://id.example.org",
        "OidcClientId": "tailrace",
        "OidcClientSecret": "secret",
        "AlertWebhookUrl": "https://hooks.example.org/tailrace",
        "AlertWebhookSecret": "whsec_c2VjcmV0",
        "MetricsToken": "a token of Prometheus",
        "ChatProvisioned": 1,
        "ChatConcurrency": 10,
        "AlarmEmail": "ops@example.org",
        "MonthlyBudget": 100,
        "DefaultModel": "a/b",
    },
    {"ChatStart": "snapstart"},
]
CHOICES = [
    {k: v for part in parts for k, v in part.items()}
    for parts in product(NETWORKS, FRONTS, QUEUES, REST)
]


@pytest.fixture(scope="module")
def templates(translated: dict[str, Any]) -> list[Template]:
    return [Template(translated, **choice) for choice in CHOICES]


def test_every_choice_is_allowed(templates):
    assert all(template.keeps_its_rules() for template in templates)


@pytest.mark.parametrize(
    "choice",
    [
        {"Network": "public"},
        {"Network": "public", "DatabaseUrl": BROUGHT["DatabaseUrl"]},
        {"Front": "apigateway"},
        {"DomainName": "chat.example.org"},
        {"AlertWebhookUrl": "https://hooks.example.org/tailrace"},
        {"ChatStart": "snapstart", "ChatProvisioned": 1},
    ],
)
def test_what_does_not_go_together_is_refused(translated, choice):
    assert not Template(translated, **choice).keeps_its_rules()


def test_nothing_refers_to_what_is_not_there(templates):
    for template in templates:
        known = template.resources.keys() | template.parameters.keys()
        assert set(references([template.resources, template.outputs])) <= known
        for resource in template.resources.values():
            waits = resource.get("DependsOn", [])
            assert set([waits] if isinstance(waits, str) else waits) <= known


def test_nothing_waits_for_itself(templates):
    for template in templates:
        order = TopologicalSorter(waits(template))
        assert set(order.static_order()) == template.resources.keys()


def test_nobody_takes_traffic_before_the_migration(templates):
    for template in templates:
        assert not reached(template, "Migration") & set(
            template.of_type("AWS::CloudFront::Distribution")
        )
        for name in ("ChatFunction", "ApiFunction", "IngestFunction", "MaintainFunction"):
            assert "Migration" in reached(template, name)
        # A change of its code or its layer has another version, which the migration runs for.
        [version] = [
            name
            for name in reached(template, "Migration")
            if name.startswith("MigrateFunctionVersion")
        ]
        assert version in template.of_type("AWS::Lambda::Version")
        ways = reached(template, "Migration")
        if template.parameters["Network"] == "vpc":
            assert {"WayToS3", "RouteOverIpv6", "PrivateRoutesA", "PrivateRoutesB"} <= ways
            assert ways & {"AuroraInstance", "RdsInstance"}


def test_every_alarm_tells_somebody_in_both_directions(templates):
    for template in templates:
        for alarm in template.of_type("AWS::CloudWatch::Alarm").values():
            assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}]


def test_alarms_and_dashboard_name_metrics_that_are_written(templates):
    from tailrace.queue.status import GAUGES
    from tailrace.telemetry import cloudwatch
    from tailrace.telemetry.ingest import IngestReport

    written = {gauge.name for gauge in GAUGES} | cloudwatch._CALL.keys()
    reported = {cloudwatch._name(field) for field in IngestReport.__struct_fields__}
    requests = {"Requests", "Errors", "Refused", "Duration", "ColdStart"}
    ours = [
        alarm
        for alarm in templates[0].of_type("AWS::CloudWatch::Alarm").values()
        if not str(alarm["Namespace"]).startswith("AWS/")
    ]
    assert len(ours) >= 4
    assert {alarm["MetricName"] for alarm in ours} <= written
    [dashboard] = templates[0].of_type("AWS::CloudWatch::Dashboard").values()
    charted = {
        name
        for widget in json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
        for namespace, name, *_ in widget["properties"]["metrics"]
        if not namespace.startswith("AWS/")
    }
    assert charted <= written | reported | requests
    assert requests <= charted


def test_those_who_are_told_of_alerts_are_a_setting(templates):
    from pydantic import TypeAdapter

    from tailrace.settings import AlertTargetSettings

    key = f"whsec_{b64encode(bytes(32)).decode()}"
    topic = "arn:aws:sns:us-east-1:123456789012:alarms"
    for template in templates:
        function = template.resources["MaintainFunction"]["Properties"]
        told = function["Environment"]["Variables"]["TAILRACE_ALERT_TARGETS"]
        if "Fn::GetAtt" in told:
            told = template.resources[told["Fn::GetAtt"][0]]["Properties"]["SecretString"]
        text = told["Fn::Sub"].replace("${AlarmTopic}", topic)
        url = template.parameters["AlertWebhookUrl"]
        text = text.replace("${AlertWebhookUrl}", url).replace("${AlertWebhookSecret}", key)
        targets = TypeAdapter(list[AlertTargetSettings]).validate_json(text)
        urls = [target.url.get_secret_value() for target in targets]
        assert urls == [f"sns:{topic}", *([url] if url else [])]


def waits(template: Template) -> dict[str, set[str]]:
    """What each resource is made after."""
    graph = {}
    for name, resource in template.resources.items():
        told = resource.get("DependsOn", [])
        named = {*references(resource), *([told] if isinstance(told, str) else told)}
        graph[name] = named & template.resources.keys()
    return graph


def reached(template: Template, name: str) -> set[str]:
    """All resources that one is made after."""
    graph = waits(template)
    found: set[str] = set()
    ahead = [name]
    while ahead:
        for each in graph[ahead.pop()] - found:
            found.add(each)
            ahead.append(each)
    return found
