"""Deliveries: targets are told what evaluation wrote down, again and again until they have it.

Called by `tailrace.maintenance`. A delivery is taken with a lease, so that two that run at once
take different ones; whoever dies over it leaves it to a later run. A target may therefore be told
twice, under the same id. After a failure it is tried again in 30 seconds, a minute, two, and at
last every hour, for a day.
"""

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tailrace.alerts import targets
from tailrace.alerts.targets.base import NotDelivered, Target, notice_of
from tailrace.db import queries
from tailrace.db.pool import connect

if TYPE_CHECKING:
    from tailrace.services import Services

_log = logging.getLogger(__name__)
_sql = queries.load("alerts")

# Deliveries of one run.
_BATCH = 50


async def deliver(services: "Services", now: datetime) -> int:
    """Tell targets what is due; return how many were told.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached; what was not told is due later.
    """
    configured = {target.name: target for target in services.settings.alert_targets}
    made: dict[str, Target] = {}
    # Most likely it would keep the next one waiting too.
    failed: list[str] = []
    told = 0
    for _ in range(_BATCH):
        async with connect(services.pool) as connection:
            terms = {"now": now, "except": failed}
            cursor = await connection.execute(_sql["take_delivery"], terms)
            delivery = await cursor.fetchone()
            if delivery is None:
                break
            cursor = await connection.execute(_sql["find_event"], {"id": delivery["event_id"]})
            event = await cursor.fetchone()
        name = delivery["target"]
        try:
            if event is None:
                raise NotDelivered("it is no longer in the history")
            if name not in configured:
                raise NotDelivered("the settings no longer name this target")
            if name not in made:
                made[name] = targets.create(configured[name])
            await made[name].send(
                notice_of(delivery["id"], event, now, services.settings.public_url)
            )
        except NotDelivered as error:
            failed.append(name)
            await _note(services, "note_failed", delivery, error=str(error))
            _log.warning(
                "target %s was not told of an alert (attempt %d): %s",
                name,
                delivery["attempts"],
                error,
            )
        else:
            told += 1
            await _note(services, "note_delivered", delivery, now=now)
    return told


async def _note(
    services: "Services", statement: str, delivery: dict[str, Any], **terms: Any
) -> None:
    async with connect(services.pool) as connection:
        await connection.execute(_sql[statement], {"id": delivery["id"], **terms})
