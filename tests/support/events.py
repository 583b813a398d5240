"""Inference events for tests, and looks into where they come to rest."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tailrace.ids import uuid7
from tailrace.queue.base import Queue
from tailrace.services import Services
from tailrace.telemetry.event import InferenceEvent, encode


def make_event(**fields: Any) -> InferenceEvent:
    """Return a successful, priced call of just now, with the fields given in place of its own."""
    defaults: dict[str, Any] = {
        "id": uuid7(),
        "kind": "chat",
        "status": "ok",
        "started_at": datetime.now(UTC),
        "duration": 1.5,
        "provider_name": "openai",
        "request_model": "gpt-4o",
        "time_to_first_chunk": 0.25,
        "input_tokens": 1000,
        "output_tokens": 100,
        "finish_reasons": ["stop"],
    }
    return InferenceEvent(**defaults | fields)


def make_events(count: int, **fields: Any) -> list[InferenceEvent]:
    """Return events a millisecond apart."""
    now = datetime.now(UTC)
    return [
        make_event(started_at=now + timedelta(milliseconds=number), **fields)
        for number in range(count)
    ]


async def publish_all(queue: Queue, events: list[InferenceEvent]) -> None:
    """Put events into the queue."""
    for event in events:
        await queue.publish(encode(event))


async def rows(services: Services, query: str, *params: Any) -> list[dict[str, Any]]:
    """Return the rows of a query, over a connection of its own."""
    url = services.settings.database_url.get_secret_value()
    async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as connection:
        return await (await connection.execute(query.encode(), params)).fetchall()


async def value(services: Services, query: str, *params: Any) -> Any:
    """Return the one value of a query."""
    return next(iter((await rows(services, query, *params))[0].values()))
