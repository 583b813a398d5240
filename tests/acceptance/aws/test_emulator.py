"""Our runtime against the vendor's own Runtime API: the emulator that comes with AWS SAM.

The emulator takes the streaming protocol and returns all of its bytes at the end, so this is about
being understood, not about time.
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
    async def run(task, **environment):
        front, runtime_api = free_port(), free_port()
        command = [
            binary,
            f"--runtime-interface-emulator-address=127.0.0.1:{front}",
            f"--runtime-api-address=127.0.0.1:{runtime_api}",
            opt / "tailrace-runtime",
            PYTHON,
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


def test_the_wrapper_leaves_sam_local_its_own_runtime(opt):
    done = subprocess.run(
        [opt / "tailrace-runtime", PYTHON, "-c", "print('stock')"],
        env={"AWS_SAM_LOCAL": "true"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "stock\n"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
