"""Our runtime and functions against the vendor's own Runtime API: the emulator that comes with SAM.

The emulator takes the streaming protocol and returns all of its bytes at the end, so this is about
being understood, not about time. ``sam local invoke`` starts the same emulator in a container.
"""

import asyncio
import json
import os
import platform
import socket
import subprocess
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.acceptance.aws.conftest import recorded
from tests.acceptance.aws.function import PYTHON
from tests.acceptance.aws.test_migrate import cloudformation

APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
    cookies = [(b"set-cookie", b"a=1")]
    await send({"type": "http.response.start", "status": 203, "headers": cookies})
    for step in range(3):
        await send({"type": "http.response.body", "body": b"step %d;" % step, "more_body": True})
    if scope["path"] == "/breaks":
        raise ValueError("in the middle")
    await send({"type": "http.response.body"})
"""


@pytest.fixture
def emulator(sam_environment, opt, tmp_path):
    """Runs a function's folder under the emulator and yields what invokes it."""
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
    [binary] = sam_environment.glob(f"lib/*/site-packages/samcli/local/rapid/*-rie-{machine}")

    @asynccontextmanager
    async def run(task, stock=None, **environment):
        front, runtime_api = free_port(), free_port()
        runtime = [opt / "tailrace-runtime", PYTHON]
        if stock:
            # What a layer brings, then the interpreter with what Lambda's image has.
            environment["PYTHONPATH"] = f"{opt / 'python'}:{stock}"
            runtime = [PYTHON, "-m", "awslambdaric"]
        command = [
            binary,
            f"--runtime-interface-emulator-address=127.0.0.1:{front}",
            f"--runtime-api-address=127.0.0.1:{runtime_api}",
            *runtime,
            "handler.handler",
        ]
        variables = {"PATH": os.environ["PATH"], "LAMBDA_TASK_ROOT": str(task), **environment}
        with (tmp_path / "emulator.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=task, env=variables, stdout=log, stderr=subprocess.STDOUT
            )
        transport = httpx.AsyncHTTPTransport(retries=8)
        async with httpx.AsyncClient(transport=transport, timeout=30) as client:

            async def invoke(event):
                url = f"http://127.0.0.1:{front}/2015-03-31/functions/function/invocations"
                return (await client.post(url, json=event)).content

            try:
                yield invoke
            finally:
                process.terminate()
                await process.wait()

    return run


async def test_the_emulator_takes_a_stream(emulator, app):
    async with emulator(app(APP)) as invoke:
        for _ in range(2):
            prelude, body = (await invoke(recorded("function_url_get"))).split(bytes(8))
            assert json.loads(prelude) == {"statusCode": 203, "headers": {}, "cookies": ["a=1"]}
            assert body == b"step 0;step 1;step 2;"


async def test_the_emulator_takes_trailers(emulator, app):
    async with emulator(app(APP)) as invoke:
        event = {**recorded("function_url_get"), "rawPath": "/breaks"}
        assert (await invoke(event)).endswith(b"step 0;step 1;step 2;")
        # Had it choked on the trailers, nothing would be served after them.
        assert b"step 2;" in await invoke(recorded("function_url_get"))


async def test_the_emulator_takes_an_error(emulator, app):
    async with emulator(app(APP)) as invoke:
        assert json.loads(await invoke({}))["errorType"] == "ValueError"
        assert b"step 2;" in await invoke(recorded("function_url_get"))


async def test_the_emulator_takes_an_init_error(emulator, app):
    async with emulator(app("raise OSError('no disk')\napp = None")) as invoke:
        assert json.loads(await invoke(recorded("function_url_get")))["errorMessage"] == "no disk"


@pytest.mark.parametrize("variable", ["AWS_SAM_LOCAL", "LOCALSTACK_HOSTNAME"])
def test_the_wrapper_leaves_what_streams_nothing_its_own_runtime(opt, variable):
    done = subprocess.run(
        [opt / "tailrace-runtime", PYTHON, "-c", "print('stock')"],
        env={variable: "true"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "stock\n"


# What calls each function, as an event of tests/events/, and what its answer has to hold.
SHIPPED = {
    "ChatFunction": {
        "function_url_post": {"statusCode": 200},
        "function_url_post_base64": {"statusCode": 404},
        "function_url_get": {"statusCode": 404},
        "rest_api_post": {"statusCode": 200},
        "rest_api_post_base64": {"statusCode": 200},
    },
    "ApiFunction": {
        "api_function_url_post": {"statusCode": 201},
        "api_function_url_get": {"statusCode": 200},
        "api_rest_api_get": {"statusCode": 200},
        "api_rest_api_post": {"statusCode": 201},
    },
    "IngestFunction": {
        "scheduler": {"inserted": 0, "received": 0},
        "sqs": {"batchItemFailures": []},
    },
    "MaintainFunction": {"maintain_scheduler": {}},
    "MigrateFunction": {
        "cloudformation_create": {"Status": "SUCCESS"},
        "cloudformation_update": {"Status": "SUCCESS"},
        "cloudformation_delete": {"Status": "SUCCESS"},
        "invoke": {"applied": []},
    },
}


@pytest.mark.parametrize("name", SHIPPED)
async def test_every_function_answers_each_event_that_calls_it(
    emulator, task, stock, environment, name
):
    async with (
        emulator(task(name), stock, **environment, AWS_LAMBDA_FUNCTION_NAME=name) as invoke,
        cloudformation() as (response_url, answers),
    ):
        for event_name, expected in SHIPPED[name].items():
            event = recorded(event_name)
            if "ResponseURL" in event:
                event["ResponseURL"] = response_url
            answer = json.loads(await invoke(event))
            assert "errorType" not in answer, (event_name, answer)
            assert expected.items() <= answer.items(), (event_name, answer)
            if "ResponseURL" in event:
                assert (await asyncio.wait_for(answers.get(), 120))[1] == answer


async def test_the_chat_streams_to_the_emulator(emulator, task, environment):
    async with emulator(task("ChatFunction"), **environment) as invoke:
        prelude, body = (await invoke(recorded("function_url_post"))).split(bytes(8))
    assert json.loads(prelude)["statusCode"] == 200
    assert "Zürich" in body.decode()
    assert body.endswith(b"data: [DONE]\n\n")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
