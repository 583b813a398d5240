"""Every reader sees a run to its end, wherever it runs; a stop is for one run and counts once."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import httpx
import pytest

from tailrace.maintenance import maintain
from tailrace.runs.journal import alive_key
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry.ingest import ingest
from tests.integration.conftest import Database
from tests.support.chat_client import ChatClient
from tests.support.model_server import Exchange, ModelServer, answer, begin_and_wait

_PASSWORD = {"email": "ada@example.org", "password": "correct horse battery"}


def _by_prompt(scripts: dict[str, Callable]) -> Callable:
    """Answer a chat by its last message; titles as they come."""

    async def script(exchange: Exchange) -> None:
        prompt = exchange.body["messages"][-1]["content"]
        await scripts.get(prompt, answer("A title"))(exchange)

    return script


@asynccontextmanager
async def _another_device(http: httpx.AsyncClient) -> AsyncIterator[ChatClient]:
    async with httpx.AsyncClient(base_url=http.base_url, timeout=120) as own:
        response = await own.post("/api/auth/login", json=_PASSWORD)
        assert response.status_code == 200, response.text
        yield ChatClient(own)


async def test_every_tab_and_device_sees_the_same_run_to_its_end(
    user: ChatClient, model_server: ModelServer
) -> None:
    pieces: asyncio.Queue[str | None] = asyncio.Queue()

    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        while (piece := await pieces.get()) is not None:
            await exchange.send_text(piece)
        await exchange.finish()

    model_server.script = _by_prompt({"Hi": script})
    id = uuid4()
    async with _another_device(user.http) as device, user.chat("Hi", conversation_id=id) as first:
        pieces.put_nowait("a")
        seen = await first.until("text-delta")
        async with user.follow(id) as tab, device.follow(id) as phone:
            await asyncio.gather(tab.until("text-delta"), phone.until("text-delta"))
            listed = (await device.http.get("/api/conversations")).json()["items"]
            assert listed[0]["active_run_id"] == first.response.headers["x-tailrace-run-id"]
            pieces.put_nowait("b")
            await asyncio.gather(*(s.until("text-delta") for s in (first, tab, phone)))
            # The phone goes through a tunnel, and is back before the end.
            lost = phone.frames[-1].id
        pieces.put_nowait("c")
        async with device.follow(id, last_event_id=lost) as phone_again:
            await phone_again.until("text-delta")
            async with user.follow(id) as tab_again:
                pieces.put_nowait(None)
                await asyncio.gather(*(s.rest() for s in (first, tab_again, phone_again)))

    assert seen.part["delta"] == "a"
    assert first.text == tab_again.text == "abc"
    assert phone.text + phone_again.text == "abc"
    assert [f.part for f in tab_again.frames] == [f.part for f in first.frames]
    for stream in (first, tab_again, phone_again):
        assert stream.types[-2:] == ["finish", "[DONE]"]


async def test_two_stops_are_one(
    user: ChatClient, model_server: ModelServer, services: Services, database: Database
) -> None:
    model_server.script = begin_and_wait("Partial")
    id = uuid4()
    async with _another_device(user.http) as device, user.chat("Hi", conversation_id=id) as stream:
        await stream.until("text-delta")
        async with device.follow(id) as phone:
            await phone.until("text-delta")
            stops = [user.stop(id), device.stop(id), user.stop(id), device.stop(id)]
            responses = await asyncio.gather(*stops)
            await asyncio.gather(stream.rest(), phone.rest())

    assert {response.status_code for response in responses} <= {202, 204}
    assert 202 in {response.status_code for response in responses}
    assert stream.types[-2:] == phone.types[-2:] == ["abort", "[DONE]"]
    (_, message) = (await user.conversation(id))["messages"]
    assert (message["status"], message["parts"][0]["text"]) == ("cancelled", "Partial")
    await ingest(services)
    events = await database.rows("SELECT status FROM inference_log WHERE kind = 'chat'")
    assert [row["status"] for row in events] == ["cancelled"]
    # One that comes late is for nobody.
    assert (await user.stop(id)).status_code == 204


async def test_a_stop_for_a_finished_run_changes_nothing_newer(
    user: ChatClient, model_server: ModelServer
) -> None:
    released = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await exchange.begin_stream()
        await exchange.send_text("Going")
        await released.wait()
        await exchange.send_text(" on")
        await exchange.finish()

    model_server.script = _by_prompt({"One": answer("Done"), "Two": slow})
    id = uuid4()
    finished = await user.say(id, "One")
    async with user.chat("Two", conversation_id=id) as stream:
        await stream.until("text-delta")

        late = await user.stop(id, run_id=finished)
        # Nor does one that names no run of this conversation.
        other = await user.stop(id, run_id=str(uuid4()))
        released.set()
        await stream.rest()

    assert (late.status_code, other.status_code) == (204, 204)
    assert stream.types[-2:] == ["finish", "[DONE]"]
    messages = (await user.conversation(id))["messages"]
    assert [m["status"] for m in messages] == ["complete"] * 4
    assert messages[3]["parts"][0]["text"] == "Going on"


async def test_of_two_branches_under_way_each_is_followed_and_stopped_by_itself(
    user: ChatClient, model_server: ModelServer
) -> None:
    released = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await exchange.begin_stream()
        await exchange.send_text("left")
        await released.wait()
        await exchange.finish()

    model_server.script = _by_prompt({"Left": slow, "Right": begin_and_wait("right")})
    id = uuid4()
    async with (
        user.chat("Left", conversation_id=id, parent_id=None) as left,
        user.chat("Right", conversation_id=id, parent_id=None) as right,
    ):
        await asyncio.gather(left.until("text-delta"), right.until("text-delta"))
        runs = [stream.response.headers["x-tailrace-run-id"] for stream in (left, right)]
        async with (
            user.follow(id, run_id=runs[0]) as left_again,
            user.follow(id, run_id=runs[1]) as right_again,
        ):
            assert (await user.stop(id, run_id=runs[1])).status_code == 202
            await asyncio.gather(right.rest(), right_again.rest())
            released.set()
            await asyncio.gather(left.rest(), left_again.rest())

    assert (left_again.text, left_again.types[-2]) == ("left", "finish")
    assert (right_again.text, right_again.types[-2]) == ("right", "abort")


class TestDeath:
    """A process that runs an answer is killed; another one is still there."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"run_dead_after": 2.0})

    async def test_what_came_is_kept_and_counted_and_the_chat_goes_on(
        self,
        settings: Settings,
        user: ChatClient,
        model_server: ModelServer,
        services: Services,
        database: Database,
    ) -> None:
        model_server.script = begin_and_wait("Half an answer")
        id = uuid4()
        async with _another_process(settings) as (process, http):
            http.cookies = user.http.cookies
            async with ChatClient(http).chat("Hi", conversation_id=id) as stream:
                assert stream.response.status_code == 200, stream.response.text
                run_id = stream.response.headers["x-tailrace-run-id"]
                # A reader of this process has it through the journal.
                async with user.follow(id) as follower:
                    await follower.until("text-delta")
                    process.kill()
                    await follower.rest()
                with pytest.raises(httpx.RemoteProtocolError):
                    await stream.rest()
        assert follower.text == "Half an answer"
        assert "[DONE]" not in follower.types

        # The last sign of life fades.
        await asyncio.sleep(await services.redis.pttl(alive_key(UUID(run_id))) / 1000 + 0.1)
        assert (await maintain(services)).runs == 1

        message = (await user.conversation(id))["messages"][-1]
        assert (message["id"], message["status"]) == (run_id, "interrupted")
        assert message["parts"] == [{"type": "text", "text": "Half an answer"}]
        await ingest(services)
        events = await database.rows("SELECT id, status FROM inference_log WHERE kind = 'chat'")
        assert events == [{"id": UUID(run_id), "status": "interrupted"}]
        assert (await user.stop(id, run_id=run_id)).status_code == 204
        model_server.script = answer("Whole")
        again = await user.regenerate(id, run_id)
        message = (await user.conversation(id))["messages"][-1]
        assert (message["id"], message["siblings"]) == (again, [run_id, again])


_SERVE = """
import sys, uvicorn
from pathlib import Path
from tailrace.http.site import create_app
from tailrace.services import Services
from tailrace.settings import Settings
app = create_app(Services(Settings.load()), Path("."))
uvicorn.run(app, fd=int(sys.argv[1]), log_level="error")
"""


@asynccontextmanager
async def _another_process(
    settings: Settings,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        environment = {
            "TAILRACE_DATABASE_URL": settings.database_url.get_secret_value(),
            "TAILRACE_REDIS_URL": settings.redis_url.get_secret_value(),
            "TAILRACE_SECRET_KEY": settings.secret_key.get_secret_value(),
            "TAILRACE_PROVIDERS": f"[{settings.providers[0].model_dump_json(exclude_none=True)}]",
            "TAILRACE_DEFAULT_MODEL": settings.default_model or "",
            "TAILRACE_RUN_DEAD_AFTER": str(settings.run_dead_after),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _SERVE, str(listener.fileno())),
            env=environment,
            pass_fds=[listener.fileno()],
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120) as http:
            yield process, http
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
