"""Quotas of users and the budget of all: tokens and USD by day and month, counted in PostgreSQL.

The database counts what ingestion inserts, in the transaction that inserts it, and decides in the
statement that opens a run (the SQL function `require_quota`), so that a chat pays no round trip.
Days and months are those of UTC, and a call counts when it began.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple, get_args
from uuid import UUID

import msgspec
from psycopg import DatabaseError

from tailrace.db import queries, statements
from tailrace.db.pool import Pool
from tailrace.problems import Problem, must_find, not_found
from tailrace.settings import Settings

_sql = queries.load("usage")

QuotaName = Literal["tokens_per_day", "tokens_per_month", "usd_per_day", "usd_per_month"]
#: Quotas of a user.
QUOTAS: tuple[QuotaName, ...] = get_args(QuotaName)

#: A quota that an admin gave without an end.
UNLIMITED = Decimal("Infinity")

# What `require_quota` raises.
_REFUSED = "TR429"
# Seconds after which an answer under way may have ended.
_WHEN_PENDING = 5

_NOUNS = {
    "tokens": "your tokens",
    "usd": "what your calls may cost",
    "budget_usd": "the budget of this service",
}


#: What `require_quota` is told where nothing is limited.
NO_TERMS: dict[str, Any] = dict.fromkeys(
    ("quota_user_id", "reserve", *QUOTAS, "budget_usd_per_day", "budget_usd_per_month")
)


class _Detail(msgspec.Struct):
    quota: str
    is_pending: bool
    resets_on: date


class Quota(NamedTuple):
    """One quota of a user.

    Attributes
    ----------
    limit
        Tokens or USD, ``None`` when there is no end.
    is_own
        An admin gave it to this user, in place of the settings.
    unpriced_calls
        Calls whose price is unknown, of which `used` tells nothing; none of a quota in tokens.
    """

    name: QuotaName
    used: Decimal
    limit: Decimal | None
    is_own: bool
    resets_at: datetime
    unpriced_calls: int


class Usage(NamedTuple):
    """What a user has used.

    Attributes
    ----------
    pending_tokens
        Tokens of calls that are not counted yet: under way, or waiting for ingestion.
    """

    quotas: list[Quota]
    pending_tokens: Decimal


def terms(settings: Settings, user_id: UUID | None) -> dict[str, Any]:
    """Return what `require_quota` is told when a run opens.

    Parameters
    ----------
    user_id
        ``None`` for a guest, for whom only the budget holds.
    """
    own = {name: getattr(settings, f"user_{name}") for name in QUOTAS} if user_id else {}
    return {
        **NO_TERMS,
        **own,
        "quota_user_id": user_id,
        "reserve": settings.max_output_tokens,
        "budget_usd_per_day": settings.budget_usd_per_day,
        "budget_usd_per_month": settings.budget_usd_per_month,
    }


@contextmanager
def refusals() -> Iterator[None]:
    """Turn the refusal of a run that would open into a problem.

    Raises
    ------
    Problem
        429 with ``Retry-After`` and a sentence that names the quota and when it begins anew.
    """
    try:
        yield
    except DatabaseError as error:
        if error.sqlstate != _REFUSED:
            raise
        raise _problem_of(error) from None


async def read(pool: Pool, settings: Settings, user_id: UUID) -> Usage:
    """Return what a user has used of what.

    Raises
    ------
    Problem
        404 when there is no such user, 503 when the database is down.
    """
    today = datetime.now(UTC).date()
    next_day, next_month = today + timedelta(days=1), _next_month(today)
    terms = {
        "user_id": user_id,
        "today": today,
        "this_month": today.replace(day=1),
        "next_month": next_month,
        "reserve": settings.max_output_tokens,
    }
    row = must_find("user", await statements.fetch_one(pool, _sql["read_usage"], terms))
    quotas = []
    for name in QUOTAS:
        limit = getattr(settings, f"user_{name}") if row[name] is None else row[name]
        quotas.append(
            Quota(
                name,
                row[name.replace("_per_", "_of_")],
                None if limit is None or limit == UNLIMITED else Decimal(limit),
                row[name] is not None,
                _midnight(next_month if name.endswith("month") else next_day),
                int(row[name.replace("usd_per_", "unpriced_of_")]) if name.startswith("usd") else 0,
            )
        )
    return Usage(quotas, row["pending_tokens"])


async def put(pool: Pool, user_id: UUID, given: dict[str, Decimal | None]) -> None:
    """Give a user quotas of their own; for admins alone.

    Parameters
    ----------
    given
        By name; ``None`` goes by the settings, `UNLIMITED` has no end.

    Raises
    ------
    Problem
        404 when there is no such user, 503 when the database is down.
    """
    terms = {"user_id": user_id, **{name: given.get(name) for name in QUOTAS}}
    if not await statements.execute(pool, _sql["put_quota"], terms):
        raise not_found("user")


def _problem_of(error: DatabaseError) -> Problem:
    detail = msgspec.json.decode(error.diag.message_detail or "", type=_Detail)
    what, _, period = detail.quota.rpartition("_per_")
    title = "Budget reached" if what == "budget_usd" else "Quota reached"
    noun, when = _NOUNS[what], "today" if period == "day" else "this month"
    resets_at = _midnight(detail.resets_on)
    if detail.is_pending:
        return Problem(
            429,
            title,
            f"The answers under way may use up {noun} for {when}. Wait until they have ended.",
            headers={"Retry-After": str(_WHEN_PENDING)},
        )
    wait = (resets_at - datetime.now(UTC)).total_seconds()
    verb, renewed = ("are", "They are") if what == "tokens" else ("is", "It is")
    return Problem(
        429,
        title,
        f"{noun[0].upper()}{noun[1:]} for {when} {verb} used up. "
        f"{renewed} renewed at {resets_at:%Y-%m-%d %H:%M} UTC.",
        headers={"Retry-After": str(max(1, round(wait)))},
    )


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
