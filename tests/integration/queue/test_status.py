"""How far events are on their way, as metrics and alerts read it."""

from tailrace.db.pool import connect
from tailrace.queue.memory import MemoryQueue
from tailrace.queue.status import GAUGES, QueueStatus, status
from tailrace.services import Services
from tailrace.telemetry.capture import spill
from tailrace.telemetry.event import encode
from tailrace.telemetry.ingest import ingest
from tests.support.events import make_event, publish_all


async def test_nothing_is_on_its_way(services: Services) -> None:
    assert await status(services) == QueueStatus(
        available=True, depth=0, oldest_age=0.0, lag=0.0, spilled=0, dead=0, parked=0
    )


async def test_what_waits_is_counted(services: Services) -> None:
    await services.queue.publish(b"dead")
    await services.queue.publish(encode(make_event(schema_version=99)))
    await ingest(services)
    await publish_all(services.queue, [make_event(), make_event()])
    async with connect(services.pool) as connection:
        await spill(connection, b"payload")
        await connection.execute(
            "UPDATE telemetry_outbox SET created_at = now() - interval '90 seconds'"
        )

    found = await status(services)

    assert (found.depth, found.spilled, found.dead, found.parked) == (2, 1, 1, 1)
    assert found.oldest_age is not None
    assert 90 <= found.lag < 120


async def test_a_call_lags_from_its_end_until_its_event_has_landed(services: Services) -> None:
    event = make_event()
    async with connect(services.pool) as connection:
        await connection.execute(
            "INSERT INTO runs (id, kind, owner_id, provider_name, request_model, started_at,"
            " closed_at) VALUES (%s, 'chat', %s, 'p', 'm', %s, now() - interval '1 minute')",
            (event.id, event.id, event.started_at),
        )
    await publish_all(services.queue, [event])
    assert 60 <= (await status(services)).lag < 90

    await ingest(services)

    assert (await status(services)).lag == 0


async def test_a_queue_that_is_down_hides_nothing_else(services: Services) -> None:
    services.queue = queue = MemoryQueue()
    queue.available = False
    async with connect(services.pool) as connection:
        await spill(connection, b"payload")

    found = await status(services)

    assert (found.available, found.depth, found.oldest_age) == (False, None, None)
    assert found.spilled == 1


def test_every_gauge_is_a_number_of_the_status() -> None:
    assert {gauge.field for gauge in GAUGES} | {"available"} == set(QueueStatus.__struct_fields__)
