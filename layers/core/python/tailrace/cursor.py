"""Cursors of lists: where the next page begins, as one opaque word."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from uuid import UUID

import msgspec

from tailrace.problems import invalid

_decoder = msgspec.json.Decoder(tuple[datetime, UUID])


def encode(time: datetime, id: UUID) -> str:
    """Return the cursor of the row with this sort key."""
    return urlsafe_b64encode(msgspec.json.encode((time, id))).decode().rstrip("=")


def decode(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Return the sort key in a cursor.

    Raises
    ------
    Problem
        422 on ``cursor`` when it was not made by `encode`.
    """
    if cursor is None:
        return None
    try:
        time, id = _decoder.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, msgspec.MsgspecError):
        raise invalid("cursor", "Not a cursor of this list.") from None
    if time.tzinfo is None:
        raise invalid("cursor", "Not a cursor of this list.")
    return time, id
