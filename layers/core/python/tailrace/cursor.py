"""Cursors of lists: where the next page begins, as one opaque word."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from tailrace.problems import invalid

_Key = TypeVar("_Key", bound=tuple[Any, ...])


def encode(*key: object) -> str:
    """Return the cursor of the row with this sort key."""
    return urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def decode(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Return the sort key in a cursor of a list that is sorted by time.

    Raises
    ------
    Problem
        422 on ``cursor`` when it was not made by `encode`.
    """
    return decode_as(tuple[datetime, UUID], cursor)


def decode_as(shape: type[_Key], cursor: str | None) -> _Key | None:
    """Return the sort key in a cursor, of a shape such as ``tuple[bool, datetime, UUID]``.

    Raises
    ------
    Problem
        422 on ``cursor`` when it was not made by `encode`.
    """
    if cursor is None:
        return None
    try:
        key = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=shape)
    except (ValueError, msgspec.MsgspecError):
        raise invalid("cursor", "Not a cursor of this list.") from None
    if any(isinstance(value, datetime) and value.tzinfo is None for value in key):
        raise invalid("cursor", "Not a cursor of this list.")
    return key
