"""Settings kept in AWS Secrets Manager or SSM Parameter Store, named by their ARN.

Called by `tailrace.settings` at start, for variables that hold an ARN. Signed and sent with the
standard library: importing boto3 takes a quarter of a second of every cold start, and most
functions do not bring it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

import hashlib
import hmac
import ipaddress
import json
import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

# Seconds for one answer, name look-up and TLS included.
_TIMEOUT = 5.0
# The first call of a frozen network may be lost.
_ATTEMPTS = 2

_TARGETS = {"secretsmanager": "secretsmanager.GetSecretValue", "ssm": "AmazonSSM.GetParameter"}
_ENDPOINTS = {
    "secretsmanager": "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "ssm": "AWS_ENDPOINT_URL_SSM",
}

# Who may be asked for credentials without TLS, beside our own machine: the agents of ECS and EKS.
_AGENTS = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost"}

_SECRET = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):secretsmanager:(?P<region>[a-z0-9-]+):\d{12}:secret:"
    r"(?P<name>[\w/+=.@-]+)(?::(?P<key>[^:]+)::)?"
)
_PARAMETER = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):ssm:(?P<region>[a-z0-9-]+):\d{12}:parameter/[\w/.-]+"
)


class SecretError(Exception):
    """A secret cannot be read; the text says why, and never shows it.

    Attributes
    ----------
    arn
        Which one; empty where it is about them all.
    """

    def __init__(self, arn: str, why: str) -> None:
        super().__init__(f"{arn or 'secrets'} cannot be read: {why}")
        self.arn = arn


class Credentials(NamedTuple):
    """What requests to AWS are signed with."""

    access_key: str
    secret_key: str
    token: str | None


def read(arns: Iterable[str]) -> dict[str, str]:
    """Return the value of each ARN, asking for all of them at once.

    Parameters
    ----------
    arns
        Of secrets, of one key of a secret that is a JSON object (``…:secret:name-AbCdEf:key::``,
        as Amazon ECS writes it), or of parameters.

    Raises
    ------
    SecretError
        When one cannot be read.
    """
    wanted = list(dict.fromkeys(arns))
    sources = list(dict.fromkeys(_source(arn) for arn in wanted))
    credentials = _credentials()
    with ThreadPoolExecutor(len(sources)) as threads:
        values = dict(
            zip(sources, threads.map(lambda each: _fetch(each, credentials), sources), strict=True)
        )
    return {arn: _part(arn, values[_source(arn)]) for arn in wanted}


def sign(
    credentials: Credentials,
    region: str,
    service: str,
    host: str,
    headers: dict[str, str],
    body: bytes,
    now: datetime,
) -> dict[str, str]:
    """Return the headers of a ``POST /`` with its signature (Signature Version 4)."""
    time = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {"host": host, "x-amz-date": time} | {k.lower(): v for k, v in headers.items()}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        ["POST", "/", "", *(f"{name}:{signed[name]}" for name in sorted(signed)), "", names]
    )
    canonical += f"\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{credentials.secret_key}".encode()
    for step in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}"):
        key = hmac.digest(key, step.encode(), "sha256")
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={key.hex()}"
    )
    return signed


def _source(arn: str) -> str:
    """Return the ARN of the whole secret that an ARN names a key of."""
    match = _SECRET.fullmatch(arn)
    return arn.removesuffix(f":{match['key']}::") if match and match["key"] else arn


def _part(arn: str, value: str) -> str:
    match = _SECRET.fullmatch(arn)
    if not match or not match["key"]:
        return value
    try:
        part = json.loads(value)[match["key"]]
    except (ValueError, TypeError, KeyError):
        raise SecretError(_source(arn), f"it has no key {match['key']}") from None
    return part if isinstance(part, str) else json.dumps(part)


def _fetch(arn: str, credentials: Credentials) -> str:
    match = _SECRET.fullmatch(arn)
    if match:
        answer = _call("secretsmanager", match, {"SecretId": arn}, credentials)
        value = answer.get("SecretString")
    else:
        match = _PARAMETER.fullmatch(arn)
        if match is None:
            raise SecretError(arn, "neither a secret of Secrets Manager nor a parameter of SSM")
        answer = _call("ssm", match, {"Name": arn, "WithDecryption": True}, credentials)
        value = answer.get("Parameter", {}).get("Value")
    if value is None:
        raise SecretError(arn, "it is no text")
    return value


def _call(
    service: str, arn: re.Match[str], asked: dict[str, Any], credentials: Credentials
) -> dict[str, Any]:
    url = urlsplit(_endpoint(service, arn["region"], arn["partition"]))
    body = json.dumps(asked).encode()
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": _TARGETS[service]}

    def signed() -> dict[str, str]:
        now = datetime.now(UTC)
        return sign(credentials, arn["region"], service, url.netloc, headers, body, now)

    return _ask(arn[0], url, "POST", "/", signed, body)


def _ask(
    arn: str,
    url: SplitResult,
    method: str,
    target: str,
    headers: Callable[[], dict[str, str]],
    body: bytes | None = None,
) -> Any:
    """Return the JSON that a server answers with; each attempt has headers of its own."""
    error: Exception | None = None
    for _ in range(_ATTEMPTS):
        connect = HTTPSConnection if url.scheme == "https" else HTTPConnection
        try:
            with closing(connect(url.netloc, timeout=_TIMEOUT)) as connection:
                connection.request(method, target, body, headers())
                response = connection.getresponse()
                answer = response.read()
            if response.status == 200:
                return json.loads(answer)
        except (OSError, HTTPException, ValueError) as failure:
            error = failure
            continue
        error = HTTPException(f"status {response.status} {_reason(answer)}".strip())
        if response.status < 500:
            break
    raise SecretError(arn, str(error)) from error


def _reason(answer: bytes) -> str:
    """Return what AWS calls an error, where it says so."""
    try:
        return str(json.loads(answer)["__type"]).rpartition("#")[2]
    except (ValueError, TypeError, KeyError):
        return ""


def _endpoint(service: str, region: str, partition: str) -> str:
    """Return the API's address, chosen by the same variables as the AWS SDKs choose it."""
    for name in (_ENDPOINTS[service], "AWS_ENDPOINT_URL"):
        if url := os.environ.get(name):
            return url
    # Reached over IPv6 as well, for functions in a network without a way to IPv4.
    if os.environ.get("AWS_USE_DUALSTACK_ENDPOINT", "").lower() == "true" and partition == "aws":
        return f"https://{service}.{region}.api.aws"
    suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    return f"https://{service}.{region}.{suffix}"


def _credentials() -> Credentials:
    environ = os.environ
    if "AWS_ACCESS_KEY_ID" in environ and "AWS_SECRET_ACCESS_KEY" in environ:
        return Credentials(
            environ["AWS_ACCESS_KEY_ID"],
            environ["AWS_SECRET_ACCESS_KEY"],
            environ.get("AWS_SESSION_TOKEN"),
        )
    if uri := environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return _container_credentials(uri)
    # Elsewhere than on Lambda: profiles, containers, machines. botocore knows them all.
    try:
        from botocore.session import get_session
    except ImportError:
        raise SecretError("", "there are no AWS credentials in the environment") from None
    found = get_session().get_credentials()
    if found is None:
        raise SecretError("", "there are no AWS credentials")
    frozen = found.get_frozen_credentials()
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


def _container_credentials(uri: str) -> Credentials:
    """Ask the agent beside us, as a function restored from a snapshot has to (SnapStart).

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
    """
    url = _agent(uri)
    headers = {"accept": "application/json", **_container_authorization()}
    target = url._replace(scheme="", netloc="", path=url.path or "/", fragment="").geturl()
    answer = _ask("", url, "GET", target, lambda: headers)
    try:
        return Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["Token"])
    except (TypeError, KeyError):
        raise SecretError("", "what the container was given are no AWS credentials") from None


def _agent(uri: str) -> SplitResult:
    """Return who is to be asked, if they may be: over TLS, or else from nowhere but nearby."""
    try:
        url = urlsplit(uri)
        host = url.hostname or ""
        if url.scheme == "https" and host:
            return url
        if url.scheme == "http" and (host in _AGENTS or ipaddress.ip_address(host).is_loopback):
            return url
    except ValueError:
        pass
    raise SecretError("", "AWS_CONTAINER_CREDENTIALS_FULL_URI names nobody who may be asked")


def _container_authorization() -> dict[str, str]:
    environ = os.environ
    token = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    if file := environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        try:
            token = Path(file).read_text()
        except (OSError, ValueError) as error:
            raise SecretError("", f"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: {error}") from error
    if token is None:
        return {}
    # Checked here, since the client would show it.
    if not (token.isascii() and token.isprintable()):
        raise SecretError("", "the container's authorization token fits no header")
    return {"authorization": token}
