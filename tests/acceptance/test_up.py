"""``make up`` as a person meets it: the real process, its servers, its words and its exit codes."""

import asyncio
import os
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from tests.support.chat_client import ChatClient
from tests.support.stack import SCRIPTED, Stack, launch, refusal

# Seconds for what takes one or two seconds on an idle machine.
_PATIENCE = 120.0


@pytest.fixture(scope="module")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared") / "data"


@pytest.fixture(scope="module")
def shared(shared_data: Path) -> Iterator[Stack]:
    """A stack for the tests that leave it running."""
    stack = Stack(shared_data, SCRIPTED)
    yield stack
    stack.end()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Start stacks over one data folder of this test's own, one after the other."""
    started: list[Stack] = []

    def start(**settings: str) -> Stack:
        started.append(Stack(tmp_path / "data", settings or SCRIPTED))
        return started[-1]

    yield start
    for stack in started:
        stack.end()


class TestRunning:
    def test_says_where_it_is_what_answers_and_where_the_data_lies(
        self, shared: Stack, shared_data: Path
    ) -> None:
        assert shared.address.startswith("http://localhost:")
        assert "scripted/echo (TAILRACE_PROVIDERS)" in shared.output
        assert str(shared_data) in shared.output

    def test_serves_the_page_and_is_ready(self, shared: Stack) -> None:
        page = httpx.get(shared.address, timeout=_PATIENCE)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert httpx.get(f"{shared.address}/healthz", timeout=_PATIENCE).json() == {"status": "ok"}
        ready = httpx.get(f"{shared.address}/readyz", timeout=_PATIENCE)
        assert ready.json() == {"status": "ok", "checks": {"database": "ok", "queue": "ok"}}

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
    def test_answers_on_both_addresses_of_localhost(self, shared: Stack, host: str) -> None:
        if host == "::1" and not _has_ipv6():
            pytest.skip("no IPv6 here")
        port = int(shared.address.rpartition(":")[2])
        with socket.create_connection((host, port), timeout=5):
            pass

    async def test_streams_a_chat_whose_event_is_counted_within_seconds(
        self, shared: Stack
    ) -> None:
        async with httpx.AsyncClient(base_url=shared.address, timeout=_PATIENCE) as http:
            client = ChatClient(http)
            await client.register("counted@example.org")
            async with client.chat("one two three") as stream:
                assert stream.response.status_code == 200
                await stream.rest()
            assert stream.text == "one two three"
            assert stream.types[-1] == "[DONE]"
            deadline = time.monotonic() + _PATIENCE
            while not (calls := (await http.get("/api/metrics/calls")).json()["items"]):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
            assert {call["kind"] for call in calls} <= {"chat", "title"}

    async def test_puts_mails_into_a_folder_with_links_to_itself(
        self, shared: Stack, shared_data: Path
    ) -> None:
        outbox = shared_data / "outbox"
        async with httpx.AsyncClient(base_url=shared.address, timeout=_PATIENCE) as http:
            await ChatClient(http).register("forgetful@example.org")
            body = {"email": "forgetful@example.org"}
            assert (await http.post("/api/auth/password-reset", json=body)).status_code == 202
        deadline = time.monotonic() + _PATIENCE
        while not (mails := list(outbox.glob("*.eml"))):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        assert f"{shared.address}/reset-password#token=" in mails[0].read_text()
        assert stat.S_IMODE(outbox.stat().st_mode) == 0o700

    def test_keeps_its_secrets_to_its_user(self, shared: Stack, shared_data: Path) -> None:
        for secret in ("secret.key", "postgres/password"):
            mode = stat.S_IMODE((shared_data / secret).stat().st_mode)
            assert mode == 0o600, secret
        assert stat.S_IMODE(shared_data.stat().st_mode) == 0o700

    def test_a_second_one_on_the_same_folder_is_refused(
        self, shared: Stack, shared_data: Path
    ) -> None:
        code, output, errors = refusal(shared_data, SCRIPTED)
        assert (code, output) == (2, "")
        assert _one_line(errors).endswith(f"is running on {shared_data} already: {_holder(shared)}")
        assert httpx.get(f"{shared.address}/readyz", timeout=_PATIENCE).status_code == 200


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_stops_every_child(
        self, start: Callable[..., Stack], number: signal.Signals
    ) -> None:
        stack = start()
        assert {child.name() for child in stack.children} >= {"postgres", "valkey-server"}
        assert stack.stop(number) == 0
        assert stack.survivors() == []

    def test_stopped_while_it_starts_it_leaves_nothing_running(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        process = launch(data, SCRIPTED)
        while not (data / "postgres").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=_PATIENCE)
        assert (process.returncode, errors) == (0, "")
        assert _working_below(data) == []

    async def test_a_run_under_way_is_kept_as_interrupted(
        self, start: Callable[..., Stack]
    ) -> None:
        conversation_id = uuid4()
        stack = start()
        async with httpx.AsyncClient(base_url=stack.address, timeout=_PATIENCE) as http:
            client = ChatClient(http)
            await client.register()
            async with client.chat(
                conversation_id=conversation_id, model="scripted/story"
            ) as stream:
                await stream.until("text-delta")
                stack.send(signal.SIGINT)
                await stream.rest()
            assert "abort" in stream.types
        assert stack.wait() == 0
        message = (await _conversation(start(), conversation_id))["messages"][-1]
        assert message["status"] == "interrupted"
        assert message["parts"] == [{"type": "text", "text": stream.text}]

    async def test_the_next_start_finds_the_data(self, start: Callable[..., Stack]) -> None:
        conversation_id = uuid4()
        stack = start()
        await _chat(stack, conversation_id, "remember me")
        stack.stop()
        assert _texts(await _conversation(start(), conversation_id)) == ["remember me"] * 2


class TestCrash:
    async def test_a_killed_stack_leaves_nothing_running_and_loses_nothing(
        self, start: Callable[..., Stack]
    ) -> None:
        conversation_id = uuid4()
        stack = start()
        await _chat(stack, conversation_id, "remember me")
        stack.send(signal.SIGKILL)
        stack.wait()
        # At once: the children of the first are still on their way out.
        second = start()
        assert stack.survivors(_PATIENCE) == []
        assert _texts(await _conversation(second, conversation_id)) == ["remember me"] * 2

    async def test_everything_killed_at_once_is_recovered(
        self, start: Callable[..., Stack]
    ) -> None:
        conversation_id = uuid4()
        stack = start()
        await _chat(stack, conversation_id, "remember me")
        for process in (psutil.Process(stack.pid), *stack.children):
            # A server's own child may be gone with it.
            with suppress(psutil.NoSuchProcess):
                process.kill()
        stack.wait()
        assert _texts(await _conversation(start(), conversation_id)) == ["remember me"] * 2

    def test_orphans_are_ended_by_the_next_start(
        self, start: Callable[..., Stack], tmp_path: Path
    ) -> None:
        stack = start()
        postmaster = next(child for child in stack.children if child.name() == "postgres")
        # A stopped process cannot follow the kernel's signal, so it outlives its parent.
        postmaster.suspend()
        stack.send(signal.SIGKILL)
        stack.wait()
        postmaster.send_signal(signal.SIGCONT)
        second = start()
        assert httpx.get(f"{second.address}/readyz", timeout=_PATIENCE).status_code == 200
        assert stack.survivors(_PATIENCE) == []


class TestRefusal:
    """What cannot be is one line on standard error and exit code 2, with nothing left running."""

    def test_a_port_in_use(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            line = _refused(tmp_path / "data", SCRIPTED | {"TAILRACE_PORT": port})
        assert f"port {port} is in use" in line
        assert "TAILRACE_PORT" in line

    def test_a_data_folder_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "data").touch()
        line = _refused(tmp_path / "data", SCRIPTED)
        assert f"the data folder {tmp_path / 'data'} cannot be used" in line

    def test_a_data_folder_that_nobody_can_write(self) -> None:
        folder = Path("/proc/tailrace")
        assert f"the data folder {folder} cannot be used" in _refused(folder, SCRIPTED)

    @pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
    def test_a_read_only_data_folder(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        assert "Permission denied" in _refused(tmp_path / "data", SCRIPTED)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("TAILRACE_PORT", "http"),
            ("TAILRACE_PORT", "65536"),
            ("TAILRACE_PORT", "-1"),
            ("TAILRACE_GUEST_LIMIT", "many"),
            ("TAILRACE_PROVIDERS", "{"),
            ("TAILRACE_PROVIDERS", '[{"name": "a", "kind": "telepathy"}]'),
        ],
    )
    def test_a_broken_setting(self, tmp_path: Path, name: str, value: str) -> None:
        line = _refused(tmp_path / "data", SCRIPTED | {name: value})
        assert line.startswith(f"tailrace: {name}")
        assert not (tmp_path / "data" / "postgres").exists()

    def test_a_database_of_ones_own_that_does_not_answer(self, tmp_path: Path) -> None:
        settings = SCRIPTED | {
            "TAILRACE_DATABASE_URL": "postgresql://me:hidden@127.0.0.1:1/x",
            "TAILRACE_DATABASE_TIMEOUT": "1",
        }
        line = _refused(tmp_path / "data", settings)
        assert "the database cannot be used" in line
        assert "hidden" not in line

    def test_data_of_another_version_of_postgresql(self, tmp_path: Path) -> None:
        data = tmp_path / "data" / "postgres" / "data"
        data.mkdir(parents=True)
        (data / "PG_VERSION").write_text("17\n")
        assert "was made by PostgreSQL 17" in _refused(tmp_path / "data", SCRIPTED)


async def test_without_any_provider_a_local_model_answers(start: Callable[..., Stack]) -> None:
    # Port 1 is nobody's: an Ollama that runs here must not be found.
    stack = start(OLLAMA_HOST="127.0.0.1:1")
    assert "local/smollm2-135m-instruct (llama.cpp on this machine)" in stack.output
    async with (
        httpx.AsyncClient(base_url=stack.address, timeout=600) as http,
        ChatClient(http).chat("What is the capital of France?", guest=True) as stream,
    ):
        await stream.rest()
    assert stream.text.strip()
    assert "finish" in stream.types
    assert stack.stop() == 0
    assert stack.survivors() == []


def _refused(data: Path, settings: dict[str, str]) -> str:
    code, output, errors = refusal(data, settings)
    assert code == 2, errors
    assert output == ""
    assert _working_below(data) == []
    return _one_line(errors)


def _working_below(folder: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cwd"])
        if (process.info["cwd"] or "").startswith(str(folder))
    ]


def _one_line(text: str) -> str:
    assert text.endswith("\n")
    assert text.count("\n") == 1, text
    return text.rstrip("\n")


def _holder(stack: Stack) -> str:
    return f"process {stack.pid}, port 0"


async def _chat(stack: Stack, conversation_id: Any, text: str) -> None:
    async with httpx.AsyncClient(base_url=stack.address, timeout=_PATIENCE) as http:
        client = ChatClient(http)
        await client.register()
        async with client.chat(text, conversation_id=conversation_id) as stream:
            await stream.rest()


async def _conversation(stack: Stack, conversation_id: Any) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=stack.address, timeout=_PATIENCE) as http:
        body = {"email": "ada@example.org", "password": "correct horse battery"}
        assert (await http.post("/api/auth/login", json=body)).status_code == 200
        return await ChatClient(http).conversation(conversation_id)


def _texts(conversation: dict[str, Any]) -> list[str]:
    return [part["text"] for message in conversation["messages"] for part in message["parts"]]


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
