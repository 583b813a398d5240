"""The ledger of model calls: no call without a row before it, no row gone before its event is safe.

Used by whatever calls a model, and by maintenance for the calls whose process died.
"""

from typing import Any

from tailrace.db import queries
from tailrace.db.pool import Connection
from tailrace.limits.quotas import refusals
from tailrace.telemetry.capture import spill
from tailrace.telemetry.event import InferenceEvent, encode

_sql = queries.load("runs")


async def open_run(connection: Connection, run: dict[str, Any]) -> None:
    """Note that a call is about to be made; `run` holds the columns."""
    await connection.execute(_sql["open_run"], run)


async def open_run_in_budget(
    connection: Connection, run: dict[str, Any], terms: dict[str, Any]
) -> None:
    """Note that a call is about to be made, if it may be.

    Parameters
    ----------
    terms
        What `tailrace.limits.quotas.terms` returned.

    Raises
    ------
    Problem
        429 when a quota or the budget is used up; nothing is noted then.
    """
    with refusals():
        await connection.execute(_sql["open_run_in_budget"], run | terms)


async def close_run(connection: Connection, event: InferenceEvent, unsent: bytes | None) -> None:
    """Note that a call has ended.

    Parameters
    ----------
    event
        The call's event, kept until ingestion has it.
    unsent
        What `tailrace.telemetry.capture.publish` returned: the payload for the outbox when the
        queue did not take the event.
    """
    if unsent is None:
        tokens = (event.input_tokens or 0) + (event.output_tokens or 0)
        await connection.execute(
            _sql["close_run"], {"id": event.id, "event": encode(event), "tokens": tokens}
        )
    else:
        await spill(connection, unsent)
        await connection.execute(_sql["forget_run"], {"id": event.id})
