"""What its reader thinks of an answer: a thumb and a note.

Called by the api application. An answer's id is its run's and its inference event's, so that what
was rated can be found among the calls.
"""

from typing import Literal
from uuid import UUID

from tailrace.conversations import store
from tailrace.db import queries, statements
from tailrace.db.pool import Pool
from tailrace.problems import must_find, not_found

_sql = queries.load("conversations")

Rating = Literal["up", "down"]


async def put(
    pool: Pool,
    owner_id: UUID,
    conversation_id: UUID,
    message_id: UUID,
    rating: Rating,
    note: str | None,
) -> store.Row:
    """Set rating and note of an answer, in place of earlier ones, and return them.

    Raises
    ------
    Problem
        404 when there is no such answer of this owner, 503 when the database is down.
    """
    terms = _terms(owner_id, conversation_id, message_id)
    terms |= {"rating": rating, "note": note}
    return must_find("answer", await statements.fetch_one(pool, _sql["put_feedback"], terms))


async def delete(pool: Pool, owner_id: UUID, conversation_id: UUID, message_id: UUID) -> None:
    """Take rating and note of an answer back.

    Raises
    ------
    Problem
        404 when there is none of this owner, 503 when the database is down.
    """
    terms = _terms(owner_id, conversation_id, message_id)
    if not await statements.execute(pool, _sql["delete_feedback"], terms):
        raise not_found("feedback")


def _terms(owner_id: UUID, conversation_id: UUID, message_id: UUID) -> store.Row:
    return {"owner_id": owner_id, "conversation_id": conversation_id, "message_id": message_id}
