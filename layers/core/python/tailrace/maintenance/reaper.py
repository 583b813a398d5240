"""Closes the runs whose function died, so that no call stays open or uncounted.

Called by `tailrace.maintenance`. A run that lives keeps a key in Valkey fresh; one whose key is
gone is dead. Its message keeps the text that its journal has, its event says `interrupted`. Should
it have lived after all, it may still set its message right.
"""

import logging
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.types.json import Jsonb

from tailrace.db import queries
from tailrace.db.pool import connect, transaction
from tailrace.problems import Problem
from tailrace.providers.base import SENTENCES
from tailrace.runs.journal import Recovered, alive_key, recover
from tailrace.runs.ledger import close_run
from tailrace.settings import Settings
from tailrace.storable import storable
from tailrace.telemetry.capture import publish
from tailrace.telemetry.event import InferenceEvent
from tailrace.telemetry.redact import preview
from tailrace.valkey import UNREACHABLE

if TYPE_CHECKING:
    from tailrace.services import Services

_log = logging.getLogger(__name__)
_sql = queries.load("maintenance")

# Kinds of run that keep a journal and a sign of life; the others are short.
_JOURNALED = ("chat", "guest")

# Runs looked at in one maintenance.
_LIMIT = 500


async def reap_dead_runs(services: "Services") -> int:
    """Close dead runs, each in a transaction of its own; return how many they were.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached; the runs not closed yet stay as they are.
    """
    settings = services.settings
    async with connect(services.pool) as connection:
        cursor = await connection.execute(
            _sql["find_old_runs"], {"older_than": settings.run_dead_after, "limit": _LIMIT}
        )
        runs = await cursor.fetchall()
    if not runs:
        return 0
    alive = await _find_alive(services, [run["id"] for run in runs])
    longest = timedelta(seconds=settings.run_timeout + settings.run_dead_after)
    reaped = 0
    for run in runs:
        overdue = run["found_at"] - run["started_at"] > longest
        known = alive is not None and run["kind"] in _JOURNALED
        if (run["id"] not in alive) if known else overdue:
            try:
                reaped += await _close(services, run, overdue=overdue)
            except Problem:
                raise
            except Exception:
                # One run that cannot be closed must not keep the others open.
                _log.exception("run %s could not be closed", run["id"])
    return reaped


async def _find_alive(services: "Services", ids: list[UUID]) -> set[UUID] | None:
    """Return the runs that show a sign of life; ``None`` when Valkey cannot tell."""
    try:
        pipeline = services.redis.pipeline(transaction=False)
        pipeline.info("server")
        for id in ids:
            pipeline.exists(alive_key(id))
        info, *signs = await pipeline.execute()
    except UNREACHABLE:
        return None
    if info.get("uptime_in_seconds", math.inf) < services.settings.run_dead_after:
        # After a restart every sign is gone until each run has shown its next one.
        return None
    return {id for id, sign in zip(ids, signs, strict=True) if sign}


async def _close(services: "Services", run: dict[str, Any], *, overdue: bool) -> bool:
    """Record the call and give its message what came; false when that is done already."""
    kept = Recovered([], None)
    if run["kind"] in _JOURNALED:
        try:
            kept = await recover(services.redis, run["id"])
        except UNREACHABLE:
            if not overdue:
                return False
    parts = [{**part, "text": storable(part["text"])} for part in kept.parts]
    async with transaction(services.pool) as connection:
        cursor = await connection.execute(_sql["take_run"], {"id": run["id"]})
        if await cursor.fetchone() is None:
            return False
        event = _event(services.settings, run, parts)
        await close_run(connection, event, await publish(services.queue, event))
        if run["kind"] == "chat":
            await connection.execute(
                _sql["close_message"],
                {
                    "id": run["id"],
                    "status": kept.status or "interrupted",
                    "parts": Jsonb(parts),
                    "metadata": Jsonb(_metadata(run, kept.status)),
                },
            )
    _log.warning("run %s had died; %d parts of its answer were kept", run["id"], len(parts))
    return True


def _event(settings: Settings, run: dict[str, Any], parts: list[dict[str, str]]) -> InferenceEvent:
    text = "".join(part["text"] for part in parts if part["type"] == "text")
    elapsed = (run["found_at"] - run["started_at"]).total_seconds()
    return InferenceEvent(
        id=run["id"],
        kind=run["kind"],
        status="interrupted",
        started_at=run["started_at"],
        # When it died nobody knows; no run outlives its time.
        duration=min(elapsed, settings.run_timeout),
        provider_name=run["provider_name"],
        request_model=run["request_model"],
        owner_id=run["owner_id"],
        conversation_id=run["conversation_id"],
        request_id=run["request_id"],
        input_preview=run["input_preview"],
        output_preview=preview(text, settings.preview_chars) if settings.previews else None,
    )


def _metadata(run: dict[str, Any], status: str | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "run_id": str(run["id"]),
        "model": f"{run['provider_name']}/{run['request_model']}",
    }
    if status == "error":
        metadata["error"] = {"type": "incomplete", "message": SENTENCES["incomplete"]}
    return metadata
