"""Settings named by ARN: read from a real server of both APIs, signed as AWS signs."""

import json
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from moto.server import ThreadedMotoServer

from tailrace import secret_store
from tailrace.secret_store import Credentials, SecretError
from tailrace.settings import Settings, SettingsError

REGION = "eu-central-1"
PASSWORD = "hunter2-hunter2-hunter2-hunter2-hunter2"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")
    return boto3.Session(region_name=REGION)


def _secret(aws: boto3.Session, name: str, value: str) -> str:
    client = aws.client("secretsmanager")
    try:
        return client.create_secret(Name=name, SecretString=value)["ARN"]
    except client.exceptions.ResourceExistsException:
        return client.put_secret_value(SecretId=name, SecretString=value)["ARN"]


def test_settings_come_from_secrets_and_parameters(aws, monkeypatch) -> None:
    kept = {
        "username": "tail",
        "password": "p/w@d:é",
        "host": "db",
        "port": 5433,
        "dbname": "chats",
        "engine": "postgres",
    }
    providers = [{"name": "s", "kind": "scripted", "api_key": "sk-1"}]
    aws.client("ssm").put_parameter(Name="/tail/key", Value=PASSWORD, Type="SecureString")
    monkeypatch.setenv("TAILRACE_DATABASE_URL", _secret(aws, "database", json.dumps(kept)))
    redis = _secret(aws, "redis", json.dumps({"url": "rediss://cache:6379"}))
    monkeypatch.setenv("TAILRACE_REDIS_URL", f"{redis}:url::")
    monkeypatch.setenv("TAILRACE_PROVIDERS", _secret(aws, "providers", json.dumps(providers)))
    monkeypatch.setenv(
        "TAILRACE_SECRET_KEY", f"arn:aws:ssm:{REGION}:123456789012:parameter/tail/key"
    )

    settings = Settings.load()

    assert settings.database_url.get_secret_value() == (
        "postgresql://tail:p%2Fw%40d%3A%C3%A9@db:5433/chats?sslmode=require"
    )
    assert settings.redis_url.get_secret_value() == "rediss://cache:6379"
    assert settings.secret_key.get_secret_value() == PASSWORD
    assert settings.providers[0].api_key.get_secret_value() == "sk-1"


@pytest.mark.parametrize(
    ("arn", "said"),
    [
        (f"arn:aws:secretsmanager:{REGION}:123456789012:secret:gone-AbCdEf", "ResourceNotFound"),
        (f"arn:aws:ssm:{REGION}:123456789012:parameter/gone", "ParameterNotFound"),
        ("arn:aws:s3:::bucket", "neither a secret"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(aws, monkeypatch, arn, said) -> None:
    monkeypatch.setenv("TAILRACE_REDIS_URL", arn)
    with pytest.raises(SettingsError, match=f"^TAILRACE_REDIS_URL: {arn} cannot be read: .*{said}"):
        Settings.load()


def test_a_key_that_a_secret_lacks_does_not_show_what_it_has(aws, monkeypatch) -> None:
    arn = _secret(aws, "other", json.dumps({"other": PASSWORD}))
    monkeypatch.setenv("TAILRACE_DATABASE_URL", f"{arn}:url::")
    with pytest.raises(SettingsError, match="has no key url") as raised:
        Settings.load()
    assert PASSWORD not in str(raised.value)
    monkeypatch.setenv("TAILRACE_DATABASE_URL", arn)
    with pytest.raises(SettingsError, match="needs username, password and host") as raised:
        Settings.load()
    assert PASSWORD not in str(raised.value)


def test_a_server_that_is_not_there_is_said_so(aws, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:1")
    with pytest.raises(SecretError, match="refused"):
        secret_store.read([f"arn:aws:secretsmanager:{REGION}:123456789012:secret:a-AbCdEf"])


@pytest.mark.parametrize("token", [None, "FwoGZXIvYXdzEXAMPLE"])
def test_requests_are_signed_as_botocore_signs_them(token: str | None) -> None:
    now = datetime.now(UTC)
    host = f"secretsmanager.{REGION}.amazonaws.com"
    body = b'{"SecretId": "a"}'
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "a.GetSecretValue"}
    signed = secret_store.sign(
        Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI", token),
        *(REGION, "secretsmanager", host, headers, body, now),
    )

    theirs = AWSRequest("POST", f"https://{host}/", {**headers}, body)
    signer = SigV4Auth(
        BotoCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI", token), "secretsmanager", REGION
    )
    theirs.context["timestamp"] = signed["x-amz-date"]
    if token:
        theirs.headers["X-Amz-Security-Token"] = token
    theirs.headers["X-Amz-Date"] = signed["x-amz-date"]
    canonical = signer.canonical_request(theirs)
    expected = signer.signature(signer.string_to_sign(theirs, canonical), theirs)
    assert signed["authorization"].endswith(f"Signature={expected}")


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, f"https://ssm.{REGION}.amazonaws.com"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, f"https://ssm.{REGION}.api.aws"),
        ({"AWS_ENDPOINT_URL": "http://emulator:4566"}, "http://emulator:4566"),
    ],
)
def test_apis_are_where_the_sdks_find_them(variables, address, monkeypatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM", "AWS_USE_DUALSTACK_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ours = secret_store._endpoint("ssm", REGION, "aws")
    theirs = boto3.Session().client(
        "ssm", region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b"
    )
    assert ours == theirs.meta.endpoint_url == address


def test_credentials_are_found_wherever_the_sdk_finds_them(aws, monkeypatch, tmp_path) -> None:
    """A snapshot of a function has none in its environment, nor has a developer with a profile."""
    arn = _secret(aws, "profile", "found")
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKID\naws_secret_access_key = secret\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    assert secret_store.read([arn]) == {arn: "found"}

    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(SecretError, match="no AWS credentials"):
        secret_store.read([arn])


class _Agent(BaseHTTPRequestHandler):
    """Hands out credentials as it does to a function restored from a snapshot."""

    server: "_AgentServer"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["authorization"]))
        status, answer = self.server.answers[0]
        if len(self.server.answers) > 1:
            del self.server.answers[0]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _AgentServer(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Agent)
        self.asked: list[tuple[str, str | None]] = []
        # The last one is given again and again.
        self.answers = [(200, json.dumps(GIVEN).encode())]


GIVEN = {
    "AccessKeyId": "AKIDCONTAINER",
    "SecretAccessKey": "a-secret",
    "Token": "a-session",
    "Expiration": "2026-01-01T00:00:00Z",
}


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[_AgentServer]:
    """A real server of credentials, of which alone the environment knows; there is no SDK."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with _AgentServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        uri = f"http://127.0.0.1:{server.server_port}/2021-04-23/credentials?a=b"
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri)
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a-token")
        yield server
        server.shutdown()
        thread.join()


def test_a_restored_snapshot_is_given_its_credentials_by_the_agent_beside_it(
    endpoint, agent, monkeypatch, tmp_path
) -> None:
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "wJalrXUtnFEMI"}
    creator = boto3.Session(region_name=REGION, **keys).client(
        "secretsmanager", endpoint_url=endpoint
    )
    arn = creator.create_secret(Name="restored", SecretString="found")["ARN"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    agent.answers.insert(0, (500, b"not yet"))

    assert secret_store.read([arn]) == {arn: "found"}
    assert secret_store._credentials() == Credentials("AKIDCONTAINER", "a-secret", "a-session")
    assert set(agent.asked) == {("/2021-04-23/credentials?a=b", "a-token")}

    file = tmp_path / "token"
    file.write_text("of-the-file")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(file))
    secret_store._credentials()
    assert agent.asked[-1][1] == "of-the-file"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((403, b"no"), "status 403"),
        ((500, b"{}"), "status 500"),
        ((200, b"no JSON"), "Expecting value"),
        ((200, b"[]"), "no AWS credentials"),
        ((200, b'{"AccessKeyId": "AKID"}'), "no AWS credentials"),
    ],
)
def test_an_agent_that_gives_no_credentials_is_said_so(agent, answer, said) -> None:
    agent.answers = [answer]
    with pytest.raises(SecretError, match=said):
        secret_store.read([f"arn:aws:secretsmanager:{REGION}:123456789012:secret:a-AbCdEf"])


def test_a_token_of_the_agent_that_cannot_be_sent_is_not_shown(
    agent, monkeypatch, tmp_path
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a-token\r\nx: y")
    with pytest.raises(SecretError, match="fits no header") as raised:
        secret_store._credentials()
    assert "a-token" not in str(raised.value)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(SecretError, match=r"TOKEN_FILE: .*No such file"):
        secret_store._credentials()
    assert agent.asked == []


@pytest.mark.parametrize(
    ("uri", "may_be_asked"),
    [
        ("http://127.0.0.1:9001/x", True),
        ("http://[::1]/x", True),
        ("http://localhost/x", True),
        ("http://169.254.170.2/x", True),
        ("http://169.254.170.23/v1/credentials", True),
        ("http://[fd00:ec2::23]/v1/credentials", True),
        ("https://example.org/x", True),
        ("http://example.org/x", False),
        ("http://169.254.169.254/x", False),
        ("http://127.0.0.1@example.org/x", False),
        ("http://[::1/x", False),
        ("ftp://127.0.0.1/x", False),
        ("https:///x", False),
        ("/x", False),
    ],
)
def test_only_the_agents_that_the_sdks_ask_are_asked(uri, may_be_asked) -> None:
    if may_be_asked:
        assert secret_store._agent(uri).geturl() == uri
    else:
        with pytest.raises(SecretError, match="nobody who may be asked"):
            secret_store._agent(uri)
