"""What each function may do: its own resources, by name, and nothing that another one keeps."""

import json
from typing import Any

import pytest

from tests.acceptance.aws.cloudformation import Template, references
from tests.acceptance.aws.test_parameters import BROUGHT

EVERYTHING = {
    "Queue": "sqs",
    "Archive": "true",
    "Bedrock": "true",
    "MailUrl": "ses:",
    "OidcIssuer": "https://id.example.org",
    "OidcClientId": "tailrace",
    "OidcClientSecret": "secret",
    "AlertWebhookUrl": "https://hooks.example.org/tailrace",
    "AlertWebhookSecret": "whsec_c2VjcmV0",
    "MetricsToken": "a token of Prometheus",
}
FUNCTIONS = {
    "ChatFunction": "ChatRole",
    "ApiFunction": "ApiRole",
    "IngestFunction": "IngestRole",
    "MaintainFunction": "MaintainRole",
    "MigrateFunction": "MigrateRole",
}
COMMON = {"DatabaseSecret", "DatabaseUrlSecret", "RedisUrlSecret", "SecretKey"}
# The resources that each may name beside those, and its own log.
OWN = {
    "ChatRole": {"ProvidersSecret", "Attachments", "EventQueue"},
    "ApiRole": {"ProvidersSecret", "OidcSecret", "MetricsSecret", "Attachments", "EventQueue"},
    "IngestRole": {"EventQueue", "DeadEventQueue"},
    "MaintainRole": {
        "MailSecret",
        "AlertTargetsSecret",
        "Attachments",
        "ArchiveBucket",
        "AlarmTopic",
        "EventQueue",
    },
    "MigrateRole": set(),
    "GatewayRole": {"Page"},
}
# What has no resources to name, or none that are there before it is used.
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
UNNAMED = {
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "bedrock:CountTokens",
    "bedrock:ListFoundationModels",
    "bedrock:ListInferenceProfiles",
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}


@pytest.fixture(scope="module", params=["vpc", "public"])
def template(request, translated: dict[str, Any]) -> Template:
    brought = BROUGHT if request.param == "public" else {}
    return Template(translated, Network=request.param, **brought, **EVERYTHING)


def test_each_function_has_a_role_of_its_own(template):
    roles = {
        name: function["Role"]["Fn::GetAtt"][0]
        for name, function in template.of_type("AWS::Lambda::Function").items()
    }
    assert roles == FUNCTIONS
    assumed = [template.resources[role]["Properties"] for role in roles.values()]
    for role in assumed:
        [statement] = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
        # No policy of AWS's own, which name everything.
        assert role["ManagedPolicyArns"] == [{"Ref": "CommonPolicy"}]


def test_a_role_names_only_its_own(template):
    logs = {role: {f"{role.removesuffix('Role')}Logs"} for role in FUNCTIONS.values()}
    for role, own in OWN.items():
        if role in template.resources:
            named = {
                name
                for statement in statements(template, role)
                for name in references(statement["Resource"])
            } & template.resources.keys()
            assert named == (own | logs.get(role, set())) & template.resources.keys(), role
    common = {
        name for s in statements(template, "CommonPolicy") for name in references(s["Resource"])
    }
    assert common & template.resources.keys() == COMMON & template.resources.keys()


def test_nothing_is_allowed_on_everything_that_could_be_named(template):
    for role in (*FUNCTIONS.values(), "CommonPolicy"):
        for statement in statements(template, role):
            assert statement["Sid"]
            actions = listed(statement["Action"])
            assert not [action for action in actions if "*" in action], role
            if statement["Effect"] == "Allow" and "*" in listed(statement["Resource"]):
                assert set(actions) <= UNNAMED, role


@pytest.mark.parametrize(
    ("secret", "readers"),
    [
        ("ProvidersSecret", {"ChatRole", "ApiRole"}),
        ("MailSecret", {"MaintainRole"}),
        ("OidcSecret", {"ApiRole"}),
        ("MetricsSecret", {"ApiRole"}),
        ("AlertTargetsSecret", {"MaintainRole"}),
    ],
)
def test_a_secret_is_read_by_those_alone_that_need_it(template, secret, readers):
    found = {
        role
        for role in (*FUNCTIONS.values(), "CommonPolicy")
        if secret in references(statements(template, role))
    }
    assert found == readers


def test_a_function_may_read_every_secret_that_its_settings_name(template):
    secrets = template.of_type("AWS::SecretsManager::Secret").keys() | {"DatabaseAttachment"}
    for name, function in template.of_type("AWS::Lambda::Function").items():
        variables = function["Environment"]["Variables"]
        named = {
            {"DatabaseAttachment": "DatabaseSecret"}.get(secret, secret)
            for secret in set(references(variables)) & secrets
        }
        allowed = set(
            references(statements(template, FUNCTIONS[name]) + statements(template, "CommonPolicy"))
        )
        assert named
        assert named <= allowed
        # And holds none itself.
        assert not {"hunter2", BROUGHT["DatabaseUrl"], BROUGHT["RedisUrl"], "secret"} & set(
            map(str, variables.values())
        )


def test_the_functions_own_code_cannot_use_what_lambda_needs_for_the_network(translated):
    template = Template(translated)
    [allowed] = [s for s in statements(template, "CommonPolicy") if s["Sid"] == "JoinTheNetwork"]
    [denied] = [s for s in statements(template, "CommonPolicy") if s["Effect"] == "Deny"]
    assert denied["Action"] == allowed["Action"]
    assert "lambda:SourceFunctionArn" in json.dumps(denied["Condition"])


@pytest.mark.parametrize("front", ["cloudfront", "apigateway", "none"])
def test_function_urls_are_closed_to_all_but_the_front(translated, front):
    template = Template(translated, Front=front)
    for url in template.of_type("AWS::Lambda::Url").values():
        assert url["AuthType"] == "AWS_IAM"
    permissions = template.of_type("AWS::Lambda::Permission").values()
    assert {p["Principal"] for p in permissions} == {
        "cloudfront": {"cloudfront.amazonaws.com"},
        "apigateway": {"apigateway.amazonaws.com"},
        "none": set(),
    }[front]
    for permission in permissions:
        assert set(references(permission["SourceArn"])) & {"Distribution", "Gateway"}


def test_buckets_are_private_encrypted_and_over_tls(template):
    policies = {
        policy["Bucket"]["Ref"]: policy["PolicyDocument"]["Statement"]
        for policy in template.of_type("AWS::S3::BucketPolicy").values()
    }
    buckets = template.of_type("AWS::S3::Bucket")
    assert policies.keys() == buckets.keys() == {"ArchiveBucket", "Attachments", "Page"}
    for name, bucket in buckets.items():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["BucketEncryption"]
        assert "AbortIncompleteMultipartUpload" in json.dumps(bucket["LifecycleConfiguration"])
        [denied] = [s for s in policies[name] if s["Effect"] == "Deny"]
        assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in policies[name]:
            if statement["Effect"] == "Allow":
                assert statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
                assert "Distribution" in references(statement["Condition"])
    # A request that we signed is for the page alone to send.
    [rule] = buckets["Attachments"]["CorsConfiguration"]["CorsRules"]
    assert "*" not in rule["AllowedOrigins"]


def test_a_batch_of_sqs_is_not_handed_out_twice(translated):
    template = Template(translated, Queue="sqs")
    queue = template.resources["EventQueue"]["Properties"]
    timeout = template.resources["IngestFunction"]["Properties"]["Timeout"]
    assert queue["VisibilityTimeout"] >= 6 * timeout
    [source] = template.of_type("AWS::Lambda::EventSourceMapping").values()
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    from tailrace.settings import Settings

    most = Settings.model_fields["queue_max_deliveries"].default
    assert queue["RedrivePolicy"]["maxReceiveCount"] > most


def statements(template: Template, name: str) -> list[dict[str, Any]]:
    """All statements of a role's own policies, or of a policy."""
    properties = template.resources[name]["Properties"]
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    if "PolicyDocument" in properties:
        documents.append(properties["PolicyDocument"])
    return [statement for document in documents for statement in document["Statement"]]


def listed(value: Any) -> list[Any]:
    """A value as a list, which policies leave out around a single one."""
    return value if isinstance(value, list) else [value]
