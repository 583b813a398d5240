"""Functions as they are packed, with ARNs as settings: no value stands in their environment."""

import asyncio
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.acceptance.aws.conftest import recorded
from tests.support.chat_client import ChatClient


@pytest.fixture
def secrets(environment):
    """Puts every secret of the environment into a server of the API, as the template does."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    aws = {
        "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": "test",
    }
    client = boto3.Session().client(
        "secretsmanager",
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    names = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "PROVIDERS")
    for name in names:
        value = environment[f"TAILRACE_{name}"]
        aws[f"TAILRACE_{name}"] = client.create_secret(
            Name=f"{name}-{uuid4()}", SecretString=value
        )["ARN"]
    yield aws
    server.stop()


@pytest.fixture
def change(secrets):
    """Gives a secret another value, by the name of its variable."""

    def change(name: str, value: str) -> None:
        boto3.Session().client(
            "secretsmanager",
            endpoint_url=secrets["AWS_ENDPOINT_URL"],
            region_name="eu-central-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        ).put_secret_value(SecretId=secrets[name], SecretString=value)

    return change


# The first brings no SDK of AWS that it could ask.
@pytest.mark.parametrize("name", ["MigrateFunction", "IngestFunction", "MaintainFunction"])
async def test_a_schedules_function_reads_its_secrets(deploy, secrets, name):
    async with deploy(name, **secrets) as function:
        answer = await function.api.invoke(recorded("scheduler")).result()
    assert answer
    log = function.process.log.read_text()
    for value in (secrets["TAILRACE_SECRET_KEY"], "postgresql://"):
        assert value not in log


@pytest.mark.parametrize("name", ["ChatFunction", "ApiFunction"])
async def test_a_function_behind_a_url_reads_its_secrets(deploy, secrets, name):
    async with deploy(name, **secrets) as function:
        response = await function.http.get(
            "/api/models" if name == "ApiFunction" else "/api/chat/x/stream"
        )
    if name == "ApiFunction":
        assert {item["provider"] for item in response.json()["items"]} == {"local", "scripted"}
    else:
        assert response.status_code == 404


async def test_a_restored_copy_of_a_snapshot_reads_its_secrets_anew(
    deploy, secrets, environment, change
):
    change("TAILRACE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    snapshot = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    async with deploy("ChatFunction", **secrets, **snapshot) as chat:
        await asyncio.wait_for(chat.api.snapshot_offered.wait(), 120)
        change("TAILRACE_DATABASE_URL", environment["TAILRACE_DATABASE_URL"])
        chat.api.restored.set()
        async with ChatClient(chat.http).chat(guest=True, model="scripted/echo") as stream:
            await stream.rest()
        assert stream.text == "Hi"


async def test_a_secret_that_may_not_be_read_stops_the_start_by_name(deploy, secrets):
    arn = secrets["TAILRACE_REDIS_URL"].replace("REDIS_URL", "OTHER_URL")
    async with deploy("IngestFunction", **secrets | {"TAILRACE_REDIS_URL": arn}) as function:
        report = await function.api.init_error
        assert await function.process.exit_code() == 1
    assert report["errorType"] == "SettingsError"
    assert report["errorMessage"].startswith(f"TAILRACE_REDIS_URL: {arn} cannot be read: ")
    assert report["errorMessage"].endswith("ResourceNotFoundException")
