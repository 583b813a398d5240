"""A function between two requests: frozen, for as long as Lambda likes, and thawed."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psutil
import pytest

from localstack.embedded.postgres import Postgres
from localstack.embedded.valkey import Valkey
from tests.acceptance.aws.conftest import Deploy
from tests.support.chat_client import ChatClient


@pytest.fixture
def environment(
    environment: dict[str, str], private_database_url: str, private_valkey: Valkey
) -> dict[str, str]:
    """Servers that this test may restart."""
    return {
        **environment,
        "TAILRACE_DATABASE_URL": private_database_url,
        "TAILRACE_REDIS_URL": private_valkey.url,
        # Long, so that waiting for a dead connection instead of replacing it would show.
        "TAILRACE_DATABASE_TIMEOUT": "60",
        "TAILRACE_REDIS_TIMEOUT": "10",
    }


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Stop processes where they are, as Lambda does between two requests."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def test_what_was_connected_when_it_froze_is_replaced_as_it_thaws(
    deploy: Deploy, private_postgres: Postgres, private_valkey: Valkey
) -> None:
    async with deploy("ApiFunction") as api, deploy("ChatFunction") as chat:
        person = ChatClient(api.http)
        await person.register()
        chat.http.cookies.update(api.http.cookies)
        talking = ChatClient(chat.http)
        conversation_id = uuid4()
        await talking.say(conversation_id, "one", model="scripted/echo")
        pids = [api.process.process.pid, chat.process.process.pid]
        before = [connections(pid, private_postgres, private_valkey) for pid in pids]
        assert all(before)

        with frozen(*pids):
            # Both ends of every connection are gone; nobody in the functions has seen it.
            private_postgres.stop()
            private_valkey.stop()
            private_postgres.start()
            private_valkey.start()

        # One try each, with nothing in between: what is stale is replaced before it is used.
        told = await api.http.get("/api/auth/me")
        assert told.status_code == 200
        assert told.elapsed.total_seconds() < 10
        async with talking.chat(
            "two", conversation_id=conversation_id, model="scripted/echo"
        ) as stream:
            assert stream.response.status_code == 200
            await stream.rest()
        assert stream.response.elapsed.total_seconds() < 10
        assert stream.text == "two"
        kept = await person.conversation(conversation_id)
        assert [each["status"] for each in kept["messages"]] == ["complete"] * 4
        for pid, old in zip(pids, before, strict=True):
            assert not connections(pid, private_postgres, private_valkey) & old
        # The journal worked as well: nothing was said of an answer without one.
        assert "has no journal" not in chat.process.log.read_text()


async def test_a_run_s_event_is_queued_before_its_function_freezes(
    deploy: Deploy, private_valkey: Valkey
) -> None:
    async with deploy("ChatFunction") as chat, deploy("IngestFunction") as ingest:
        async with ChatClient(chat.http).chat("one", guest=True, model="scripted/echo") as stream:
            await stream.rest()
        with frozen(chat.process.process.pid):
            report = await ingest.api.invoke({}).result()
        assert report["inserted"] == 1


def connections(pid: int, postgres: Postgres, valkey: Valkey) -> set[tuple[str, int]]:
    """Return this process's own ends of its connections to either server."""
    ports = {int(valkey.url.rpartition(":")[2].partition("/")[0])}
    ports.add(int(postgres.url("x").rpartition("@")[2].partition(":")[2].partition("/")[0]))
    return {
        tuple(each.laddr)
        for each in psutil.Process(pid).net_connections("tcp")
        if each.raddr and each.raddr.port in ports and each.status == psutil.CONN_ESTABLISHED
    }
