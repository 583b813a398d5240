"""What a chat does when a provider, Valkey or PostgreSQL fails."""

import asyncio
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from localstack.embedded.postgres import Postgres
from localstack.embedded.valkey import Valkey
from tailrace.maintenance import maintain
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry.ingest import ingest
from tests.integration.conftest import Database, site
from tests.support.chat_client import ChatClient
from tests.support.locks import hold_writers
from tests.support.model_server import Exchange, ModelServer, Script, begin_and_wait


async def _refuse(exchange: Exchange) -> None:
    await exchange.respond(503, b'{"error":{"message":"busy, key sk-abcdefghijklmnopqrstuvwx"}}')


async def _end_early(exchange: Exchange) -> None:
    await exchange.begin_stream()
    await exchange.send_text("Half an")


async def _send_garbage(exchange: Exchange) -> None:
    await exchange.begin_stream()
    await exchange.send_text("Half an")
    await exchange.send(b"data: {]\n\n")


async def _stay_silent(exchange: Exchange) -> None:
    await exchange.client_closed.wait()


class TestSilenceAfterTheEnd:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        quick = settings.providers[0].model_copy(update={"chunk_timeout": 0.2})
        return settings.model_copy(update={"providers": (quick,)})

    async def test_does_not_break_the_answer(
        self, user: ChatClient, model_server: ModelServer
    ) -> None:
        async def script(exchange: Exchange) -> None:
            await exchange.begin_stream()
            # At once: between the two there is to be no silence.
            said = {"delta": {"content": "All of it."}}
            end = {"delta": {}, "finish_reason": "stop"}
            await exchange.send_chunk({"choices": [said]}, {"choices": [end]})
            await exchange.client_closed.wait()

        model_server.script = script
        conversation_id = uuid4()

        async with user.chat("Hi", conversation_id=conversation_id) as stream:
            await stream.rest()

        assert stream.types[-2:] == ["finish", "[DONE]"]
        message = (await user.conversation(conversation_id))["messages"][-1]
        assert message["status"] == "complete"
        assert message["metadata"]["usage"]["usage_estimated"] is True


@pytest.mark.parametrize(
    ("script", "error_type", "kept"),
    [
        (_refuse, "overloaded", []),
        (_end_early, "incomplete", [{"type": "text", "text": "Half an"}]),
        (_send_garbage, "protocol", [{"type": "text", "text": "Half an"}]),
        (_stay_silent, "timeout", []),
    ],
)
class TestProviderFailure:
    @pytest.fixture
    def settings(self, settings: Settings, script: Script) -> Settings:
        if script is not _stay_silent:
            return settings
        quick = settings.providers[0].model_copy(update={"first_chunk_timeout": 0.2})
        return settings.model_copy(update={"providers": (quick,)})

    async def test_is_told_kept_and_recorded_once(
        self,
        user: ChatClient,
        model_server: ModelServer,
        database: Database,
        services: Services,
        script: Script,
        error_type: str,
        kept: list[dict[str, str]],
    ) -> None:
        async def chat_only(exchange: Exchange) -> None:
            # The title call of a half-told answer is not what this is about.
            await (script if exchange.body["max_tokens"] > 100 else _refuse)(exchange)

        model_server.script = chat_only
        conversation_id = uuid4()

        async with user.chat("Hi", conversation_id=conversation_id) as stream:
            frames = await stream.rest()

        assert stream.response.status_code == 200
        error = frames[-2].part
        assert (error["type"], error["errorType"]) == ("error", error_type)
        assert error["errorText"].endswith(".")
        message = (await user.conversation(conversation_id))["messages"][-1]
        assert (message["status"], message["parts"]) == ("error", kept)
        assert message["metadata"]["error"] == {"type": error_type, "message": error["errorText"]}

        await ingest(services)
        events = await database.rows(
            "SELECT * FROM inference_log WHERE kind = 'chat' AND conversation_id = %s",
            conversation_id,
        )
        assert [(e["status"], e["error_type"]) for e in events] == [
            ("timeout" if error_type == "timeout" else "error", error_type)
        ]
        assert "sk-abc" not in str(events) + str(frames) + str(message)


async def test_a_provider_that_is_down_is_a_connection_error(
    user: ChatClient, model_server: ModelServer
) -> None:
    await model_server.stop()

    async with user.chat("Hi") as stream:
        frames = await stream.rest()

    assert frames[-2].part["errorType"] == "connection"


async def test_without_valkey_a_chat_works_and_its_event_takes_the_outbox(
    settings: Settings,
    database: Database,
    private_valkey: Valkey,
    web_root: Path,
    model_server: ModelServer,
) -> None:
    settings = settings.model_copy(update={"redis_url": SecretStr(private_valkey.url)})
    private_valkey.stop()
    async with site(settings, web_root) as http:
        user = ChatClient(http)
        await user.register()
        conversation_id = uuid4()
        async with user.chat("Hi", conversation_id=conversation_id) as stream:
            await stream.rest()
        assert stream.text == "Hello there"
        assert stream.types[-1] == "[DONE]"
        async with user.follow(conversation_id) as followed:
            assert followed.response.status_code == 204
        guest = ChatClient(httpx.AsyncClient(base_url=http.base_url))
        async with guest.http, guest.chat(guest=True) as refused:
            assert refused.response.status_code == 503
        assert (await http.get("/readyz")).json()["checks"]["queue"] == "down"

    assert await database.value("SELECT count(*) FROM telemetry_outbox") == 2, "chat and title"
    assert await database.value("SELECT count(*) FROM runs WHERE closed_at IS NULL") == 0
    private_valkey.start()
    services = Services(settings)
    await services.open()
    await ingest(services)
    await services.close()
    kinds = await database.rows("SELECT kind, status FROM inference_log ORDER BY kind")
    assert kinds == [{"kind": "chat", "status": "ok"}, {"kind": "title", "status": "ok"}]
    assert await database.value("SELECT count(*) FROM telemetry_outbox") == 0


async def test_without_valkey_a_run_can_still_be_stopped(
    settings: Settings, private_valkey: Valkey, web_root: Path, model_server: ModelServer
) -> None:
    model_server.script = begin_and_wait("Partial")
    settings = settings.model_copy(update={"redis_url": SecretStr(private_valkey.url)})
    async with site(settings, web_root) as http:
        user = ChatClient(http)
        await user.register()
        conversation_id = uuid4()
        async with user.chat("Hi", conversation_id=conversation_id) as stream:
            await stream.until("text-delta")
            private_valkey.stop()
            assert (await user.stop(conversation_id)).status_code == 202
            await asyncio.wait_for(model_server.exchanges[0].client_closed.wait(), 60)
            await stream.rest()
        message = (await user.conversation(conversation_id))["messages"][-1]
    assert (message["status"], message["parts"][0]["text"]) == ("cancelled", "Partial")


async def test_valkey_coming_back_in_mid_answer_leaves_a_whole_journal(
    settings: Settings, private_valkey: Valkey, web_root: Path, model_server: ModelServer
) -> None:
    told_more = asyncio.Event()
    released = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.begin_stream()
        await exchange.send_text("one ")
        await told_more.wait()
        await exchange.send_text("two ")
        await released.wait()
        await exchange.send_text("three")
        await exchange.finish()

    model_server.script = script
    settings = settings.model_copy(update={"redis_url": SecretStr(private_valkey.url)})
    private_valkey.stop()
    async with site(settings, web_root) as http:
        user = ChatClient(http)
        await user.register()
        conversation_id = uuid4()
        async with user.chat("Hi", conversation_id=conversation_id) as stream:
            await stream.until("text-delta")
            told_more.set()
            await stream.until("text-delta")
            private_valkey.start()
            async with user.follow(conversation_id) as late:
                assert late.response.status_code == 200
                await late.until("text-delta")
                released.set()
                await late.rest()
            await stream.rest()
    assert late.text == stream.text == "one two three"


async def test_without_postgresql_nothing_starts_and_it_recovers_alone(
    settings: Settings,
    private_postgres: Postgres,
    private_database_url: str,
    web_root: Path,
    model_server: ModelServer,
) -> None:
    update = {"database_url": SecretStr(private_database_url), "database_timeout": 3.0}
    async with site(settings.model_copy(update=update), web_root) as http:
        user = ChatClient(http)
        await user.register()
        private_postgres.stop()

        async with user.chat("Hi") as refused:
            assert refused.response.status_code == 503
            assert refused.response.headers["content-type"] == "application/problem+json"
        assert model_server.exchanges == []
        assert (await http.get("/readyz")).json()["checks"]["database"] == "down"
        assert (await http.get("/healthz")).status_code == 200

        private_postgres.start()
        async with asyncio.timeout(60):
            while (await http.get("/readyz")).json()["checks"]["database"] == "down":
                pass
        async with user.chat("Hi") as stream:
            await stream.rest()
        assert stream.text == "Hello there"
    database = Database(private_database_url)
    assert await database.value("SELECT count(*) FROM conversations") == 1
    assert await database.value("SELECT count(*) FROM messages") == 2


async def test_a_restarted_postgresql_is_not_noticed(
    settings: Settings, private_postgres: Postgres, private_database_url: str, web_root: Path
) -> None:
    settings = settings.model_copy(update={"database_url": SecretStr(private_database_url)})
    async with site(settings, web_root) as http:
        user = ChatClient(http)
        await user.register()
        private_postgres.stop()
        private_postgres.start()

        async with user.chat("Hi") as stream:
            await stream.rest()

        assert stream.response.status_code == 200
        assert stream.text == "Hello there"


async def test_a_process_that_stops_keeps_the_partial_as_interrupted(
    settings: Settings, web_root: Path, model_server: ModelServer, database: Database
) -> None:
    model_server.script = begin_and_wait("Partial")
    async with site(settings, web_root) as http:
        user = ChatClient(http)
        await user.register()
        async with user.chat("Hi") as stream:
            await stream.until("text-delta")

    rows = await database.rows("SELECT status, parts FROM messages WHERE role = 'assistant'")
    assert rows == [{"status": "interrupted", "parts": [{"type": "text", "text": "Partial"}]}]
    assert await database.value("SELECT count(*) FROM runs WHERE closed_at IS NULL") == 0


async def test_a_wiped_queue_loses_no_event(
    user: ChatClient, services: Services, settings: Settings, database: Database
) -> None:
    async with user.chat("Hi") as stream:
        await stream.rest()
    run_id = stream.response.headers["x-tailrace-run-id"]
    await services.redis.flushall()
    assert (await ingest(services)).received == 0

    impatient = Services(settings.model_copy(update={"event_lost_after": 0.001}))
    await impatient.open()
    maintained = await maintain(impatient)
    ingested = await ingest(impatient)
    await impatient.close()

    assert maintained.lost == ingested.outbox == ingested.inserted == 2, "chat and title"
    event = (await database.rows("SELECT * FROM inference_log WHERE id = %s", run_id))[0]
    assert (event["status"], event["output_tokens"]) == ("ok", 2)


async def test_an_event_that_arrived_is_not_sent_again(
    user: ChatClient, services: Services, database: Database
) -> None:
    async with user.chat("Hi") as stream:
        await stream.rest()
    assert await database.value("SELECT count(event) FROM runs") == 2

    await ingest(services)

    assert await database.value("SELECT count(*) FROM runs") == 0
    assert await database.value("SELECT count(*) FROM inference_log") == 2


async def test_a_chat_that_meets_the_deletion_of_its_account_is_told_so(
    user: ChatClient, services: Services
) -> None:
    me = (await user.http.get("/api/auth/me")).json()["id"]

    async def chat() -> httpx.Response:
        async with user.chat("Hi") as stream:
            await stream.rest()
        return stream.response

    async with hold_writers(services, "users", "EXCLUSIVE") as held:
        asked = asyncio.create_task(chat())
        await held.wait_for_waiters()
        await held.connection.execute("DELETE FROM users WHERE id = %s", [me])
        await held.release()
        response = await asked

    assert response.status_code == 401
    assert response.json()["detail"] == "This account is gone."
