"""Passwords: argon2 through pwdlib, in threads, since a hash takes a core for some 50 ms.

Imported by the api function alone: the chat function never sees a password.
"""

import asyncio

from pwdlib import PasswordHash

_hasher = PasswordHash.recommended()

# Verified when there is no hash to verify, so that the time taken does not tell who exists.
_DECOY = _hasher.hash("a password that nobody has")


async def hash(password: str) -> str:
    """Return a password's hash under today's parameters."""
    return await asyncio.to_thread(_hasher.hash, password)


async def verify(password: str, stored: str | None) -> tuple[bool, str | None]:
    """Check a password.

    Parameters
    ----------
    stored
        The hash to check against; ``None`` takes as long and is always wrong.

    Returns
    -------
    tuple
        Whether it is right, and its hash under today's parameters when these have moved on.
    """
    valid, renewed = await asyncio.to_thread(_hasher.verify_and_update, password, stored or _DECOY)
    return valid and stored is not None, renewed
