"""Whose account a person has whom an identity provider vouches for.

Known by issuer and subject; the first time, by an email address that the provider verified.
"""

from typing import Any

from tailrace.auth import emails, users
from tailrace.auth.oidc import Identity, SignInRefused
from tailrace.db import queries
from tailrace.db.pool import Connection, Pool, connect, transaction
from tailrace.problems import Problem

_sql = queries.load("identities")
_users_sql = queries.load("auth")


async def sign_in(pool: Pool, identity: Identity, *, is_open: bool) -> dict[str, Any]:
    """Return ``id``, ``email`` and ``role`` of a person's account, making it the first time.

    Parameters
    ----------
    is_open
        Whether anybody may have an account made.

    Raises
    ------
    SignInRefused
        When the account is disabled, or none can be made or taken.
    """
    async with connect(pool) as connection:
        user = await _find(connection, identity)
    if user is None:
        async with transaction(pool) as connection:
            await connection.execute(_users_sql["lock_users"])
            user = await _find(connection, identity)
            user = user or await _link(connection, identity, is_open=is_open)
    if user.get("disabled_at") is not None:
        raise SignInRefused("account_disabled")
    return user


async def _find(connection: Connection, identity: Identity) -> dict[str, Any] | None:
    cursor = await connection.execute(
        _sql["find_identity_user"], {"issuer": identity.issuer, "subject": identity.subject}
    )
    return await cursor.fetchone()


async def _link(connection: Connection, identity: Identity, *, is_open: bool) -> dict[str, Any]:
    email = emails.normal(identity.email or "")
    if email is None:
        raise SignInRefused("no_email")
    cursor = await connection.execute(_users_sql["find_user_by_email"], {"email": email})
    user = await cursor.fetchone()
    if user is not None:
        if not identity.email_verified:
            raise SignInRefused("unverified_email")
        if user["disabled_at"] is not None:
            raise SignInRefused("account_disabled")
        await users.prove_email(connection, user["id"])
    else:
        try:
            user = await users.create(
                connection, email, None, verified=identity.email_verified, is_open=is_open
            )
        except Problem:
            raise SignInRefused("registration_closed") from None
        # Every account is made under the lock that is held here.
        assert user is not None
    await connection.execute(
        _sql["link_identity"],
        {"issuer": identity.issuer, "subject": identity.subject, "user_id": user["id"]},
    )
    return user
