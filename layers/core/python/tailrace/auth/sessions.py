"""Sessions of users: an opaque id in a cookie, its hash in PostgreSQL."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

from tailrace.db import queries, statements
from tailrace.db.pool import Pool
from tailrace.ids import uuid7
from tailrace.problems import Problem, not_found

_sql = queries.load("auth")

# Long enough to tell a browser by.
_USER_AGENT_CHARS = 300


async def create(pool: Pool, user_id: UUID, ttl: int, user_agent: str | None = None) -> str:
    """Start a session of `ttl` seconds and return its secret, which is kept nowhere.

    Raises
    ------
    Problem
        403 when the account is disabled.
    """
    secret = secrets.token_urlsafe(32)
    kept = user_agent.replace("\0", "")[:_USER_AGENT_CHARS] if user_agent else None
    terms = {
        "id": uuid7(),
        "id_hash": _hash(secret),
        "user_id": user_id,
        "ttl": timedelta(seconds=ttl),
        "user_agent": kept or None,
    }
    if not await statements.execute(pool, _sql["create_session"], terms):
        raise Problem(403, "Account disabled", "This account is disabled.")
    return secret


async def find_user(pool: Pool, secret: str) -> dict[str, Any] | None:
    """Return id, email, role and session_id of the user of a session that has not ended."""
    return await statements.fetch_one(pool, _sql["find_session_user"], {"id_hash": _hash(secret)})


async def list_page(
    pool: Pool, user_id: UUID, limit: int, before: statements.TimeKey | None
) -> list[dict[str, Any]]:
    """Return up to `limit` sessions of a user that have not ended, the newest first.

    Parameters
    ----------
    before
        ``created_at`` and ``id`` of the last session of the page before.
    """
    terms = {"user_id": user_id, "limit": limit, **statements.before(before)}
    return await statements.fetch_all(pool, _sql["list_sessions"], terms)


async def end(pool: Pool, secret: str) -> None:
    """End the session of a cookie; one that has ended already is no error."""
    await statements.execute(pool, _sql["end_session"], {"id_hash": _hash(secret)})


async def end_one(pool: Pool, user_id: UUID, session_id: UUID) -> None:
    """End one session of a user.

    Raises
    ------
    Problem
        404 when the user has no such session.
    """
    terms = {"id": session_id, "user_id": user_id}
    if not await statements.execute(pool, _sql["end_session_of"], terms):
        raise not_found("session")


async def end_all(pool: Pool, user_id: UUID) -> None:
    """End every session of a user."""
    terms = {"user_id": user_id, "except_id": None}
    await statements.execute(pool, _sql["end_sessions_of"], terms)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
