"""Users: registration, sign-in by password, a change of password, and what an admin changes.

Imported by the api function alone.
"""

from typing import Any, Literal
from uuid import UUID

from tailrace.auth import passwords
from tailrace.auth.resets import hash_token
from tailrace.db import queries, statements
from tailrace.db.pool import Connection, Pool, transaction
from tailrace.ids import uuid7
from tailrace.problems import Problem, invalid, must_find

_sql = queries.load("auth")
_keys_sql = queries.load("keys")
_identities_sql = queries.load("identities")
_resets_sql = queries.load("resets")


async def register(pool: Pool, email: str, password: str, *, is_open: bool) -> dict[str, Any]:
    """Create a user; the first one is the admin.

    Parameters
    ----------
    is_open
        Whether anybody may register; the very first user may in any case.

    Returns
    -------
    dict
        ``id``, ``email`` and ``role``.

    Raises
    ------
    Problem
        403 when registration is closed, 409 on ``email`` when it is taken.
    """
    if not is_open and await _has_users(pool):
        raise registration_closed()
    password_hash = await passwords.hash(password)
    async with transaction(pool) as connection:
        user = await create(connection, email, password_hash, verified=False, is_open=is_open)
    if user is None:
        raise Problem(409, "Conflict", "This email address is registered.", field="email")
    return user


async def create(
    connection: Connection,
    email: str,
    password_hash: str | None,
    *,
    verified: bool,
    is_open: bool,
) -> dict[str, Any] | None:
    """Add a user within the caller's transaction; ``None`` when the email is taken.

    Raises
    ------
    Problem
        403 when registration is closed and somebody has an account.
    """
    await connection.execute(_sql["lock_users"])
    cursor = await connection.execute(_sql["has_users"])
    counted = await cursor.fetchone()
    if not is_open and counted is not None and counted["any"]:
        raise registration_closed()
    cursor = await connection.execute(
        _sql["create_user"],
        {"id": uuid7(), "email": email, "password_hash": password_hash, "verified": verified},
    )
    return await cursor.fetchone()


def registration_closed() -> Problem:
    """Return the problem of a door that is closed."""
    return Problem(403, "Registration closed", "New accounts cannot be made here.")


async def authenticate(pool: Pool, email: str, password: str) -> dict[str, Any]:
    """Return ``id``, ``email`` and ``role`` of the user with this email and password.

    A hash made with parameters that have moved on since is renewed.

    Raises
    ------
    Problem
        401, the same for an unknown email and a wrong password; 403 for the right password of a
        disabled account.
    """
    user = await statements.fetch_one(pool, _sql["find_user_by_email"], {"email": email})
    stored = user["password_hash"] if user else None
    valid, renewed = await passwords.verify(password, stored)
    if user is None or not valid:
        raise Problem(401, "Not signed in", "The email address or the password is wrong.")
    if user["disabled_at"] is not None:
        raise Problem(403, "Account disabled", "This account is disabled.")
    if renewed is not None:
        terms = {"id": user["id"], "password_hash": renewed, "old": stored}
        await statements.execute(pool, _sql["renew_password_hash"], terms)
    return user


async def has_password(pool: Pool, user_id: UUID) -> bool:
    """Tell whether a user can sign in with a password."""
    return await _password_hash(pool, user_id) is not None


async def change_password(
    pool: Pool, user_id: UUID, session_id: UUID | None, current: str, new: str
) -> None:
    """Change a password, and end every session but one.

    Raises
    ------
    Problem
        422 on ``current_password`` when it is wrong, 409 when the account has none.
    """
    stored = await _password_hash(pool, user_id)
    if stored is None:
        raise Problem(
            409, "No password", "This account has no password. Ask for a reset link to set one."
        )
    valid, _ = await passwords.verify(current, stored)
    if not valid:
        raise invalid("current_password", "The password is wrong.")
    password_hash = await passwords.hash(new)
    async with transaction(pool) as connection:
        await _set_password(connection, user_id, password_hash, keep_session=session_id)


async def reset_password(pool: Pool, token: str, password: str) -> None:
    """Spend the token of a link (`tailrace.auth.resets`), set a password, and end every session.

    The user proved to own the address, since the token was nowhere but in the mail.

    Raises
    ------
    Problem
        422 on ``token`` when it was used or has expired.
    """
    password_hash = await passwords.hash(password)
    async with transaction(pool) as connection:
        cursor = await connection.execute(
            _resets_sql["use_reset"], {"token_hash": hash_token(token)}
        )
        row = await cursor.fetchone()
        if row is None:
            raise invalid("token", "This link was used or has expired. Ask for a new one.")
        await prove_email(connection, row["user_id"])
        await _set_password(connection, row["user_id"], password_hash, keep_session=None)


async def prove_email(connection: Connection, user_id: UUID) -> None:
    """Note, in the caller's transaction, that the user proved to own the account's address.

    At the first time, every other way into the account ends: whoever made it may have typed
    somebody else's address, and must not stay when the owner comes.
    """
    cursor = await connection.execute(_sql["verify_email"], {"id": user_id})
    if await cursor.fetchone() is None:
        return
    await connection.execute(_sql["set_password_hash"], {"id": user_id, "password_hash": None})
    await connection.execute(_sql["end_sessions_of"], {"user_id": user_id, "except_id": None})
    for statement in (_keys_sql["revoke_keys_of"], _identities_sql["unlink_identities_of"]):
        await connection.execute(statement, {"user_id": user_id})


async def list_page(
    pool: Pool, limit: int, before: statements.TimeKey | None
) -> list[dict[str, Any]]:
    """Return up to `limit` of all users, the newest first; for admins alone.

    Parameters
    ----------
    before
        ``created_at`` and ``id`` of the last user of the page before.
    """
    terms = {"limit": limit, **statements.before(before)}
    return await statements.fetch_all(pool, _sql["list_users"], terms)


async def change(
    pool: Pool, user_id: UUID, role: Literal["user", "admin"] | None, disabled: bool | None
) -> dict[str, Any]:
    """Change a user's role, or whether the account is disabled; for admins alone.

    A disabled user's sessions end; keys work again when the account does.

    Raises
    ------
    Problem
        404 when there is no such user, 409 when nobody would be left to administer.
    """
    async with transaction(pool) as connection:
        await connection.execute(_sql["lock_users"])
        cursor = await connection.execute(
            _sql["change_user"], {"id": user_id, "role": role, "disabled": disabled}
        )
        user = must_find("user", await cursor.fetchone())
        cursor = await connection.execute(_sql["count_admins"])
        admins = await cursor.fetchone()
        if admins is not None and not admins["count"]:
            raise Problem(409, "Last admin", "Somebody must stay who can administer.")
        if disabled:
            ended = {"user_id": user_id, "except_id": None}
            await connection.execute(_sql["end_sessions_of"], ended)
            await connection.execute(_resets_sql["delete_resets_of"], {"user_id": user_id})
    return user


async def _password_hash(pool: Pool, user_id: UUID) -> str | None:
    user = await statements.fetch_one(pool, _sql["find_password_hash"], {"id": user_id})
    return user["password_hash"] if user else None


async def _set_password(
    connection: Connection, user_id: UUID, password_hash: str, *, keep_session: UUID | None
) -> None:
    """Set a password, and end every session but one and the links that were sent."""
    await connection.execute(
        _sql["set_password_hash"], {"id": user_id, "password_hash": password_hash}
    )
    await connection.execute(
        _sql["end_sessions_of"], {"user_id": user_id, "except_id": keep_session}
    )
    await connection.execute(_resets_sql["delete_resets_of"], {"user_id": user_id})


async def _has_users(pool: Pool) -> bool:
    row = await statements.fetch_one(pool, _sql["has_users"], {})
    return row is not None and row["any"]
