"""Making, listing, revoking and following links; what a link shows never tells whose it is.

Called by the api application. The token is in the link alone: PostgreSQL keeps its hash.
"""

import hashlib
import re
import secrets
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from tailrace.db import queries, statements
from tailrace.db.pool import Pool, transaction
from tailrace.ids import parse_uuid, uuid7
from tailrace.problems import Problem, invalid, must_find, not_found

_sql = queries.load("shares")

Row = dict[str, Any]

# A token says 256 bits; its first characters, which its owner still sees later, leave 220.
_TOKEN_BYTES = 32
_HINT_CHARS = 6
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")

_MAX_SHARES = 100


class Created(NamedTuple):
    """A new link: its row, and the token that is told this once."""

    share: Row
    token: str


async def create(
    pool: Pool,
    owner_id: UUID,
    conversation_id: UUID,
    *,
    message_id: str | None,
    shown_name: str | None,
    expires_at: datetime | None,
) -> Created:
    """Share the branch that ends in a message, as it is now.

    Parameters
    ----------
    message_id
        The last message to show, by the id its client knows it by or its own; ``None`` for the
        end of the active branch.
    shown_name
        What the link tells of its owner; ``None`` for nothing.

    Raises
    ------
    Problem
        404 when there is no such conversation of this owner, 422 when there is no such message or
        none at all, 409 while an answer of the branch is under way or when there are too many
        links.
    """
    ids = {"conversation_id": conversation_id, "owner_id": owner_id}
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    async with transaction(pool) as connection:
        cursor = await connection.execute(_sql["lock_conversation"], ids)
        conversation = must_find("conversation", await cursor.fetchone())
        if conversation["shares"] >= _MAX_SHARES:
            raise Problem(
                409,
                "Conflict",
                f"A conversation has at most {_MAX_SHARES} links. Revoke one first.",
            )
        last_id = conversation["active_leaf_id"]
        if message_id is not None:
            cursor = await connection.execute(
                _sql["find_message"],
                {**ids, "message_id": message_id, "message_uuid": parse_uuid(message_id)},
            )
            found = await cursor.fetchone()
            last_id = found and found["id"]
        if last_id is None:
            raise invalid("message_id", "There is no such message to share.")
        cursor = await connection.execute(_sql["branch_ids"], {**ids, "message_id": last_id})
        branch = await cursor.fetchone()
        assert branch is not None
        if branch["under_way"]:
            raise Problem(
                409,
                "Conflict",
                "An answer is under way. Share the conversation once it has ended.",
                headers={"Retry-After": "2"},
            )
        cursor = await connection.execute(
            _sql["create_share"],
            {
                **ids,
                "id": uuid7(),
                "token_hash": _hash(token),
                "token_hint": token[:_HINT_CHARS],
                "title": conversation["title"],
                "message_ids": branch["message_ids"],
                "shown_name": shown_name,
                "expires_at": expires_at,
            },
        )
        share = await cursor.fetchone()
    assert share is not None
    return Created(share, token)


async def list_page(
    pool: Pool,
    owner_id: UUID,
    conversation_id: UUID,
    limit: int,
    before: statements.TimeKey | None,
) -> list[Row]:
    """Return up to `limit` links made before `before`, the newest first."""
    scope = {"conversation_id": conversation_id, "owner_id": owner_id}
    terms = {**scope, "limit": limit, **statements.before(before)}
    return await statements.fetch_all(pool, _sql["list_shares"], terms)


async def revoke(pool: Pool, owner_id: UUID, conversation_id: UUID, share_id: UUID) -> None:
    """Make a link lead nowhere, for good.

    Raises
    ------
    Problem
        404 when there is no such link of this owner.
    """
    terms = {"id": share_id, "conversation_id": conversation_id, "owner_id": owner_id}
    if not await statements.execute(pool, _sql["revoke_share"], terms):
        raise not_found("link")


async def revoke_all(pool: Pool, owner_id: UUID, conversation_id: UUID) -> None:
    """Make every link to a conversation lead nowhere; none is no error."""
    terms = {"conversation_id": conversation_id, "owner_id": owner_id}
    await statements.execute(pool, _sql["revoke_shares"], terms)


async def find(pool: Pool, token: str) -> list[Row]:
    """Return what a link shows: a row for each of its messages that is still there.

    Raises
    ------
    Problem
        410 when it ran out; 404, the same for a link that never was, was revoked, shows nothing
        any more, or is of a disabled account.
    """
    rows = await statements.fetch_all(pool, _sql["find_shared"], {"token_hash": _known(token)})
    if not rows:
        raise not_found("link")
    if rows[0]["has_expired"]:
        raise Problem(410, "Gone", "This link ran out.")
    return rows


async def find_file(pool: Pool, token: str, place: int, number: int) -> Row:
    """Return the ``part`` of one file that a link shows, and its ``owner_id``.

    Parameters
    ----------
    place, number
        Which message of the link, and which part of it, both counted from 1.

    Raises
    ------
    Problem
        404 when the link leads nowhere, or shows no such file.
    """
    terms = {"token_hash": _known(token), "place": place, "number": number}
    return must_find("file", await statements.fetch_one(pool, _sql["find_shared_file"], terms))


def _known(token: str) -> bytes:
    if _TOKEN.fullmatch(token) is None:
        raise not_found("link")
    return _hash(token)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
