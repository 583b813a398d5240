"""Rules and history, as an admin sees and changes them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from tailrace.alerts.rules import RuleFields
from tailrace.db import queries, statements
from tailrace.db.pool import Connection, Pool, connect, transaction
from tailrace.ids import uuid7
from tailrace.problems import Problem, invalid, must_find, not_found
from tailrace.validation import sentence

_sql = queries.load("alerts")

Row = dict[str, Any]

# Each is read at every maintenance.
_MOST = 200
# Any constant does, as long as nothing else in the database takes the same lock.
_LOCK = 0x7461_696C_7275_6C65
# Subjects of one rule that are shown.
_SHOWN = 100


async def list_rules(pool: Pool, limit: int, after: statements.TimeKey | None) -> list[Row]:
    """Return rules, the oldest first, each with its ``states``, the worst first.

    Raises
    ------
    Problem
        503 when the database cannot be reached.
    """
    after_time, after_id = after or (None, None)
    terms = {"limit": limit, "after_time": after_time, "after_id": after_id}
    async with connect(pool) as connection:
        rules = await (await connection.execute(_sql["list_rules"], terms)).fetchall()
        return await _with_states(connection, rules)


async def create(pool: Pool, fields: RuleFields) -> Row:
    """Add a rule.

    Raises
    ------
    Problem
        409 when there is one of that name, or too many.
    """
    async with transaction(pool) as connection:
        await connection.execute(_sql["lock_rules"], {"key": _LOCK})
        count = await (await connection.execute(_sql["count_rules"])).fetchone()
        if count and count["count"] >= _MOST:
            raise Problem(409, "Too many rules", f"There can be {_MOST} rules.")
        terms = fields.model_dump() | {"id": uuid7()}
        rule = await (await connection.execute(_sql["create_rule"], terms)).fetchone()
        if rule is None:
            raise _taken()
        return rule | {"states": []}


async def change(pool: Pool, id: UUID, changes: dict[str, Any]) -> Row:
    """Change fields of a rule, by their names in `RuleFields`.

    Raises
    ------
    Problem
        404 when there is none, 409 when it is the settings' or the name is taken, 422 when it
        would be a rule that cannot be.
    """
    async with transaction(pool) as connection:
        rule = await _own(connection, id)
        try:
            fields = RuleFields(**_fields_of(rule) | changes)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "threshold"
            raise invalid(where, sentence(first)) from None
        if fields.name != rule["name"] and await _is_taken(connection, fields.name):
            raise _taken()
        terms = fields.model_dump() | {"id": id}
        changed = await (await connection.execute(_sql["change_rule"], terms)).fetchall()
        return (await _with_states(connection, changed))[0]


async def delete(pool: Pool, id: UUID) -> None:
    """Delete a rule; what it has set off ends at the next maintenance.

    Raises
    ------
    Problem
        404 when there is none, 409 when it is the settings'.
    """
    async with transaction(pool) as connection:
        await _own(connection, id)
        await connection.execute(_sql["delete_rule"], {"id": id})


async def silence(pool: Pool, id: UUID, until: datetime | None) -> Row:
    """Tell nobody of a rule until some time, or from now on again; also a rule of the settings.

    Raises
    ------
    Problem
        404 when there is none.
    """
    async with connect(pool) as connection:
        terms = {"id": id, "until": until}
        changed = await (await connection.execute(_sql["silence_rule"], terms)).fetchall()
        if not changed:
            raise not_found("alert rule")
        return (await _with_states(connection, changed))[0]


async def list_events(
    pool: Pool, limit: int, before: statements.TimeKey | None, rule_id: UUID | None
) -> list[Row]:
    """Return the changes of states, the newest first, each with its ``deliveries``.

    Raises
    ------
    Problem
        503 when the database cannot be reached.
    """
    terms = {"limit": limit, "rule_id": rule_id, **statements.before(before)}
    async with connect(pool) as connection:
        events = await (await connection.execute(_sql["list_events"], terms)).fetchall()
        ids = {"ids": [event["id"] for event in events]}
        told = await (await connection.execute(_sql["deliveries_of_events"], ids)).fetchall()
    return [
        event | {"deliveries": [each for each in told if each["event_id"] == event["id"]]}
        for event in events
    ]


async def _own(connection: Connection, id: UUID) -> Row:
    """Return a rule that an admin may change, locked."""
    cursor = await connection.execute(_sql["read_rule"], {"id": id})
    rule = must_find("alert rule", await cursor.fetchone())
    if rule["source"] == "settings":
        raise Problem(
            409, "Set elsewhere", "This rule is in TAILRACE_ALERTS: change it there, or silence it."
        )
    return rule


async def _is_taken(connection: Connection, name: str) -> bool:
    await connection.execute(_sql["lock_rules"], {"key": _LOCK})
    cursor = await connection.execute(_sql["find_name"], {"name": name})
    return await cursor.fetchone() is not None


def _taken() -> Problem:
    return Problem(409, "Name taken", "There is a rule of this name.", field="name")


def _fields_of(rule: Row) -> dict[str, Any]:
    named = {name: rule[name] for name in RuleFields.model_fields if name in rule}
    return named | {"window": rule["window_seconds"]}


async def _with_states(connection: Connection, rules: list[Row]) -> list[Row]:
    ids = {"ids": [rule["id"] for rule in rules]}
    states = await (await connection.execute(_sql["states_of_rules"], ids)).fetchall()
    return [
        rule | {"states": [state for state in states if state["rule_id"] == rule["id"]][:_SHOWN]}
        for rule in rules
    ]
