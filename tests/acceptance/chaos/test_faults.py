"""One fault at a time, at every point where it may strike; `make test` tries some of them."""

import random
from collections.abc import AsyncIterator
from typing import Literal

import httpx
import pytest
from pydantic import SecretStr

from tailrace.settings import ModelSettings, ProviderSettings
from tests.acceptance.chaos.actors import CAPTURE_STEPS, INGESTION_STEPS, Failpoint, opened
from tests.acceptance.chaos.calls import make_calls, make_foreign, make_lethal, make_poison
from tests.acceptance.chaos.conftest import EVERYTHING, MakeWorld, tried
from tests.acceptance.chaos.counts import rows
from tests.acceptance.chaos.world import World
from tests.support.chat_client import ChatClient
from tests.support.model_server import Exchange, ModelServer, begin_and_wait
from tests.support.sqs import Sqs

everything = pytest.mark.skipif(not EVERYTHING, reason="one of those that `make chaos` tries")

# Calls of a test: several batches.
_CALLS = 25
_BATCH = 10

# After so many deliveries an event is a dead letter, where that is what is tried.
_MAX_DELIVERIES = 4


@pytest.fixture
def rng() -> random.Random:
    return random.Random(1)


@pytest.fixture
async def world(make_world: MakeWorld) -> AsyncIterator[World]:
    async with make_world(ingest_batch_size=_BATCH) as made:
        yield made


async def _call(world: World, rng: random.Random, number: int = _CALLS) -> None:
    await world.reach(world.caller(make_calls(rng, number, world.owners)))


async def _settled(world: World) -> dict[str, int]:
    await world.settle()
    return await world.verify()


class TestIngestionKilled:
    @pytest.mark.parametrize(
        "step", tried(*INGESTION_STEPS, here=("before commit", "before acknowledge"))
    )
    async def test_at_every_step_and_another_one_takes_over(
        self, world: World, rng: random.Random, step: str
    ) -> None:
        await _call(world, rng)
        killed = world.ingester(Failpoint(step, nth=2))
        await world.reach(killed)
        assert killed.was_killed

        counts = await _settled(world)

        assert (counts["rows"], counts["dead"], counts["kills"]) == (_CALLS, 0, 1)

    @pytest.mark.parametrize(
        "step",
        tried("before COPY", "after COPY", "before commit", "after commit", here=("after COPY",)),
    )
    async def test_while_it_drains_the_outbox(
        self, world: World, rng: random.Random, step: str
    ) -> None:
        world.kill_valkey()
        await _call(world, rng)
        killed = world.ingester(Failpoint(step, nth=2))
        await world.reach(killed)
        assert killed.was_killed

        assert (await _settled(world))["rows"] == _CALLS

    @pytest.mark.parametrize("step", tried("after receive", "before commit", "after commit"))
    async def test_frozen_and_thawed_when_another_has_its_messages(
        self, world: World, rng: random.Random, step: str
    ) -> None:
        await _call(world, rng)
        frozen = world.ingester(Failpoint(step, how="freeze"))
        await world.reach(frozen)
        assert frozen.is_frozen
        # It may have to wait for the frozen one's transaction, as may whoever waits for it.
        other = world.ingester(hold=0.0)
        if step != "before commit":
            await other.end()
            assert other.did_its_work

        counts = await _settled(world)

        assert (counts["rows"], counts["kills"]) == (_CALLS, 0)


@pytest.mark.parametrize("step", tried(*CAPTURE_STEPS, here=("after publish",)))
async def test_whoever_calls_a_model_is_killed(world: World, rng: random.Random, step: str) -> None:
    caller = world.caller(make_calls(rng, _CALLS, world.owners), Failpoint(step, nth=7))
    await world.reach(caller)
    assert caller.was_killed

    counts = await _settled(world)

    assert counts["rows"] + counts["under way"] == 7


class TestValkey:
    @pytest.mark.parametrize("step", tried("after receive", "before commit", "before acknowledge"))
    async def test_killed_with_its_data(self, world: World, rng: random.Random, step: str) -> None:
        await world.send([make_foreign(rng, world.owners) for _ in range(10)])
        await _call(world, rng)
        await world.reach(world.ingester(Failpoint(step, how="freeze")))
        world.kill_valkey()
        await _call(world, rng)
        world.start_valkey()

        counts = await _settled(world)

        # What others sent, and what could not be handed over, is there as well.
        assert counts["rows"] + counts["dead"] + counts["parked"] == 2 * _CALLS + 10
        assert counts["wiped"] == 0

    @pytest.mark.parametrize("step", tried("after receive", "before commit", "before acknowledge"))
    async def test_wiped(self, world: World, rng: random.Random, step: str) -> None:
        before, after = ([make_foreign(rng, world.owners) for _ in range(10)] for _ in range(2))
        await world.send(before)
        await _call(world, rng)
        await world.reach(world.ingester(Failpoint(step, how="freeze")))
        world.kill_valkey(wiped=True)
        await _call(world, rng)
        await world.send(after)

        counts = await _settled(world)

        # Of our own, none; of what others put there, at most what nobody had read.
        there = counts["rows"] + counts["dead"] + counts["parked"]
        assert there + counts["wiped"] == 2 * _CALLS + 20
        assert counts["wiped"] <= 10

    @pytest.mark.parametrize("what", tried("delete_group", "delete_stream"))
    async def test_stream_or_group_deleted(
        self, world: World, rng: random.Random, what: str
    ) -> None:
        await _call(world, rng)
        await world.reach(world.ingester(Failpoint("after receive", how="freeze")))
        getattr(world, what)()
        await _call(world, rng)

        assert (await _settled(world))["rows"] == 2 * _CALLS


class TestPostgres:
    @pytest.mark.parametrize("step", tried("before commit", "in COPY", "after commit"))
    async def test_killed_under_an_ingestion(
        self, world: World, rng: random.Random, step: str
    ) -> None:
        await _call(world, rng)
        ingester = world.ingester(Failpoint(step, nth=2, how="freeze"))
        await world.reach(ingester)
        world.kill_postgres()
        world.start_postgres()
        await _call(world, rng)

        assert (await _settled(world))["rows"] == 2 * _CALLS

    @everything
    async def test_killed_under_whoever_calls_a_model(
        self, world: World, rng: random.Random
    ) -> None:
        caller = world.caller(
            make_calls(rng, _CALLS, world.owners), Failpoint("after publish", 5, "freeze")
        )
        await world.reach(caller)
        world.kill_postgres()
        # It publishes what it has begun, cannot close it, and begins nothing else.
        caller.thaw()
        ingester = world.ingester()
        await ingester.end()
        assert not ingester.did_its_work
        world.start_postgres()

        counts = await _settled(world)

        assert counts["rows"] >= 5 - counts["under way"]

    @everything
    async def test_connections_cut(self, world: World, rng: random.Random) -> None:
        await _call(world, rng)
        await world.reach(world.ingester(Failpoint("before commit", nth=2, how="freeze")))
        world.cut_connections()

        assert (await _settled(world))["rows"] == _CALLS


@pytest.mark.parametrize("number", tried(4, 2, 3))
async def test_several_ingesters_at_once(world: World, rng: random.Random, number: int) -> None:
    calls = make_calls(rng, 200, world.owners)
    callers = [world.caller(calls[start::2]) for start in range(2)]
    # Each takes what the others hold, and one is killed.
    for each in range(number):
        world.ingester(Failpoint("after commit", nth=3) if each == 0 else None, hold=0.0)
    for caller in callers:
        await caller.end()
    await world.join()

    assert (await _settled(world))["rows"] == 200


class TestPoison:
    async def test_what_can_be_no_row_is_a_dead_letter_and_nothing_else_is(
        self, world: World, rng: random.Random
    ) -> None:
        poison = [make_poison(rng, world.owners) for _ in range(12)]
        foreign = [make_foreign(rng, world.owners) for _ in range(20)]
        world.caller(make_calls(rng, _CALLS, world.owners), poison=poison)
        await world.send(foreign)
        await world.join()
        killed = world.ingester(Failpoint("before acknowledge"))
        await world.reach(killed)

        counts = await _settled(world)

        dead = sum(each.lands == "dead" for each in foreign)
        parked = sum(each.lands == "parked" for each in foreign)
        assert (counts["dead"], counts["parked"]) == (len(poison) + dead, parked)
        assert counts["rows"] == _CALLS + len(foreign) - dead - parked

    async def test_by_queue_and_outbox_it_is_one_dead_letter(
        self, world: World, rng: random.Random
    ) -> None:
        foreign = [make_foreign(rng, world.owners) for _ in range(20)]
        await world.send(foreign, by="both")
        for _ in range(2):
            world.ingester()
        await world.join()

        counts = await _settled(world)

        assert counts["rows"] + counts["dead"] + counts["parked"] == len(foreign)
        dead = sum(each.lands == "dead" for each in foreign)
        assert counts["dead"] == dead > 0
        async with opened(world.settings) as services:
            letters = await rows(services, "SELECT attempts FROM inference_dead_letters")
        assert {letter["attempts"] for letter in letters} == {2}


class TestLethal:
    """What ends whoever tries it is tried so many times, in the end alone, and buried."""

    @pytest.fixture
    async def world(self, make_world: MakeWorld) -> AsyncIterator[World]:
        async with make_world(queue_max_deliveries=_MAX_DELIVERIES) as made:
            yield made

    async def _ingest(self, world: World, waiting: str) -> None:
        """Ingest until queue and a table are empty."""
        async with opened(world.settings) as services:
            while await services.queue.depth() or await rows(services, waiting):
                ingester = world.ingester(hold=0.2)
                await ingester.end()
                assert ingester.was_killed or ingester.did_its_work

    async def _assert_buried(self, world: World, kills: int) -> None:
        async with opened(world.settings) as services:
            letters = await rows(services, "SELECT * FROM inference_dead_letters")
            logged = await rows(services, "SELECT id FROM inference_log")
        assert sum(actor.was_killed for actor in world.actors) == kills
        assert [letter["reason"] for letter in letters] == [
            "was handed to ingestion again and again, and never acknowledged"
        ]
        assert letters[0]["replay_requested_at"] is None
        assert len(logged) == 10

    @pytest.mark.parametrize("by", ["queue", "outbox", "both"])
    async def test_it_takes_nothing_with_it(
        self, world: World, rng: random.Random, by: Literal["queue", "outbox", "both"]
    ) -> None:
        if by == "outbox":
            world.kill_valkey()
        await _call(world, rng, 3)
        await world.send([make_lethal()], by=by)
        await _call(world, rng, 7)
        world.start_valkey()

        await self._ingest(world, "SELECT FROM telemetry_outbox")

        # Twice in company, then alone.
        await self._assert_buried(world, _MAX_DELIVERIES * (2 if by == "both" else 1))
        await _settled(world)

    async def test_replayed_it_is_buried_again(self, world: World, rng: random.Random) -> None:
        await world.send([make_lethal()])
        await self._ingest(world, "SELECT FROM telemetry_outbox")
        await world.replay()
        await _call(world, rng, 10)

        await self._ingest(
            world, "SELECT FROM inference_dead_letters WHERE replay_requested_at IS NOT NULL"
        )

        await self._assert_buried(world, 2 * _MAX_DELIVERIES)
        await _settled(world)

    async def test_in_the_outbox_all_else_lands_first(
        self, world: World, rng: random.Random
    ) -> None:
        await world.send([make_lethal()], by="outbox")
        for _ in range(2):
            await world.ingester().end()
        await _call(world, rng, 10)
        killed = world.ingester()
        await killed.end()

        assert killed.was_killed
        async with opened(world.settings) as services:
            assert len(await rows(services, "SELECT FROM inference_log")) == 10
            assert await services.queue.depth() == 0
        await _settled(world)


class TestExhausted:
    """What has landed is no dead letter, however often nobody heard that it had."""

    @pytest.fixture
    async def world(self, make_world: MakeWorld) -> AsyncIterator[World]:
        async with make_world(queue_max_deliveries=_MAX_DELIVERIES) as made:
            yield made

    async def test_committed_and_never_acknowledged(self, world: World, rng: random.Random) -> None:
        await _call(world, rng, 1)
        for _ in range(_MAX_DELIVERIES):
            killed = world.ingester(Failpoint("before acknowledge"), hold=0.0)
            await world.reach(killed)
            assert killed.was_killed
        await world.ingester(hold=0.0).end()

        async with opened(world.settings) as services:
            assert await services.queue.depth() == 0
            assert await rows(services, "SELECT reason FROM inference_dead_letters") == []
        assert (await _settled(world))["rows"] == 1

    async def test_committed_only_after_it_was_buried(
        self, world: World, rng: random.Random
    ) -> None:
        await _call(world, rng, 1)
        frozen = world.ingester(Failpoint("before commit", how="freeze"))
        await world.reach(frozen)
        async with opened(world.settings, hold=0.0) as services:
            for _ in range(1, _MAX_DELIVERIES):
                assert len(await services.queue.receive(1)) == 1
        await world.ingester(hold=0.0).end()
        async with opened(world.settings) as services:
            assert len(await rows(services, "SELECT FROM inference_dead_letters")) == 1

        frozen.thaw()
        await frozen.end()

        assert frozen.did_its_work
        counts = await _settled(world)
        assert (counts["rows"], counts["dead"]) == (1, 0)


async def test_days_get_their_partition_while_events_come_in(
    world: World, rng: random.Random
) -> None:
    """Clocks are wrong and events late; the default partition is swept meanwhile."""
    calls = make_calls(rng, 180, world.owners, skewed=True)
    callers = [world.caller(calls[start::3]) for start in range(3)]
    while not all(caller.has_ended for caller in callers):
        busy = [world.ingester(hold=0.0), world.ingester(hold=0.0), world.maintainer()]
        for each in busy:
            await each.end()

    assert (await _settled(world))["rows"] == 180
    async with opened(world.settings) as services:
        parts = await rows(
            services,
            "SELECT tableoid::regclass::text AS part, count(*) AS n FROM inference_log GROUP BY 1",
        )
    assert len(parts) > 5


class TestInMidChat:
    @pytest.fixture
    async def world(self, make_world: MakeWorld, model_server: ModelServer) -> AsyncIterator[World]:
        local = ProviderSettings(
            name="local",
            kind="openai_compatible",
            base_url=model_server.base_url,
            models=(ModelSettings(name="m", context_window=100_000, capabilities=frozenset()),),
        )
        async with make_world(providers=(local,), default_model="local/m") as made:
            yield made

    @pytest.mark.parametrize("fault", tried("killed", "wiped", "killed and back"))
    async def test_the_queue_goes(
        self, world: World, model_server: ModelServer, fault: str
    ) -> None:
        async def script(exchange: Exchange) -> None:
            await exchange.begin_stream()
            await exchange.send_text("Half")
            if "Write a title" not in str(exchange.body):
                if fault == "wiped":
                    world.kill_valkey(wiped=True)
                else:
                    world.kill_valkey()
                if fault == "killed and back":
                    world.start_valkey()
            await exchange.send_text(" and the rest")
            await exchange.finish()

        model_server.script = script
        _, address = await world.site()
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            user = ChatClient(http)
            await user.register()
            async with user.chat("Hi") as stream:
                await stream.rest()

        assert stream.text == "Half and the rest"
        await self._assert_calls(world, ["chat ok", "title ok"])

    @everything
    async def test_the_queue_is_wiped_after_the_chat(
        self, world: World, model_server: ModelServer
    ) -> None:
        _, address = await world.site()
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            user = ChatClient(http)
            await user.register()
            async with user.chat("Hi") as stream:
                await stream.rest()
        world.kill_valkey(wiped=True)

        await self._assert_calls(world, ["chat ok", "title ok"])

    async def test_the_site_and_the_queue_are_killed(
        self, world: World, model_server: ModelServer
    ) -> None:
        model_server.script = begin_and_wait("Half")
        site, address = await world.site()
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            user = ChatClient(http)
            await user.register()
            async with user.chat("Hi") as stream:
                await stream.until("text-delta")
                site.kill()
                world.kill_valkey()
                with pytest.raises(httpx.TransportError):
                    await stream.rest()

        calls = await self._calls(world)
        assert calls[:1] == ["chat interrupted"]
        assert set(calls[1:]) <= {"title interrupted"}

    async def test_postgresql_is_killed(self, world: World, model_server: ModelServer) -> None:
        async def script(exchange: Exchange) -> None:
            await exchange.begin_stream()
            await exchange.send_text("Half")
            if "Write a title" not in str(exchange.body):
                world.kill_postgres()
            await exchange.send_text(" and the rest")
            await exchange.finish()

        model_server.script = script
        _, address = await world.site(database_timeout=0.2)
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            user = ChatClient(http)
            await user.register()
            async with user.chat("Hi") as stream:
                await stream.rest()

        assert stream.text == "Half and the rest"
        calls = await self._calls(world)
        assert calls[:1] == ["chat ok"]
        async with opened(world.settings) as services:
            answers = await rows(services, "SELECT status FROM messages WHERE role = 'assistant'")
        assert answers == [{"status": "complete"}]

    async def _assert_calls(self, world: World, expected: list[str]) -> None:
        assert await self._calls(world) == expected

    async def _calls(self, world: World) -> list[str]:
        for actor in world.actors:
            actor.kill()
        await world.settle()
        async with opened(world.settings) as services:
            found = await rows(services, "SELECT kind, status FROM inference_log ORDER BY kind")
        await world.verify()
        return [f"{row['kind']} {row['status']}" for row in found]


class TestSqs:
    @pytest.fixture
    async def world(self, make_world: MakeWorld, sqs: Sqs) -> AsyncIterator[World]:
        url, _ = sqs.create_queues(max_receives=20)
        async with make_world(queue_url=SecretStr(url), ingest_batch_size=_BATCH) as made:
            yield made

    @pytest.mark.parametrize("step", tried("after receive", "before commit", "before acknowledge"))
    async def test_ingestion_is_killed(self, world: World, rng: random.Random, step: str) -> None:
        await _call(world, rng)
        killed = world.ingester(Failpoint(step, nth=2), hold=1.0)
        await world.reach(killed)
        assert killed.was_killed

        assert (await _settled(world))["rows"] == _CALLS

    @everything
    async def test_several_ingesters_and_postgresql_killed(
        self, world: World, rng: random.Random
    ) -> None:
        caller = world.caller(make_calls(rng, _CALLS, world.owners))
        await world.reach(world.ingester(Failpoint("before commit", how="freeze"), hold=1.0))
        await caller.end()
        for _ in range(2):
            world.ingester(hold=1.0)
        world.kill_postgres()
        world.start_postgres()

        assert (await _settled(world))["rows"] == _CALLS

    @everything
    async def test_the_queue_is_deleted_and_made_again(
        self, world: World, rng: random.Random, sqs: Sqs
    ) -> None:
        assert world.settings.queue_url is not None
        url = world.settings.queue_url.get_secret_value()
        await _call(world, rng)
        await world.reach(world.ingester(Failpoint("after receive", how="freeze"), hold=1.0))
        sqs.client.delete_queue(QueueUrl=url)
        world.wipes += 1
        await _call(world, rng)
        sqs.client.create_queue(QueueName=url.rpartition("/")[2])
        await _call(world, rng)

        assert (await _settled(world))["rows"] == 3 * _CALLS
