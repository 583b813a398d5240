"""Targets: told over a real HTTP server and a real SNS, until they have it, and no others."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from aiohttp import web
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from tailrace.alerts import store
from tailrace.alerts.deliveries import deliver
from tailrace.alerts.evaluation import evaluate
from tailrace.alerts.rules import RuleFields
from tailrace.alerts.targets import webhook
from tailrace.maintenance import maintain
from tailrace.services import Services
from tailrace.settings import AlertTargetSettings
from tailrace.telemetry.ingest import ingest
from tests.support import s3
from tests.support.events import make_event, publish_all, rows

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB3ZWJob29rcyBvZiB0ZXN0cw=="
MINUTE = timedelta(minutes=1)


class Receiver:
    """A server that takes webhooks, and does with them as it is told."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.delay: asyncio.Event | None = None
        self.taken: list[tuple[str, dict[str, str], bytes]] = []

    async def start(self) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.taken.append((request.path, dict(request.headers), await request.read()))
        if self.delay is not None:
            await self.delay.wait()
        return web.Response(status=self.status, headers=self.headers)


@pytest.fixture
async def receiver(services: Services) -> AsyncIterator[Receiver]:
    """The receiver of the target ``ops``."""
    receiver = Receiver()
    address = await receiver.start()
    _set_targets(services, ops=f"{address}/hook?token=hunter2")
    yield receiver
    await receiver.stop()


def _set_targets(services: Services, **urls: str) -> None:
    services.settings.__dict__["alert_targets"] = tuple(
        AlertTargetSettings(
            name=name,
            url=SecretStr(url),
            secret=None if url.startswith("sns:") else SecretStr(SECRET),
        )
        for name, url in urls.items()
    )


async def _fire(services: Services, name: str = "errors", **fields: Any) -> datetime:
    """Let a rule fire; return when."""
    now = datetime.now(UTC)
    rule: dict[str, Any] = {"name": name, "kind": "error_rate", "threshold": 0.2} | fields
    await store.create(services.pool, RuleFields(**rule))
    events = [make_event(status="error", started_at=now - MINUTE) for _ in range(30)]
    await publish_all(services.queue, events)
    await ingest(services)
    assert await evaluate(services, now) == 1
    return now


async def _deliveries(services: Services) -> list[dict[str, Any]]:
    return await rows(services, "SELECT * FROM alert_deliveries ORDER BY id")


async def test_a_webhook_is_told_and_can_check_who_tells_it(
    services: Services, receiver: Receiver
) -> None:
    now = await _fire(services, severity="critical")

    assert await deliver(services, now) == 1

    ((path, headers, body),) = receiver.taken
    assert path == "/hook"
    event = Webhook(SECRET).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"firing", b"FIRING"), headers)
    assert event["type"] == "alert.firing"
    data = event["data"]
    assert (data["severity"], data["state"], data["value"]) == ("critical", "firing", 1.0)
    assert data["rule"]["name"] == "errors"
    assert data["summary"] == "errors: The error rate is 100.0% (threshold 20.0%)."
    assert headers["webhook-id"] == str((await _deliveries(services))[0]["id"])
    assert await deliver(services, now + timedelta(days=2)) == 0
    assert len(receiver.taken) == 1


async def test_what_was_not_taken_is_sent_again_later_and_later_under_one_id(
    services: Services, receiver: Receiver
) -> None:
    now = await _fire(services)
    receiver.status = 503

    waits = [0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    at = now
    for number, wait in enumerate(waits):
        if wait:
            assert await deliver(services, at + timedelta(seconds=wait - 1)) == 0
            assert len(receiver.taken) == number
        at += timedelta(seconds=wait)
        assert await deliver(services, at) == 0
        assert len(receiver.taken) == number + 1
    (event,) = await store.list_events(services.pool, 10, None, None)
    assert event["deliveries"][0]["last_error"] == "answered 503"
    assert event["deliveries"][0]["attempts"] == len(waits)

    receiver.status = 204
    assert await deliver(services, at + timedelta(hours=1)) == 1

    assert len({headers["webhook-id"] for _, headers, _ in receiver.taken}) == 1
    stamps = [int(headers["webhook-timestamp"]) for _, headers, _ in receiver.taken]
    assert stamps == sorted(set(stamps))
    assert len({body for _, _, body in receiver.taken}) == 1
    (delivery,) = await _deliveries(services)
    assert (delivery["last_error"], delivery["due_at"]) == (None, None)


async def test_after_a_day_it_is_given_up(services: Services, receiver: Receiver) -> None:
    now = await _fire(services)
    receiver.status = 500
    for hours in range(30):
        await deliver(services, now + timedelta(hours=hours))

    (delivery,) = await _deliveries(services)
    assert (delivery["due_at"], delivery["delivered_at"]) == (None, None)
    assert 20 < delivery["attempts"] == len(receiver.taken) <= 26


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_lead_nowhere(services: Services, receiver: Receiver, status: int) -> None:
    now = await _fire(services)
    receiver.status, receiver.headers = status, {"location": "/elsewhere"}

    assert await deliver(services, now) == 0

    assert [path for path, _, _ in receiver.taken] == ["/hook"]


async def test_one_that_does_not_answer_is_not_waited_for_long(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = await _fire(services)
    receiver.delay = asyncio.Event()

    with monkeypatch.context() as patch:
        patch.setattr(webhook, "_TIMEOUT", 0.2)
        async with asyncio.timeout(60):
            assert await deliver(services, now) == 0

    receiver.delay.set()
    receiver.delay = None
    assert await deliver(services, now + MINUTE) == 1


async def test_one_target_that_is_down_keeps_no_other_waiting(
    services: Services, receiver: Receiver
) -> None:
    ops = services.settings.alert_targets[0].url.get_secret_value()
    _set_targets(services, down="http://127.0.0.1:9/", ops=ops)
    now = await _fire(services)
    await _fire(services, name="more", threshold=0.3)

    assert await deliver(services, now + MINUTE) == 2

    attempts = {"down": 0, "ops": 0}
    for row in await _deliveries(services):
        attempts[row["target"]] += row["attempts"]
    assert attempts == {"down": 1, "ops": 2}


async def test_of_several_at_once_each_tells_something_else(
    services: Services, receiver: Receiver
) -> None:
    now = await _fire(services)
    for number in range(9):
        await _fire(services, name=str(number))

    told = await asyncio.gather(*(deliver(services, now + MINUTE) for _ in range(4)))

    assert sum(told) == 10
    assert len({headers["webhook-id"] for _, headers, _ in receiver.taken}) == 10
    assert len(receiver.taken) == 10


async def test_whoever_dies_over_it_leaves_it_to_another(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = await _fire(services)

    class Died(BaseException):
        pass

    async def die(*_: Any) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(webhook.WebhookTarget, "send", die)
        with pytest.raises(Died):
            await deliver(services, now)

    assert await deliver(services, now) == 0
    assert await deliver(services, now + MINUTE) == 1


async def test_a_target_that_is_gone_is_said_to_be(services: Services, receiver: Receiver) -> None:
    now = await _fire(services)
    _set_targets(services)

    assert await deliver(services, now) == 0

    assert receiver.taken == []
    (delivery,) = await _deliveries(services)
    assert delivery["last_error"] == "the settings no longer name this target"


async def test_secrets_are_told_to_nobody(
    services: Services, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ops = services.settings.alert_targets[0].url.get_secret_value()
    _set_targets(services, ops=ops, down="http://127.0.0.1:9/hunter2", odd="http://hunter2..x/")
    now = await _fire(services)
    receiver.status = 500

    assert await deliver(services, now) == 0

    kept = await rows(services, "SELECT * FROM alert_events, alert_deliveries")
    events = await store.list_events(services.pool, 10, None, None)
    for told in (caplog.text, str(kept), str(events)):
        assert "hunter2" not in told
        assert SECRET.removeprefix("whsec_") not in told
    assert len(kept) == 3
    assert all(row["last_error"] for row in kept)


async def test_maintain_evaluates_and_tells(services: Services, receiver: Receiver) -> None:
    rule = RuleFields(name="letters", kind="dead_letters", threshold=1)
    services.settings.__dict__["alerts"] = (rule,)
    await services.queue.publish(b"no event")
    await ingest(services)

    report = await maintain(services)

    assert (report.alert_changes, report.alerts_told) == (1, 1)
    assert len(receiver.taken) == 1
    again = await maintain(services)
    assert (again.alert_changes, again.alerts_told) == (0, 0)


@pytest.mark.parametrize("fifo", [False, True])
async def test_a_topic_is_told(
    services: Services, fifo: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with s3.moto() as address:
        for name, value in {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        # It remembers credentials.
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        arn, take = await asyncio.to_thread(_subscribe, fifo)
        _set_targets(services, pager=f"sns:{arn}", gone=f"sns:{arn.replace('alerts', 'no')}")
        now = await _fire(services)

        assert await deliver(services, now) == 1

        (message,) = await asyncio.to_thread(take)
    envelope = json.loads(message["Body"])
    assert json.loads(envelope["Message"])["data"]["state"] == "firing"
    assert envelope["MessageAttributes"]["severity"]["Value"] == "warning"
    if not fifo:
        assert envelope["Subject"].startswith("[warning] firing: errors: The error rate")
    errors = {row["target"]: row["last_error"] for row in await _deliveries(services)}
    assert errors == {"pager": None, "gone": "SNS answered NotFound"}


def _subscribe(fifo: bool) -> tuple[str, Any]:
    """Make a topic and a queue that it goes to; return the ARN and what takes messages."""
    end = ".fifo" if fifo else ""
    given = {"FifoTopic": "true"} if fifo else {}
    sns, sqs = boto3.Session().client("sns"), boto3.session.Session().client("sqs")
    arn = sns.create_topic(Name=f"alerts{end}", Attributes=given)["TopicArn"]
    given = {"FifoQueue": "true"} if fifo else {}
    url = sqs.create_queue(QueueName=f"alerts{end}", Attributes=given)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=attributes["Attributes"]["QueueArn"])

    def take() -> list[Any]:
        return sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages", [])

    return arn, take


async def test_subjects_of_mails_are_short_plain_lines(services: Services) -> None:
    from tailrace.alerts.targets.base import Notice
    from tailrace.alerts.targets.sns import _subject

    notice = Notice(make_event().id, datetime.now(UTC), "info", "firing", "größer\n" * 50, b"")

    subject = _subject(notice)

    assert len(subject) == 100
    assert subject.isascii()
    assert subject.isprintable()
