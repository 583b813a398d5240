"""API keys: a secret that a program calls with, bounded by scopes, its hash in PostgreSQL.

A key reads ``tr_<prefix>_<secret>``. The prefix is kept and shown, so that keys can be told apart;
the whole key is shown once, when it is made. Imported by both HTTP applications.
"""

import hashlib
import re
import secrets
import string
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from tailrace.db import queries, statements
from tailrace.db.pool import Pool, transaction
from tailrace.ids import uuid7
from tailrace.problems import Problem, must_find, not_found

Scope = Literal["chat", "read", "write", "metrics", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

#: Keys of one user, at most.
MAX_KEYS = 100

_PREFIX_CHARS = 8
# 256 bits of letters and digits.
_SECRET_CHARS = 43
_KEY = re.compile(rf"tr_[a-z0-9]{{{_PREFIX_CHARS}}}_[A-Za-z0-9]{{{_SECRET_CHARS}}}", re.ASCII)

_sql = queries.load("keys")


async def create(
    pool: Pool, user_id: UUID, name: str, scopes: list[Scope], expires_at: datetime | None
) -> tuple[dict[str, Any], str]:
    """Add a key.

    Returns
    -------
    tuple
        The key as it is listed, and the secret that is kept nowhere.

    Raises
    ------
    Problem
        409 when the user has as many keys as one may have.
    """
    prefix = "".join(
        secrets.choice(string.ascii_lowercase + string.digits) for _ in range(_PREFIX_CHARS)
    )
    secret = "".join(
        secrets.choice(string.ascii_letters + string.digits) for _ in range(_SECRET_CHARS)
    )
    key = f"tr_{prefix}_{secret}"
    async with transaction(pool) as connection:
        cursor = await connection.execute(_sql["lock_user"], {"user_id": user_id})
        if await cursor.fetchone() is None:
            raise Problem(403, "Account disabled", "This account is disabled.")
        cursor = await connection.execute(_sql["count_keys"], {"user_id": user_id})
        counted = await cursor.fetchone()
        if counted is not None and counted["count"] >= MAX_KEYS:
            raise Problem(
                409, "Too many keys", f"An account has at most {MAX_KEYS} keys. Revoke one first."
            )
        cursor = await connection.execute(
            _sql["create_key"],
            {
                "id": uuid7(),
                "user_id": user_id,
                "name": name,
                "prefix": f"tr_{prefix}",
                "key_hash": _hash(key),
                "scopes": scopes,
                "expires_at": expires_at,
            },
        )
        row = await cursor.fetchone()
    assert row is not None
    return row, key


async def find_user(pool: Pool, key: str) -> dict[str, Any] | None:
    """Return id, email and role of the user of a key, its key_id and scopes.

    ``None`` for what is no key, or one that was revoked or has expired.
    """
    if not _KEY.fullmatch(key):
        return None
    return await statements.fetch_one(pool, _sql["find_key_user"], {"key_hash": _hash(key)})


async def list_page(
    pool: Pool, user_id: UUID, limit: int, before: statements.TimeKey | None
) -> list[dict[str, Any]]:
    """Return up to `limit` keys of a user, the newest first.

    Parameters
    ----------
    before
        ``created_at`` and ``id`` of the last key of the page before.
    """
    terms = {"user_id": user_id, "limit": limit, **statements.before(before)}
    return await statements.fetch_all(pool, _sql["list_keys"], terms)


async def change(pool: Pool, user_id: UUID, key_id: UUID, changes: dict[str, Any]) -> dict:
    """Change a key and return it.

    Parameters
    ----------
    changes
        Any of ``name``, ``scopes`` and ``expires_at``; ``None`` for the last lets it live on.

    Raises
    ------
    Problem
        404 when the user has no such key.
    """
    terms = {
        "id": key_id,
        "user_id": user_id,
        "name": changes.get("name"),
        "scopes": changes.get("scopes"),
        "set_expiry": "expires_at" in changes,
        "expires_at": changes.get("expires_at"),
    }
    return must_find("key", await statements.fetch_one(pool, _sql["change_key"], terms))


async def revoke(pool: Pool, user_id: UUID, key_id: UUID) -> None:
    """Delete a key.

    Raises
    ------
    Problem
        404 when the user has no such key.
    """
    terms = {"id": key_id, "user_id": user_id}
    if not await statements.execute(pool, _sql["revoke_key"], terms):
        raise not_found("key")


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
