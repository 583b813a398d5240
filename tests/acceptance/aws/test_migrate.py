"""The migrate function as CloudFormation's custom resource, and as a plain invocation."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from tests.acceptance.aws import http1
from tests.acceptance.aws.conftest import recorded
from tests.acceptance.aws.runtime_api import FunctionError

NOWHERE = {"TAILRACE_DATABASE_URL": "postgresql://nobody:pa55word@127.0.0.1:1/nothing"}


@asynccontextmanager
async def cloudformation():
    """Yields a URL for answers, and the answers that came, each a request and its JSON."""
    answers: asyncio.Queue = asyncio.Queue()

    async def serve(reader, writer):
        request = await http1.read_request(reader)
        answers.put_nowait((request, json.loads(await request.body())))
        writer.write(http1.head(200, [("Content-Length", "0"), ("Connection", "close")]))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield (
            "http://{}:{}/stack?X-Amz-Signature=0".format(*server.sockets[0].getsockname()),
            answers,
        )


@pytest.fixture
def environment(environment, empty_database_url):
    return {**environment, "TAILRACE_DATABASE_URL": empty_database_url}


async def test_create_migrates_and_answers(deploy):
    async with cloudformation() as (url, answers), deploy("MigrateFunction") as migrate:
        event = {**recorded("cloudformation_create"), "ResponseURL": url}
        await migrate.api.invoke(event).result()
        request, answer = await asyncio.wait_for(answers.get(), 120)
        assert request.method == "PUT"
        assert request.target == "/stack?X-Amz-Signature=0"
        assert request.headers["content-type"] == ""
        applied = answer.pop("Data")["Applied"]
        assert applied >= 3
        assert answer == {
            "Status": "SUCCESS",
            "PhysicalResourceId": "tailrace-schema",
            "StackId": event["StackId"],
            "RequestId": event["RequestId"],
            "LogicalResourceId": "Migration",
        }
        # The next deployment finds nothing to do.
        event = {**recorded("cloudformation_update"), "ResponseURL": url}
        await migrate.api.invoke(event).result()
        _, answer = await asyncio.wait_for(answers.get(), 120)
        assert answer["Status"] == "SUCCESS"
        assert answer["PhysicalResourceId"] == event["PhysicalResourceId"]
        assert answer["Data"] == {"Applied": 0}


async def test_delete_touches_nothing_and_succeeds(deploy):
    async with cloudformation() as (url, answers), deploy("MigrateFunction", **NOWHERE) as migrate:
        event = {**recorded("cloudformation_delete"), "ResponseURL": url}
        await migrate.api.invoke(event).result()
        _, answer = await asyncio.wait_for(answers.get(), 120)
        assert answer["Status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("overrides", "timeout", "reason"),
    [
        (NOWHERE, 60.0, "OperationalError: "),
        ({"TAILRACE_SECRET_KEY": "short"}, 60.0, "SettingsError: TAILRACE_SECRET_KEY"),
        ({}, 9.0, "TimeoutError: "),
    ],
)
async def test_a_failure_is_an_answer_too(deploy, overrides, timeout, reason):
    async with (
        cloudformation() as (url, answers),
        deploy("MigrateFunction", **overrides) as migrate,
    ):
        event = {**recorded("cloudformation_create"), "ResponseURL": url}
        await migrate.api.invoke(event, timeout=timeout).result()
        _, answer = await asyncio.wait_for(answers.get(), 120)
        assert answer["Status"] == "FAILED"
        assert answer["Reason"].startswith(reason)
        assert "pa55word" not in answer["Reason"]


async def test_an_answer_that_cannot_be_given_fails_the_invocation(deploy):
    async with deploy("MigrateFunction") as migrate:
        event = {**recorded("cloudformation_create"), "ResponseURL": "http://127.0.0.1:1/stack"}
        with pytest.raises(FunctionError, match="refused"):
            await migrate.api.invoke(event).result()


async def test_a_plain_invocation_returns_what_it_applied(deploy):
    async with deploy("MigrateFunction") as migrate:
        first = await migrate.api.invoke({}).result()
        assert first["applied"][0] == "0001_accounts.sql"
        assert (await migrate.api.invoke({}).result()) == {"applied": []}


async def test_a_plain_invocation_fails_as_itself(deploy):
    async with deploy("MigrateFunction", **NOWHERE) as migrate:
        with pytest.raises(FunctionError, match="OperationalError"):
            await migrate.api.invoke({}).result()


async def test_a_migration_is_a_line_of_metrics(deploy):
    variables = {"TAILRACE_CLOUDWATCH_NAMESPACE": "Tailrace", "AWS_LAMBDA_LOG_FORMAT": "JSON"}
    async with deploy("MigrateFunction", **variables) as migrate:
        applied = [len((await migrate.api.invoke({}).result())["applied"]) for _ in range(2)]
        metrics = [line for line in migrate.process.logged() if "_aws" in line]
    assert [line["service"] for line in metrics if "ColdStart" in line] == ["migrate"]
    migrations = [line for line in metrics if "Applied" in line]
    assert [line["Applied"] for line in migrations] == [[float(number)] for number in applied]
    assert [line["Errors"] for line in migrations] == [[0.0], [0.0]]
    assert migrations[0]["Duration"][0] > 0


async def test_a_migration_that_fails_is_counted(deploy):
    variables = {"TAILRACE_CLOUDWATCH_NAMESPACE": "Tailrace", "AWS_LAMBDA_LOG_FORMAT": "JSON"}
    async with (
        cloudformation() as (url, answers),
        deploy("MigrateFunction", **NOWHERE, **variables) as migrate,
    ):
        event = {**recorded("cloudformation_create"), "ResponseURL": url}
        await migrate.api.invoke(event).result()
        _, answer = await asyncio.wait_for(answers.get(), 120)
        assert answer["Status"] == "FAILED"
        [metrics] = [line for line in migrate.process.logged() if "Errors" in line]
    assert (metrics["service"], metrics["Errors"]) == ("migrate", [1.0])
    assert "Applied" not in metrics
