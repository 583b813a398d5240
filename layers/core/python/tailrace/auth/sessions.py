"""Sessions of users: an opaque id in a cookie, its hash in PostgreSQL."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tailrace.db import queries
from tailrace.db.pool import Pool, connect
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
    async with connect(pool) as connection:
        cursor = await connection.execute(
            _sql["create_session"],
            {
                "id": uuid7(),
                "id_hash": _hash(secret),
                "user_id": user_id,
                "ttl": timedelta(seconds=ttl),
                "user_agent": kept or None,
            },
        )
    if not cursor.rowcount:
        raise Problem(403, "Account disabled", "This account is disabled.")
    return secret


async def find_user(pool: Pool, secret: str) -> dict[str, Any] | None:
    """Return id, email, role and session_id of the user of a session that has not ended."""
    async with connect(pool) as connection:
        cursor = await connection.execute(_sql["find_session_user"], {"id_hash": _hash(secret)})
        return await cursor.fetchone()


async def list_page(
    pool: Pool, user_id: UUID, limit: int, before: tuple[datetime, UUID] | None
) -> list[dict[str, Any]]:
    """Return up to `limit` sessions of a user that have not ended, the newest first.

    Parameters
    ----------
    before
        ``created_at`` and ``id`` of the last session of the page before.
    """
    before_time, before_id = before or (None, None)
    async with connect(pool) as connection:
        cursor = await connection.execute(
            _sql["list_sessions"],
            {
                "user_id": user_id,
                "limit": limit,
                "before_time": before_time,
                "before_id": before_id,
            },
        )
        return await cursor.fetchall()


async def end(pool: Pool, secret: str) -> None:
    """End the session of a cookie; one that has ended already is no error."""
    async with connect(pool) as connection:
        await connection.execute(_sql["end_session"], {"id_hash": _hash(secret)})


async def end_one(pool: Pool, user_id: UUID, session_id: UUID) -> None:
    """End one session of a user.

    Raises
    ------
    Problem
        404 when the user has no such session.
    """
    async with connect(pool) as connection:
        cursor = await connection.execute(
            _sql["end_session_of"], {"id": session_id, "user_id": user_id}
        )
    if not cursor.rowcount:
        raise not_found("session")


async def end_all(pool: Pool, user_id: UUID) -> None:
    """End every session of a user."""
    async with connect(pool) as connection:
        await connection.execute(_sql["end_sessions_of"], {"user_id": user_id, "except_id": None})


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
