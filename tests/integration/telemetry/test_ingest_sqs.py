"""Ingestion from SQS: drained as a queue, and handed to the function as a batch."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from tailrace.problems import unavailable
from tailrace.queue.base import Message
from tailrace.queue.sqs import SqsQueue, messages_of
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry import capture
from tailrace.telemetry import ingest as ingestion
from tailrace.telemetry.event import encode
from tailrace.telemetry.ingest import IngestReport, ingest, ingest_messages
from tests.support.events import make_event, make_events, publish_all, rows, value
from tests.support.sqs import Sqs


@pytest.fixture
def settings(settings: Settings, sqs: Sqs) -> Settings:
    return settings.model_copy(update={"queue_url": SecretStr(sqs.create_queue())})


async def _landed(services: Services) -> int:
    return await value(services, "SELECT count(*) FROM inference_log")


class TestAsAQueue:
    async def test_all_of_it_lands(self, services: Services) -> None:
        events = make_events(45)
        await publish_all(services.queue, [*events, *events[:5]])
        await services.queue.publish(b"poison")

        report = await ingest(services)

        assert (report.received, report.inserted, report.dead) == (51, 45, 1)
        assert report.duplicates == 5
        assert await services.queue.depth() == 0
        assert await ingest(services) == IngestReport()

    async def test_an_event_that_sqs_cannot_carry_goes_through_the_outbox(
        self, services: Services, sqs: Sqs
    ) -> None:
        services.queue = SqsQueue(sqs.create_queue(MaximumMessageSize="1024"), max_length=10)
        large, small = make_event(input_preview="a" * 5000), make_event()

        unsent = await capture.publish(services.queue, large)
        assert unsent == encode(large)
        # Nothing is wrong with the queue: it is offered the next one.
        assert await capture.publish(services.queue, small) is None

    async def test_several_ingestions_at_once_land_each_event_once(
        self, services: Services, settings: Settings
    ) -> None:
        events = make_events(120)
        await publish_all(services.queue, events)
        others = [Services(settings) for _ in range(2)]
        for other in others:
            await other.open()

        inserted = 0
        # A server that is slow is taken for one that is down, and asked again the next time.
        while inserted < 120:
            reports = await asyncio.gather(*map(ingest, (services, *others)))
            inserted += sum(report.inserted for report in reports)

        assert (inserted, await _landed(services)) == (120, 120)
        for other in others:
            await other.close()

    async def test_what_sqs_gave_up_on_is_a_dead_letter_that_can_be_replayed(
        self, services: Services, sqs: Sqs
    ) -> None:
        url, _ = sqs.create_queues(max_receives=1)
        services.queue = SqsQueue(url, max_length=10, hold=1)
        event = make_event()
        await publish_all(services.queue, [event])
        # Whoever takes it dies.
        await services.queue.receive(1)
        await asyncio.sleep(1.1)
        assert (await ingest(services)).received in (0, 1)
        report = await ingest(services)

        letters = await rows(services, "SELECT reason, payload FROM inference_dead_letters")
        assert [bytes(row["payload"]) for row in letters] == [encode(event)], report
        assert "again and again" in letters[0]["reason"]


def _record(number: int, body: str, receives: int = 1, **attributes: Any) -> dict[str, Any]:
    return {
        "messageId": f"message-{number}",
        "receiptHandle": "handle",
        "body": body,
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "messageAttributes": attributes,
        "eventSource": "aws:sqs",
    }


class TestAsABatch:
    @pytest.fixture
    async def services(self, settings: Settings) -> AsyncIterator[Services]:
        opened = Services(settings.model_copy(update={"ingest_batch_size": 2}))
        await opened.open()
        yield opened
        await opened.close()

    async def test_it_lands_as_from_the_queue(self, services: Services) -> None:
        events = make_events(3)
        records = [_record(n, encode(event).decode()) for n, event in enumerate(events)]
        records += [_record(3, "poison"), _record(4, encode(make_event()).decode(), receives=11)]

        report, failed = await ingest_messages(services, messages_of(records, 10))

        assert failed == []
        assert (report.received, report.inserted, report.dead) == (5, 3, 2)
        letters = await rows(services, "SELECT source, source_id FROM inference_dead_letters")
        assert {row["source_id"] for row in letters} == {"message-3", "message-4"}

        again, failed = await ingest_messages(services, messages_of(records, 10))
        assert (again.inserted, again.duplicates, failed) == (0, 3, [])
        attempts = await rows(services, "SELECT attempts FROM inference_dead_letters")
        assert [row["attempts"] for row in attempts] == [2, 2]

    async def test_base64_is_read(self) -> None:
        encoding = {"encoding": {"stringValue": "base64", "dataType": "String"}}

        assert messages_of([_record(0, "AP8=", **encoding)], 10) == [
            Message("message-0", b"\x00\xff")
        ]

    async def test_what_did_not_land_is_told(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        events = make_events(6)
        messages = [Message(str(n), encode(event)) for n, event in enumerate(events)]
        commits = 0
        commit = ingestion._Ingestion._commit_messages

        async def fail_second(self: Any, batch: list[Message]) -> None:
            nonlocal commits
            commits += 1
            if commits == 2:
                raise unavailable("The database cannot be reached.")
            await commit(self, batch)

        monkeypatch.setattr(ingestion._Ingestion, "_commit_messages", fail_second)
        report, failed = await ingest_messages(services, messages)

        assert failed == ["2", "3", "4", "5"]
        assert report.inserted == 2
        assert await _landed(services) == 2

    async def test_when_time_is_up_the_rest_comes_again(self, services: Services) -> None:
        messages = [Message("a", encode(make_event()))]
        now = asyncio.get_running_loop().time()

        report, failed = await ingest_messages(services, messages, deadline=now - 1)

        assert (report, failed) == (IngestReport(), ["a"])
