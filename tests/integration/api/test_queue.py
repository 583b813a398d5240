"""How far events are on their way, as an admin is told."""

import httpx

from tailrace.http import api
from tailrace.services import Services
from tailrace.telemetry.ingest import ingest
from tests.support.chat_client import ChatClient
from tests.support.events import make_event, publish_all
from tests.support.serving import serve


async def test_an_admin_sees_events_wait_and_arrive(services: Services) -> None:
    async with (
        serve(api.create_app(services, lifespan=False)) as base_url,
        httpx.AsyncClient(base_url=base_url) as http,
    ):
        await ChatClient(http).register("admin@example.org")
        await publish_all(services.queue, [make_event(), make_event()])
        await services.queue.publish(b"no event")

        waiting = (await http.get("/api/admin/queue")).json()
        await ingest(services)
        arrived = (await http.get("/api/admin/queue")).json()

    assert (waiting["available"], waiting["depth"], waiting["dead"]) == (True, 3, 0)
    assert waiting["oldest_age"] >= 0
    assert arrived == {
        "available": True,
        "depth": 0,
        "oldest_age": 0.0,
        "lag": 0.0,
        "spilled": 0,
        "dead": 1,
        "parked": 0,
    }
