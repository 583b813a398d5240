"""Whose numbers a caller may see, and of when; for the routes of both applications."""

from datetime import datetime, timedelta
from uuid import UUID

from tailrace.auth.identity import Caller
from tailrace.problems import Problem, invalid

_DEFAULT_SPAN = timedelta(days=1)


def owner_of(caller: Caller, user_id: UUID | None) -> UUID | None:
    """Return whose calls are looked at: everybody's, as ``None``, for an admin who names nobody.

    Raises
    ------
    Problem
        403 when somebody else asks for another one's.
    """
    if caller.role == "admin":
        return user_id
    if user_id not in (None, caller.id):
        raise Problem(403, "Not permitted", "Only an admin can see the numbers of others.")
    return caller.id


def bounds(
    start: datetime | None, end: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    """Return a span of time, which is the day before its end where its start is not given.

    Raises
    ------
    Problem
        422 when there is no such day.
    """
    end = end or now
    try:
        return start or end - _DEFAULT_SPAN, end
    except OverflowError:
        raise invalid("to", "Too long ago.") from None
