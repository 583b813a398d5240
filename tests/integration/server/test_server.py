"""One process instead of functions: what the image runs, started and stopped as a container is."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tailrace.settings import Settings
from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient


class Server:
    """A process of `tailrace.server`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def said(self) -> str:
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), 240)).decode()

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 120)


@pytest.fixture
def variables(settings: Settings) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "TAILRACE_DATABASE_URL": settings.database_url.get_secret_value(),
        "TAILRACE_REDIS_URL": settings.redis_url.get_secret_value(),
        "TAILRACE_SECRET_KEY": settings.secret_key.get_secret_value(),
        "TAILRACE_PROVIDERS": json.dumps([{"name": "scripted", "kind": "scripted"}]),
        "TAILRACE_DEFAULT_MODEL": "scripted/echo",
    }


@asynccontextmanager
async def started(variables: dict[str, str], *arguments: str) -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tailrace.server",
        *arguments,
        env=variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Server(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_serves_ingests_and_stops_when_told(
    variables: dict[str, str], web_root: Path, database: Database
) -> None:
    arguments = ("--page", str(web_root), "--host", "127.0.0.1", "--port", "0")
    async with started(variables, *arguments) as server:
        address = (await server.said()).split()[-1]
        async with httpx.AsyncClient(base_url=address, timeout=120) as http:
            assert (await http.get("/healthz")).json() == {"status": "ok"}
            assert "<title>Tailrace</title>" in (await http.get("/")).text
            async with ChatClient(http).chat("one two", guest=True) as stream:
                await stream.rest()
            assert stream.text == "one two"
            for _ in range(1200):
                if await database.value("SELECT count(*) FROM inference_log"):
                    break
                await asyncio.sleep(0.1)
            assert await database.value("SELECT count(*) FROM inference_log") == 1
        assert await server.stop() == 0


async def test_schedules_can_be_left_to_others(
    variables: dict[str, str], web_root: Path, database: Database
) -> None:
    arguments = ("--page", str(web_root), "--host", "127.0.0.1", "--port", "0")
    async with started(variables, *arguments, "--without-schedules") as server:
        address = (await server.said()).split()[-1]
        async with (
            httpx.AsyncClient(base_url=address, timeout=120) as http,
            ChatClient(http).chat("one two", guest=True) as stream,
        ):
            await stream.rest()
        assert await server.stop() == 0
    assert await database.value("SELECT count(*) FROM inference_log") == 0


@pytest.mark.parametrize(
    ("overrides", "arguments", "message"),
    [
        ({"TAILRACE_SECRET_KEY": "short"}, (), "TAILRACE_SECRET_KEY"),
        ({}, ("--page", "/nowhere"), "there is no page in /nowhere"),
        ({}, ("--port", "x"), "argument --port: invalid int value: 'x'"),
        ({}, ("--port", "99999"), "cannot listen on 127.0.0.1, port 99999"),
        ({}, ("--host", "192.0.2.1"), "cannot listen on 192.0.2.1"),
    ],
)
async def test_a_start_that_cannot_be_is_one_line(
    variables: dict[str, str],
    web_root: Path,
    overrides: dict[str, str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    usual = ("--page", str(web_root), "--host", "127.0.0.1", "--port", "0")
    async with started({**variables, **overrides}, *usual, *arguments) as server:
        _, errors = await asyncio.wait_for(server.process.communicate(), 240)
        assert server.process.returncode == 2
    [line] = errors.decode().splitlines()
    assert line.startswith(("tailrace: ", "python -m tailrace.server: "))
    assert message in line
