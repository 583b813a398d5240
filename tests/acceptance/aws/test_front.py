"""What CloudFront and API Gateway do with a request before a function sees it."""

import fnmatch
import json
import re
import subprocess
from typing import Any

import pytest

from tailrace.http.page_headers import origins_of_bucket, page_headers, page_policy
from tailrace.http.site import part_of
from tests.acceptance.aws.cloudformation import Template

# Whom each path belongs to; tailrace.http.site says the same of one address.
PATHS = {
    "/": "page",
    "/c/01935a3e-7c1f-7d44-8f0e-2f1a5b6c7d8e": "page",
    "/shared/x-Y_z": "page",
    "/assets/index-B1a2.js": "page",
    "/favicon.svg": "page",
    "/chat": "page",
    "/apis": "page",
    "/api/chat": "chat",
    "/api/chat/01935a3e/stream": "chat",
    "/api/chat/01935a3e/stop": "chat",
    "/api/export": "chat",
    "/api/conversations/01935a3e/export": "chat",
    "/api/metrics/live": "chat",
    "/api/metrics/export": "chat",
    "/api/conversations": "api",
    "/api/conversations/01935a3e": "api",
    "/api/metrics/overview": "api",
    "/api/auth/login": "api",
    "/api/openapi.json": "api",
    "/api/nothing-of-the-kind": "api",
    "/healthz": "api",
    "/readyz": "api",
    "/metrics": "api",
}


@pytest.fixture(scope="module")
def distribution(translated: dict[str, Any]) -> dict[str, Any]:
    template = Template(translated)
    return template.resources["Distribution"]["Properties"]["DistributionConfig"]


@pytest.fixture(scope="module")
def run(translated: dict[str, Any]):
    """Runs a function of CloudFront, which is JavaScript, on an event."""

    def run(name: str, **event: Any) -> dict[str, Any]:
        code = translated["Resources"][name]["Properties"]["FunctionCode"]
        script = f"{code}\nconsole.log(JSON.stringify(handler({json.dumps(event)})))"
        done = subprocess.run(["node", "-e", script], check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize(("path", "origin"), PATHS.items())
def test_cloudfront_sends_a_path_where_it_belongs(distribution, path, origin):
    assert behavior(distribution, path)["TargetOriginId"] == origin


@pytest.mark.parametrize(("path", "origin"), PATHS.items())
def test_api_gateway_sends_a_path_where_it_belongs(translated, path, origin):
    method = method_of(translated, path)
    uri = json.dumps(method["x-amazon-apigateway-integration"]["uri"])
    found = (
        "chat" if "response-streaming-invocations" in uri else "page" if ":s3:" in uri else "api"
    )
    assert found == origin


@pytest.mark.parametrize(("path", "origin"), PATHS.items())
def test_one_address_sends_a_path_where_it_belongs(path, origin):
    assert part_of(path) == origin


def test_cloudfront_signs_what_it_asks_of_functions_and_page(translated, distribution):
    resources = translated["Resources"]
    origins = {each["Id"]: each for each in distribution["Origins"]}
    assert origins.keys() == {"page", "chat", "api"}
    for name, origin in origins.items():
        access = resources[origin["OriginAccessControlId"]["Ref"]]["Properties"]
        told = access["OriginAccessControlConfig"]
        assert told["OriginAccessControlOriginType"] == ("s3" if name == "page" else "lambda")
        assert (told["SigningBehavior"], told["SigningProtocol"]) == ("always", "sigv4")
    for name in ("ChatFunctionUrl", "ApiFunctionUrl"):
        assert Template(translated).resources[name]["Properties"]["AuthType"] == "AWS_IAM"


def test_nothing_of_a_function_is_kept_or_held_back(distribution):
    disabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    for path in PATHS:
        told = behavior(distribution, path)
        if told["TargetOriginId"] != "page":
            assert told["CachePolicyId"] == disabled
            assert "POST" in told["AllowedMethods"]
        if told["TargetOriginId"] == "chat":
            assert told["Compress"] is False
    # An error page would hold for the API's own answers as well.
    assert "CustomErrorResponses" not in distribution


def test_links_to_shared_conversations_are_kept_from_others(translated, distribution):
    policy = behavior(distribution, "/shared/x")["ResponseHeadersPolicyId"]["Ref"]
    told = json.dumps(translated["Resources"][policy])
    assert "noindex" in told
    assert '"no-referrer"' in told


@pytest.mark.parametrize("path", ["/", "/assets/x.js", "/favicon.svg", "/c/x", "/shared/x-Y_z"])
def test_the_page_forbids_the_same_whoever_serves_it(translated, path):
    origins = origins_of_bucket("${Attachments}", "${AWS::Region}")
    expected = page_headers(path, page_policy(origins), over_tls=True)
    assert headers_of_cloudfront(translated, path) == expected
    # Its templates cannot quote: the upload puts the policy beside the file.
    expected["content-security-policy"] = "x-amz-meta-content-security-policy"
    assert headers_of_api_gateway(translated, path) == expected


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("Bearer tr_abc", "tr_abc"),
        ("bearer  tr_abc", "tr_abc"),
        ("Basic dXNlcg==", None),
        ("AWS4-HMAC-SHA256 Credential=x", None),
        (None, None),
    ],
)
def test_a_key_is_saved_from_the_signature(run, sent, key):
    headers = {"authorization": {"value": sent}} if sent else {}
    request = {"uri": "/api/chat", "headers": headers}
    told = run("ApiRequest", request=request, viewer={"ip": "2001:db8::7"})["headers"]
    assert told.get("x-tailrace-key", {}).get("value") == key
    assert told["x-tailrace-viewer-address"]["value"] == "2001:db8::7"


def test_nobody_tells_us_another_address_or_loses_a_key_of_his_own(run):
    headers = {
        "x-tailrace-viewer-address": {"value": "192.0.2.1"},
        "x-tailrace-key": {"value": "tr_own"},
    }
    request = {"uri": "/api/chat", "headers": headers}
    told = run("ApiRequest", request=request, viewer={"ip": "203.0.113.7"})["headers"]
    assert told["x-tailrace-viewer-address"] == {"value": "203.0.113.7"}
    assert told["x-tailrace-key"] == {"value": "tr_own"}


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/", "/index.html"),
        ("/c/01935a3e", "/index.html"),
        ("/shared/a-b_c", "/index.html"),
        ("/v1.2/page", "/index.html"),
        ("/assets/index-B1a2.js", "/assets/index-B1a2.js"),
        ("/assets/gone.js", "/assets/gone.js"),
        ("/favicon.svg", "/favicon.svg"),
    ],
)
def test_what_is_no_file_is_the_page(run, path, file):
    assert run("PageRequest", request={"uri": path})["uri"] == file


def behavior(distribution: dict[str, Any], path: str) -> dict[str, Any]:
    """The first behaviour that fits a path, as CloudFront takes it."""
    for told in distribution["CacheBehaviors"]:
        if fnmatch.fnmatchcase(path, told["PathPattern"]):
            return told
    return distribution["DefaultCacheBehavior"]


def method_of(translated: dict[str, Any], path: str) -> dict[str, Any]:
    """The method that API Gateway calls for a path."""
    template = Template(translated, Front="apigateway")
    paths = template.resources["Gateway"]["Properties"]["Body"]["paths"]
    # The most specific resource: fewest variables, the greedy one last.
    fitting = sorted(
        (name.count("{proxy+}"), -len(name.split("/")), name.count("{"), name)
        for name in paths
        if re.fullmatch(
            re.sub(r"\\{\w+\\}", "[^/]+", re.escape(name)).replace(r"\{proxy\+\}", ".+"), path
        )
    )
    [method] = paths[fitting[0][3]].values()
    return method


def headers_of_api_gateway(translated: dict[str, Any], path: str) -> dict[str, str]:
    """What it adds to a file of the page; for what it takes from the file, where from."""
    method = method_of(translated, path)
    answer = method["x-amazon-apigateway-integration"]["responses"]["200"]["responseParameters"]
    told = {name.rpartition(".")[2].lower(): value for name, value in answer.items()}
    # It sends no header that it was not told of.
    known = {name.lower() for name in method["responses"]["200"]["headers"]}
    assert told.keys() <= known
    return {
        name: value.rpartition("header.")[2].strip("'")
        for name, value in told.items()
        if name not in ("content-type", "cache-control")
    }


def headers_of_cloudfront(translated: dict[str, Any], path: str) -> dict[str, str]:
    """What it adds to a file of the page."""
    template = Template(translated)
    config = template.resources["Distribution"]["Properties"]["DistributionConfig"]
    policy = behavior(config, path)["ResponseHeadersPolicyId"]["Ref"]
    told = translated["Resources"][policy]["Properties"]["ResponseHeadersPolicyConfig"]
    security = told["SecurityHeadersConfig"]
    text, files = security["ContentSecurityPolicy"]["ContentSecurityPolicy"]["Fn::Sub"]
    return {
        "x-content-type-options": "nosniff",
        "x-frame-options": security["FrameOptions"]["FrameOption"],
        "referrer-policy": security["ReferrerPolicy"]["ReferrerPolicy"],
        "strict-transport-security": "max-age={AccessControlMaxAgeSec}".format(
            **security["StrictTransportSecurity"]
        ),
        "content-security-policy": text.replace("${Files}", files["Files"]["Fn::Sub"]),
        **{each["Header"]: each["Value"] for each in told["CustomHeadersConfig"]["Items"]},
    }
