"""Deleting an account: the person and all they wrote go, the numbers of their calls stay.

Called by the api application, and by maintenance for events that were on their way.
"""

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from tailrace.db import queries, statements
from tailrace.db.pool import connect, transaction
from tailrace.problems import Problem, invalid
from tailrace.runs import journal
from tailrace.valkey import UNREACHABLE

if TYPE_CHECKING:
    from tailrace.services import Services

_sql = queries.load("erasure")
_users_sql = queries.load("auth")

# Somebody without a password signs in again and then has so long.
_RECENT = timedelta(minutes=10)
# An event waits in a queue for minutes, or as long as ingestion is broken.
_REMEMBERED = timedelta(days=30)


async def delete_account(
    services: "Services", owner_id: UUID, session_id: UUID | None, password: str | None
) -> None:
    """Delete a user with everything of theirs, in one transaction.

    Parameters
    ----------
    session_id
        The session that asks.
    password
        The user's; not needed by who has none and signed in just now.

    Raises
    ------
    Problem
        422 on ``password`` when it is wrong, 403 when a new sign-in is needed, 409 when nobody
        would be left to administer.
    """
    email = await _require_proof(services, owner_id, session_id, password)
    terms = {"owner_id": owner_id}
    async with transaction(services.pool) as connection:
        await connection.execute(_users_sql["lock_users"])
        await connection.execute(_sql["erase_owner"], terms)
        cursor = await connection.execute(_sql["stop_runs"], terms)
        under_way = [row["id"] for row in await cursor.fetchall()]
        await connection.execute(_sql["forget_calls"], terms)
        await connection.execute(_sql["forget_dead_letters"], {"needle": str(owner_id).encode()})
        await connection.execute(_sql["forget_reset_requests"], {"email": email})
        await connection.execute(_sql["delete_account"], terms)
        cursor = await connection.execute(_users_sql["has_users"])
        others = await cursor.fetchone()
        cursor = await connection.execute(_users_sql["count_admins"])
        admins = await cursor.fetchone()
        if others and others["any"] and admins and not admins["count"]:
            raise Problem(409, "Last admin", "Somebody must stay who can administer.")
    # Without Valkey they read the rows just written.
    with suppress(*UNREACHABLE):
        for id in under_way:
            await journal.request_cancel(services.redis, id, services.settings.journal_ttl)


async def forget_late_events(services: "Services") -> int:
    """Take erased owners out of events that arrived since; return how many there were.

    Raises
    ------
    Problem
        503 when PostgreSQL cannot be reached.
    """
    async with connect(services.pool) as connection:
        forgotten = await connection.execute(_sql["forget_late_calls"])
        for statement in ("rollups", "dead_letters", "alerts", "alert_states"):
            await connection.execute(_sql[f"forget_late_{statement}"])
        await connection.execute(_sql["forget_erased_owners"], {"older_than": _REMEMBERED})
    return forgotten.rowcount


async def _require_proof(
    services: "Services", owner_id: UUID, session_id: UUID | None, password: str | None
) -> str:
    """Raise unless it is the user who asks; return the email address."""
    # Heavy, and no need of maintenance's.
    from tailrace.auth import passwords

    terms = {"owner_id": owner_id, "session_id": session_id, "recent": _RECENT}
    account = await statements.fetch_one(services.pool, _sql["find_account"], terms)
    if account is None:
        raise Problem(401, "Not signed in", "This account is gone.")
    if account["password_hash"] is None:
        if not account["is_recent"]:
            raise Problem(403, "Sign in again", "Sign in again, then delete the account.")
        return account["email"]
    if password is None:
        raise invalid("password", "The password is needed to delete the account.")
    valid, _ = await passwords.verify(password, account["password_hash"])
    if not valid:
        raise invalid("password", "The password is wrong.")
    return account["email"]
