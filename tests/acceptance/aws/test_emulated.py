"""``make localstack`` against ministack: the whole stack in an emulator, from nothing to numbers.

The emulator has no Lambda to stream with, so answers come whole; it runs the functions with its own
interpreter, which is this one.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import boto3
import httpx
import psycopg
import pytest

from localstack.embedded.postgres import Postgres
from localstack.embedded.valkey import Valkey
from localstack.emulated import front
from tailrace.http.site import part_of
from tailrace.telemetry.event import encode
from tests.acceptance.aws.function import ROOT, make
from tests.acceptance.aws.test_emulator import free_port
from tests.support.chat_client import ChatClient
from tests.support.events import make_event
from tests.support.serving import serve

STACK = "tailrace"
# No schedule fires by itself before a test has it fire.
NEVER = "at(2099-01-01T00:00:00)"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running emulator: the variables by which it is reached."""
    make(".venv-ministack/bin/ministack")
    folder = tmp_path_factory.mktemp("ministack")
    port = free_port()
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        # Where it unpacks functions.
        "TMPDIR": str(folder),
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": "eu-central-1",
        "LAMBDA_EXECUTOR": "local",
        "IOT_MTLS_ENABLED": "0",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [ROOT / ".venv-ministack/bin/ministack"],
            cwd=folder,
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:
        assert client.get(f"{url}/_ministack/health").status_code == 200
    yield {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def database_of_stack(postgres: Postgres, emulator: dict[str, str]) -> str:
    """URL of a database without a schema, which the stack is to migrate."""
    postgres.create_database("emulated")
    return postgres.url("emulated")


@pytest.fixture(scope="module")
def deployed(
    sam_environment: Path,
    emulator: dict[str, str],
    database_of_stack: str,
    valkey: Valkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """What the stack told of itself once it was deployed."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    make("build-emulated", f"LAMBDA_PYTHON={version}")
    parameters = tmp_path_factory.mktemp("parameters") / "parameters.toml"
    parameters.write_text(f'Schedule = "{NEVER}"\n')
    return deploy_stack(emulator, database_of_stack, valkey, parameters)


def deploy_stack(
    emulator: dict[str, str], database_of_stack: str, valkey: Valkey, parameters: Path
) -> dict[str, str]:
    """Make or change the stack, and return what it tells of itself."""
    variables = {
        **os.environ,
        **emulator,
        "TAILRACE_DATABASE_URL": database_of_stack,
        "TAILRACE_REDIS_URL": valkey.url,
    }
    command = [sys.executable, "-m", "localstack.emulated", "--stack", STACK, "deploy", parameters]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=variables,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith(f"Deployed {STACK} to {emulator['AWS_ENDPOINT_URL']}\n")
    [stack] = client("cloudformation", emulator).describe_stacks(StackName=STACK)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


@pytest.fixture
async def http(
    deployed: dict[str, str], emulator: dict[str, str], tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the page's server, as ``make localstack`` serves it."""
    (tmp_path / "index.html").write_text("<!doctype html><title>Tailrace</title>")
    urls = {"chat": deployed["ChatUrl"], "api": deployed["ApiUrl"]}
    app = front.create_app(emulator["AWS_ENDPOINT_URL"], urls, tmp_path)
    async with (
        serve(app) as address,
        httpx.AsyncClient(base_url=address, timeout=60) as http,
    ):
        yield http


async def test_a_chat_and_its_numbers(
    http: httpx.AsyncClient,
    deployed: dict[str, str],
    emulator: dict[str, str],
    database_of_stack: str,
) -> None:
    assert "<title>Tailrace</title>" in (await http.get("/c/anything")).text
    assert (await http.get("/readyz")).json()["checks"] == {"database": "ok", "queue": "ok"}
    missing = await http.get("/api/nothing?x=%2F")
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"

    person = ChatClient(http)
    await person.register()
    # The stack is made for TLS, which a browser alone does without at localhost.
    http.headers["cookie"] = "; ".join(f"{each.name}={each.value}" for each in http.cookies.jar)
    http.cookies.clear()
    conversation_id = uuid4()
    async with person.chat("one two three", conversation_id=conversation_id) as stream:
        assert stream.response.status_code == 200
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        await stream.rest()
    assert stream.text == "one two three"
    assert stream.types[-1] == "[DONE]"
    kept = await person.conversation(conversation_id)
    assert kept["messages"][-1]["status"] == "complete"

    # What the chat sent to SQS is handed to ingestion; what it could not send, the schedule finds.
    async with await psycopg.AsyncConnection.connect(database_of_stack, autocommit=True) as direct:
        await landed(direct, f"conversation_id = '{conversation_id}'", 2)
        queues = client("sqs", emulator).list_queues()["QueueUrls"]
        assert len(queues) == 2
        left_behind = encode(make_event(request_model="left-behind"))
        await direct.execute("INSERT INTO telemetry_outbox (payload) VALUES (%s)", (left_behind,))
        fire_schedules(client("scheduler", emulator))
        await landed(direct, "request_model = 'left-behind'", 1)
        # Maintenance makes days ahead.
        await appears(direct, "SELECT count(*) > 7 FROM pg_inherits")

    mine = (await http.get("/api/metrics/calls")).json()["items"]
    assert {(call["kind"], call["status"]) for call in mine} == {("chat", "ok"), ("title", "ok")}


async def test_a_chat_through_api_gateway(
    deployed: dict[str, str],
    emulator: dict[str, str],
    database_of_stack: str,
    valkey: Valkey,
    tmp_path: Path,
) -> None:
    domain = "chat.example.org"
    certificate = f"arn:aws:acm:{emulator['AWS_DEFAULT_REGION']}:000000000000:certificate/x"
    parameters = tmp_path / "parameters.toml"
    parameters.write_text(
        f'Schedule = "{NEVER}"\nFront = "apigateway"\n'
        f'DomainName = "{domain}"\nCertificateArn = "{certificate}"\n'
    )
    outputs = deploy_stack(emulator, database_of_stack, valkey, parameters)
    assert outputs["Address"] == f"https://{domain}"
    complete_routes(emulator)
    async with httpx.AsyncClient(
        base_url=emulator["AWS_ENDPOINT_URL"], headers={"host": domain}, timeout=60
    ) as http:
        assert (await http.get("/readyz")).json()["checks"] == {"database": "ok", "queue": "ok"}
        missing = await http.get("/api/nothing")
        assert missing.status_code == 404
        assert missing.headers["content-type"] == "application/problem+json"
        # The domain is the emulator's to route by, and no address of ours: cookies by hand.
        person = {"email": "gateway@example.org", "password": "correct horse battery"}
        registered = await http.post("/api/auth/register", json=person)
        assert registered.status_code == 201
        http.headers["cookie"] = registered.headers["set-cookie"].partition(";")[0]
        async with ChatClient(http).chat("one two three", model="scripted/echo") as stream:
            await stream.rest()
        assert stream.text == "one two three"
        [listed] = (await http.get("/api/conversations?limit=5")).json()["items"]
        kept = await ChatClient(http).conversation(listed["id"])
        assert [message["role"] for message in kept["messages"]] == ["user", "assistant"]


def test_every_function_is_there_and_answers_whole(
    deployed: dict[str, str], emulator: dict[str, str]
) -> None:
    chat = client("lambda", emulator)
    names = [each["FunctionName"] for each in chat.list_functions()["Functions"]]
    assert len([name for name in names if name.startswith(f"{STACK}-")]) == 5
    [name] = [name for name in names if "-ChatFunction-" in name]
    [url] = chat.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]
    assert url["InvokeMode"] == "BUFFERED"


def complete_routes(emulator: dict[str, str]) -> None:
    """Add to the REST API what the emulator leaves out of a definition, or cannot call.

    It skips ``x-amazon-apigateway-any-method``, calls no function by
    ``response-streaming-invocations`` (500), and reads no file by a service integration (504): the
    page is not to be had from it.
    """
    gateway = client("apigateway", emulator)
    cloudformation = client("cloudformation", emulator)
    functions = {}
    for part, name in (("chat", "ChatFunction"), ("api", "ApiFunction")):
        told = cloudformation.describe_stack_resource(StackName=STACK, LogicalResourceId=name)
        functions[part] = told["StackResourceDetail"]["PhysicalResourceId"]
    region = emulator["AWS_DEFAULT_REGION"]
    [api] = gateway.get_rest_apis()["items"]
    for resource in gateway.get_resources(restApiId=api["id"], limit=500)["items"]:
        part = part_of(re.sub(r"\{.*?\}", "x", resource["path"]))
        if part == "page":
            continue
        where = {"restApiId": api["id"], "resourceId": resource["id"], "httpMethod": "ANY"}
        gateway.put_method(**where, authorizationType="NONE")
        arn = f"arn:aws:lambda:{region}:000000000000:function:{functions[part]}"
        uri = f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations"
        gateway.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    gateway.create_deployment(restApiId=api["id"], stageName="live")


def fire_schedules(scheduler) -> None:
    """Let every schedule of the stack be due now, and do what it does."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    names = [each["Name"] for each in scheduler.list_schedules()["Schedules"]]
    assert len(names) == 2
    for name in names:
        told = scheduler.get_schedule(Name=name)
        kept = {key: told[key] for key in ("FlexibleTimeWindow", "Target")}
        scheduler.update_schedule(Name=name, ScheduleExpression=f"at({now})", **kept)


async def landed(connection, condition: str, count: int) -> None:
    """Wait until the log has so many calls of which this is true."""
    await appears(connection, f"SELECT count(*) = {count} FROM inference_log WHERE {condition}")


async def appears(connection, query: str) -> None:
    """Wait until a query's one value is true."""
    async with asyncio.timeout(300):
        while True:
            [found] = await (await connection.execute(query)).fetchone()
            if found:
                return
            await asyncio.sleep(0.2)


def client(service: str, emulator: dict[str, str]):
    """Return a client of the emulator."""
    return boto3.Session().client(
        service,
        endpoint_url=emulator["AWS_ENDPOINT_URL"],
        region_name=emulator["AWS_DEFAULT_REGION"],
        aws_access_key_id=emulator["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=emulator["AWS_SECRET_ACCESS_KEY"],
    )
