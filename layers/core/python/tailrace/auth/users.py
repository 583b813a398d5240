"""Users: registration and the check of a password (argon2 through pwdlib).

Imported by the api function alone: the chat function never sees a password.
"""

import asyncio
from typing import Any

from pwdlib import PasswordHash

from tailrace.db import queries
from tailrace.db.pool import Pool, connect, transaction
from tailrace.ids import uuid7
from tailrace.problems import Problem

_sql = queries.load("auth")
_hasher = PasswordHash.recommended()

# Verified when no user has the email, so that the time taken does not tell who exists.
_DECOY = _hasher.hash("a password that nobody has")


async def register(pool: Pool, email: str, password: str) -> dict[str, Any]:
    """Create a user; the first one is the admin.

    Returns
    -------
    dict
        ``id``, ``email`` and ``role``.

    Raises
    ------
    Problem
        409 on ``email`` when it is taken.
    """
    password_hash = await asyncio.to_thread(_hasher.hash, password)
    async with transaction(pool) as connection:
        await connection.execute(_sql["lock_users"])
        cursor = await connection.execute(
            _sql["create_user"], {"id": uuid7(), "email": email, "password_hash": password_hash}
        )
        user = await cursor.fetchone()
    if user is None:
        raise Problem(409, "Conflict", "This email address is registered.", field="email")
    return user


async def authenticate(pool: Pool, email: str, password: str) -> dict[str, Any]:
    """Return ``id``, ``email`` and ``role`` of the user with this email and password.

    A hash made with parameters that have moved on since is renewed.

    Raises
    ------
    Problem
        401, the same for an unknown email and a wrong password.
    """
    async with connect(pool) as connection:
        cursor = await connection.execute(_sql["find_user_by_email"], {"email": email})
        user = await cursor.fetchone()
    stored = user["password_hash"] if user else _DECOY
    valid, renewed = await asyncio.to_thread(_hasher.verify_and_update, password, stored)
    if user is None or not valid:
        raise Problem(401, "Not signed in", "The email address or the password is wrong.")
    if renewed is not None:
        async with connect(pool) as connection:
            await connection.execute(
                _sql["renew_password_hash"], {"id": user["id"], "password_hash": renewed}
            )
    return user
