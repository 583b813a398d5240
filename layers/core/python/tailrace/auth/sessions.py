"""Sessions of users: an opaque id in a cookie, its hash in PostgreSQL."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

from tailrace.db import queries
from tailrace.db.pool import Pool, connect

_sql = queries.load("auth")


async def create(pool: Pool, user_id: UUID, ttl: int) -> str:
    """Start a session of `ttl` seconds and return its id, which is kept nowhere."""
    session_id = secrets.token_urlsafe(32)
    async with connect(pool) as connection:
        await connection.execute(
            _sql["create_session"],
            {"id_hash": _hash(session_id), "user_id": user_id, "ttl": timedelta(seconds=ttl)},
        )
    return session_id


async def find_user(pool: Pool, session_id: str) -> dict[str, Any] | None:
    """Return id, email and role of the user of a session that has not ended."""
    async with connect(pool) as connection:
        cursor = await connection.execute(_sql["find_session_user"], {"id_hash": _hash(session_id)})
        return await cursor.fetchone()


async def end(pool: Pool, session_id: str) -> None:
    """End a session; one that has ended already is no error."""
    async with connect(pool) as connection:
        await connection.execute(_sql["end_session"], {"id_hash": _hash(session_id)})


def _hash(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode()).digest()
