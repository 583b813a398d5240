"""Evaluation: every rule is read, its alerts change state, and what changed is written down.

Called by `tailrace.maintenance`. All of it is one transaction under a lock, so that of two that
run at once one does it; who is told is written with it and told afterwards, by
`tailrace.alerts.deliveries`.
"""

import asyncio
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg import Error

from tailrace.alerts import numbers
from tailrace.alerts.numbers import Source, Unreadable
from tailrace.alerts.rules import RuleFields
from tailrace.alerts.states import Limits, Reading, Standing, advance
from tailrace.alerts.targets.base import NUMBERS
from tailrace.db import queries
from tailrace.db.pool import Connection, connect, transaction
from tailrace.ids import uuid7
from tailrace.problems import Problem
from tailrace.queue.status import QueueStatus, status

if TYPE_CHECKING:
    from uuid import UUID

    from tailrace.services import Services
    from tailrace.settings import Settings

_log = logging.getLogger(__name__)
_sql = queries.load("alerts")

# Any constant does, as long as nothing else in the database takes the same lock.
_LOCK = 0x7461_696C_616C_7274

#: So long a target is tried.
EXPIRY = timedelta(hours=24)
_HISTORY = timedelta(days=90)

# Seconds for reading all numbers: when each takes as long as it may, most wait for the same thing.
_READING_TIME = 20.0

# Whether the numbers can be read is one or nothing.
_UNREADABLE = Reading(1.0)
_READABLE = Reading(None)
# What has ended, ends its alert.
_OVER = Reading(None)


async def evaluate(services: "Services", now: datetime) -> int:
    """Evaluate all rules once; return how many changes of state there were.

    Parameters
    ----------
    now
        The end of every window.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached; nothing is changed then.
    """
    queue = await _queue(services)
    async with transaction(services.pool) as connection:
        cursor = await connection.execute(_sql["lock_alerts"], {"key": _LOCK})
        locked = await cursor.fetchone()
        if not locked or not locked["locked"]:
            return 0
        await _put_settings(connection, services.settings.alerts)
        await connection.execute(_sql["delete_old_events"], {"before": now - _HISTORY})
        rules = await (await connection.execute(_sql["take_rules"])).fetchall()
        if not rules:
            return 0
        standings: dict[UUID, dict[str, Standing]] = {rule["id"]: {} for rule in rules}
        for row in await (await connection.execute(_sql["find_states"])).fetchall():
            rule_id, subject = row.pop("rule_id"), row.pop("subject")
            standings[rule_id][subject] = Standing(**row)
        source = Source(connection, queue, now)
        changes = 0
        clock = asyncio.get_running_loop().time
        end = clock() + _READING_TIME
        for rule in rules:
            book = _Book(connection, services.settings, rule, now)
            changes += await book.bring_up_to_date(
                source if clock() < end else None, standings[rule["id"]]
            )
    return changes


async def _queue(services: "Services") -> QueueStatus | None:
    """Ask how the queue is, if a rule is about that; ``None`` when nobody can tell."""
    wanted = {rule.kind for rule in services.settings.alerts if rule.enabled}
    async with connect(services.pool) as connection:
        found = await (await connection.execute(_sql["find_enabled_kinds"])).fetchall()
    if not numbers.OF_QUEUE & (wanted | {row["kind"] for row in found}):
        return None
    try:
        return await status(services)
    except (Problem, Error):
        return None


async def _put_settings(connection: Connection, rules: tuple[RuleFields, ...]) -> None:
    """Copy the rules of the settings to where the others are."""
    named = {"names": [rule.name for rule in rules], "kinds": [rule.kind for rule in rules]}
    await connection.execute(_sql["drop_rules_of_settings"], named)
    for rule in rules:
        terms = rule.model_dump() | {"id": uuid7()}
        await connection.execute(_sql["put_rule_of_settings"], terms)


class _Book:
    """Where the changes of one rule are written."""

    def __init__(
        self, connection: Connection, settings: "Settings", rule: dict[str, Any], now: datetime
    ) -> None:
        self._connection = connection
        self._targets = [target.name for target in settings.alert_targets]
        self._rule = rule
        self._now = now
        silenced_until = rule["silenced_until"]
        self._is_silenced = silenced_until is not None and silenced_until > now
        self._problem: str | None = None

    async def bring_up_to_date(self, source: Source | None, before: dict[str, Standing]) -> int:
        """Read the rule and write what follows; return how many changes of state there were.

        Parameters
        ----------
        source
            ``None`` when there is no time left to read anything.
        """
        rule = self._rule
        if rule["deleted_at"] is not None or not rule["enabled"]:
            readings = dict.fromkeys(before, _OVER)
        else:
            readings = await self._read(source, before)
        changes = 0
        for subject, reading in readings.items():
            changes += await self._write(subject, before.get(subject), reading)
        terms = {"id": rule["id"], "now": self._now, "problem": self._problem}
        await self._connection.execute(_sql["note_evaluation"], terms)
        await self._connection.execute(_sql["remove_rule"], {"id": rule["id"]})
        return changes

    async def _read(self, source: Source | None, before: dict[str, Standing]) -> dict[str, Reading]:
        try:
            if source is None:
                raise Unreadable("reading the numbers of other rules took too long")
            async with self._connection.transaction():
                await self._connection.execute(_sql["limit_reading"])
                readings = await numbers.read(source, self._rule)
                await self._connection.execute(_sql["unlimit_reading"])
        except Unreadable as error:
            self._problem = str(error)
        except Error as error:
            if self._connection.broken:
                raise
            self._problem = f"PostgreSQL: {type(error).__name__}"
        except Exception as error:
            _log.exception("the numbers of an alert rule cannot be read")
            self._problem = type(error).__name__
        else:
            # Users who are no longer among the readings are well.
            gone = {subject: _OVER for subject in before if subject not in readings}
            return {**gone, **readings, NUMBERS: _READABLE}
        # What cannot be read is neither well nor not: the other states stay as they are.
        _log.warning("alert %r cannot be evaluated: %s", self._rule["name"], self._problem)
        return {NUMBERS: _UNREADABLE}

    def _limits(self, subject: str) -> Limits:
        rule = self._rule
        lasting = timedelta(seconds=rule["for_seconds"])
        if subject == NUMBERS:
            return Limits(1.0, 1.0, lasting, 0)
        threshold = rule["threshold"]
        below = rule["resolve_threshold"]
        return Limits(
            threshold, threshold if below is None else below, lasting, rule["minimum_calls"]
        )

    async def _write(self, subject: str, before: Standing | None, reading: Reading) -> bool:
        """Write the standing that follows from a reading; tell whether the state changed."""
        after = advance(before, reading, self._limits(subject), self._now)
        was = before.state if before else "ok"
        # That what has ended is over for an hour is no news.
        has_changed = after.state != was and (was, after.state) != ("resolved", "ok")
        tells = False
        if after.state == "firing" and not after.is_told and not self._is_silenced:
            # It may have begun in silence that has ended since.
            tells = True
            after = after._replace(is_told=True)
        elif after.state == "resolved" and has_changed and after.is_told:
            # Whoever was told that it fires is told that it does not, silence or not.
            tells = True
            after = after._replace(is_told=False)
        if has_changed or tells:
            await self._add_event(subject, after, tells)
        where = {"rule_id": self._rule["id"], "subject": subject}
        if after.state == "ok" and subject:
            if before is not None:
                await self._connection.execute(_sql["forget_state"], where)
        else:
            await self._connection.execute(_sql["put_state"], where | after._asdict())
        return has_changed

    async def _add_event(self, subject: str, after: Standing, tells: bool) -> None:
        rule = self._rule
        event_id = uuid7()
        await self._connection.execute(
            _sql["add_event"],
            {
                "id": event_id,
                "at": self._now,
                "rule_id": rule["id"],
                "alert_id": after.alert_id,
                "rule_name": rule["name"],
                "kind": rule["kind"],
                "severity": rule["severity"],
                "subject": subject,
                "state": after.state,
                "value": None if subject == NUMBERS else after.value,
                "threshold": rule["threshold"],
                "window_seconds": rule["window_seconds"],
                "problem": self._problem if subject == NUMBERS else None,
                "is_silenced": self._is_silenced,
            },
        )
        for target in self._targets if tells else ():
            terms = {
                "id": uuid7(),
                "event_id": event_id,
                "target": target,
                "now": self._now,
                "expires_at": self._now + EXPIRY,
            }
            await self._connection.execute(_sql["add_delivery"], terms)
