"""Cursors of lists: where the next page begins, as one opaque word that is signed."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from itsdangerous import BadSignature, Signer

from tailrace.problems import invalid

_Key = TypeVar("_Key", bound=tuple[Any, ...])
_Row = TypeVar("_Row", bound=Mapping[str, Any])


def _by_time(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["created_at"], row["id"]


class Cursors:
    """Makes and reads cursors; what was not made with the same secret is none."""

    def __init__(self, secret_key: str) -> None:
        self._signer = Signer(secret_key, salt="tailrace.cursor", digest_method=hashlib.sha256)

    def encode(self, *key: object) -> str:
        """Return the cursor of the row with this sort key."""
        word = urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=")
        return self._signer.sign(word).decode()

    def page(
        self, rows: Sequence[_Row], limit: int, key: Callable[[_Row], tuple[Any, ...]] = _by_time
    ) -> tuple[Sequence[_Row], str | None]:
        """Cut off the row by which a list shows that it goes on.

        Parameters
        ----------
        rows
            What was read of the list: up to ``limit + 1`` rows.
        key
            Returns the sort key of a row; ``created_at`` and ``id`` if nothing is said.

        Returns
        -------
        tuple
            The rows of the page, and the cursor of the next one, ``None`` at the end.
        """
        page = rows[:limit]
        return page, self.encode(*key(page[-1])) if len(rows) > limit else None

    def decode(self, cursor: str | None) -> tuple[datetime, UUID] | None:
        """Return the sort key in a cursor of a list that is sorted by time.

        Raises
        ------
        Problem
            422 on ``cursor`` when it was not made by `encode`.
        """
        return self.decode_as(tuple[datetime, UUID], cursor)

    def decode_as(self, shape: type[_Key], cursor: str | None) -> _Key | None:
        """Return the sort key in a cursor, of a shape such as ``tuple[bool, datetime, UUID]``.

        Raises
        ------
        Problem
            422 on ``cursor`` when it was not made by `encode`, or for a list of another shape.
        """
        if cursor is None:
            return None
        try:
            word = self._signer.unsign(cursor).decode()
            return msgspec.json.decode(urlsafe_b64decode(word + "=" * (-len(word) % 4)), type=shape)
        except (BadSignature, ValueError, msgspec.MsgspecError):
            raise invalid("cursor", "Not a cursor of this list.") from None
