"""What `make deploy` and `make destroy` do around SAM, against a server of AWS's APIs."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from deploy import page
from deploy.__main__ import down, up
from deploy.stack import Failed, Stack, read_parameters

ADDRESS = "https://d111111abcdef8.cloudfront.net"
POLICY = "default-src 'self'"
OF_BUCKETS = {"AttachmentsBucket": "files"}


@pytest.fixture(scope="module")
def s3():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield boto3.Session().client(
        "s3",
        endpoint_url="http://{}:{}".format(*server.get_host_and_port()),
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    server.stop()


@pytest.fixture
def bucket(s3, request) -> str:
    name = f"page-{abs(hash(request.node.name))}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def built(tmp_path: Path) -> Path:
    files = {"index.html": "<script src=/assets/a-1.js>", "favicon.svg": "<svg/>"}
    files |= {"assets/a-1.js": "1", "assets/a-1.css": "a{}", "assets/a.woff2": "f"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


class FakeStack(Stack):
    """A stack that remembers what it was deployed with."""

    def __init__(self, outputs: dict[str, str], parameters: dict[str, str] | None = None) -> None:
        self.name = "tailrace"
        self.deployments: list[dict[str, str]] = []
        self.deleted = False
        self._outputs = outputs
        self._parameters = parameters or {}

    @property
    def status(self) -> str:
        return "CREATE_COMPLETE"

    @property
    def parameters(self) -> dict[str, str]:
        return self._parameters

    @property
    def outputs(self) -> dict[str, str]:
        return self._outputs

    def deploy(self, parameters: dict[str, str]) -> None:
        self.deployments.append(parameters)
        self._parameters = self._parameters | parameters

    def delete(self) -> None:
        self.deleted = True


def keys(s3: Any, bucket: str) -> set[str]:
    return {each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


def test_the_page_says_what_it_is_and_how_long_it_holds(s3, bucket, built):
    assert page.upload(s3, bucket, built, POLICY) == 5
    told = {name: s3.head_object(Bucket=bucket, Key=name) for name in keys(s3, bucket)}
    assert {name: each["ContentType"] for name, each in told.items()} == {
        "index.html": "text/html",
        "favicon.svg": "image/svg+xml",
        "assets/a-1.js": "text/javascript",
        "assets/a-1.css": "text/css",
        "assets/a.woff2": "font/woff2",
    }
    for name, each in told.items():
        assert each["Metadata"] == {"content-security-policy": POLICY}
        immutable = "immutable" in each["CacheControl"]
        assert immutable == name.startswith("assets/")
        assert immutable or each["CacheControl"] == "no-cache"


def test_index_html_comes_last(built):
    names = []

    class Recorder:
        def upload_file(self, file: str, bucket: str, name: str, **_: Any) -> None:
            names.append(name)

        def get_paginator(self, _: str) -> "Recorder":
            return self

        def paginate(self, **_: Any) -> list[dict[str, Any]]:
            return []

    page.upload(Recorder(), "page", built, POLICY)
    assert names[-1] == "index.html"


def test_an_older_page_stays_for_who_has_it_open_and_then_goes(s3, bucket, built):
    page.upload(s3, bucket, built, POLICY)
    (built / "assets/a-1.js").rename(built / "assets/a-2.js")
    page.upload(s3, bucket, built, POLICY)
    assert {"assets/a-1.js", "assets/a-2.js"} <= keys(s3, bucket)
    for key in s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys.values():
        key.last_modified = datetime.now(UTC) - timedelta(days=40)
    page.upload(s3, bucket, built, POLICY)
    assert "assets/a-1.js" not in keys(s3, bucket)
    assert len(keys(s3, bucket)) == 5


def test_the_functions_learn_their_address_once(s3, bucket, built, monkeypatch, capsys):
    monkeypatch.setattr("deploy.__main__._PAGE", built)
    (built / "parameters.toml").write_text('Queue = "sqs"')
    stack = FakeStack({"Address": ADDRESS, **OF_BUCKETS, "PageBucket": bucket})
    up(s3, stack, built / "parameters.toml")
    given = {"Queue": "sqs", "Restart": stack.deployments[0]["Restart"]}
    assert stack.deployments == [given, {**given, "PublicUrl": ADDRESS}]
    assert ADDRESS in capsys.readouterr().out
    up(s3, stack, None)
    assert stack.deployments[2:] == [{}]


def test_a_changed_secret_starts_every_function_anew_and_is_not_told(
    s3, bucket, built, monkeypatch
):
    monkeypatch.setattr("deploy.__main__._PAGE", built)
    stack = FakeStack({**OF_BUCKETS, "PageBucket": bucket, "ChatUrl": "", "ApiUrl": ""})
    file = built / "parameters.toml"
    for key in ("sk-one", "sk-one", "sk-two"):
        file.write_text(f'Providers = [{{name = "c", kind = "anthropic", api_key = "{key}"}}]')
        up(s3, stack, file)
    file.write_text('Restart = "by hand"')
    up(s3, stack, file)
    first, again, other, chosen = (each["Restart"] for each in stack.deployments)
    assert first == again != other
    assert chosen == "by hand"
    assert "sk-" not in first


@pytest.mark.parametrize(
    ("address", "parameters"),
    [
        ("https://chat.example.org", {"DomainName": "chat.example.org"}),
        (ADDRESS, {"PublicUrl": "https://chat.example.org"}),
    ],
)
def test_who_has_a_domain_deploys_once(s3, bucket, built, monkeypatch, address, parameters):
    monkeypatch.setattr("deploy.__main__._PAGE", built)
    stack = FakeStack({"Address": address, **OF_BUCKETS, "PageBucket": bucket}, parameters)
    up(s3, stack, None)
    assert stack.deployments == [{}]


@pytest.mark.parametrize(
    ("answer", "deleted"), [("tailrace\n", True), ("yes\n", False), ("", False)]
)
def test_nothing_is_deleted_without_its_name(s3, bucket, built, monkeypatch, answer, deleted):
    page.upload(s3, bucket, built, POLICY)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    stack = FakeStack({**OF_BUCKETS, "PageBucket": bucket})
    if deleted:
        down(s3, stack)
    else:
        with pytest.raises(Failed, match="Nothing was deleted"):
            down(s3, stack)
    assert stack.deleted is deleted
    assert (keys(s3, bucket) == set()) is deleted


def test_parameters_are_what_toml_says(tmp_path):
    file = tmp_path / "parameters.toml"
    file.write_text(
        'Network = "public"\nChatProvisioned = 1\nNat = true\n'
        'Providers = [{name = "a", kind = "scripted"}]\n[Settings]\nguest_limit = 0\n'
    )
    assert read_parameters(file) == {
        "Network": "public",
        "ChatProvisioned": "1",
        "Nat": "true",
        "Providers": '[{"name": "a", "kind": "scripted"}]',
        "Settings": '{"guest_limit": 0}',
    }
    file.write_text("Network: public")
    with pytest.raises(Failed, match=r"parameters\.toml"):
        read_parameters(file)
