"""What callers have used of what they may, and the quotas that an admin gives."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from tailrace.auth.identity import Caller, client_address
from tailrace.http.api.deps import Admin, CurrentServices, require
from tailrace.http.api.paths import id_of
from tailrace.limits import quotas
from tailrace.metrics.money import usd
from tailrace.services import Services

router = APIRouter(tags=["usage"])

_Tokens = Annotated[int, Field(ge=0, le=10**15)]
_Usd = Annotated[Decimal, Field(ge=0, max_digits=20, decimal_places=12)]


class Rate(BaseModel):
    """A limit of messages: so many at once, and as many again in every window (seconds)."""

    name: str
    limit: int
    window: float
    remaining: int
    reset_after: float


class Quota(BaseModel):
    """A quota: tokens as numbers, USD as decimal strings.

    A limit of null has no end; one of the user's own was given by an admin. What unpriced calls
    cost is unknown, and so not in the USD that are used.
    """

    name: quotas.QuotaName
    used: int | str
    limit: int | str | None
    own: bool
    resets_at: datetime
    unpriced_calls: int


class UsageOfUser(BaseModel):
    """What a user has used; pending tokens are those of calls that are not counted yet."""

    quotas: list[Quota]
    pending_tokens: int


class Usage(UsageOfUser):
    """What the caller has used; rates are null while they cannot be told."""

    rates: list[Rate] | None


class QuotaChange(BaseModel):
    """A user's own quotas; null, or what is left out, goes by the settings."""

    model_config = ConfigDict(extra="forbid")

    tokens_per_day: _Tokens | Literal["unlimited"] | None = None
    tokens_per_month: _Tokens | Literal["unlimited"] | None = None
    usd_per_day: _Usd | Literal["unlimited"] | None = None
    usd_per_month: _Usd | Literal["unlimited"] | None = None


@router.get("/api/usage")
async def get_usage(
    request: Request,
    services: CurrentServices,
    caller: Annotated[Caller, require("read", guests=True)],
) -> Usage:
    """Tell what the caller has used, and what is left; a guest has no quotas."""
    standings = await services.limiter.standings(caller, client_address(request))
    rates = None
    if standings is not None:
        rates = [
            Rate(
                name=limit.name,
                limit=limit.limit,
                window=limit.window,
                remaining=taken.remaining,
                reset_after=taken.reset_after,
            )
            for limit, taken in standings
        ]
    if caller.kind == "guest":
        return Usage(quotas=[], pending_tokens=0, rates=rates)
    used = await _usage_of(services, caller.id)
    return Usage(quotas=used.quotas, pending_tokens=used.pending_tokens, rates=rates)


@router.get("/api/admin/users/{user_id}/quota")
async def get_quota(user_id: str, services: CurrentServices, caller: Admin) -> UsageOfUser:
    """Tell what a user has used of which quotas."""
    return await _usage_of(services, id_of("user", user_id))


@router.put("/api/admin/users/{user_id}/quota")
async def put_quota(
    user_id: str, body: QuotaChange, services: CurrentServices, caller: Admin
) -> UsageOfUser:
    """Give a user quotas in place of the settings; nothing given takes them back."""
    id = id_of("user", user_id)
    given = {
        name: quotas.UNLIMITED if value == "unlimited" else value
        for name, value in body.model_dump().items()
    }
    await quotas.put(services.pool, id, given)
    return await _usage_of(services, id)


async def _usage_of(services: Services, user_id: UUID) -> UsageOfUser:
    usage = await quotas.read(services.pool, services.settings, user_id)
    return UsageOfUser(
        quotas=[
            Quota(
                name=name,
                used=_amount(name, used) or 0,
                limit=_amount(name, limit),
                own=is_own,
                resets_at=resets_at,
                unpriced_calls=unpriced_calls,
            )
            for name, used, limit, is_own, resets_at, unpriced_calls in usage.quotas
        ],
        pending_tokens=int(usage.pending_tokens),
    )


def _amount(name: str, amount: Decimal | None) -> int | str | None:
    return usd(amount) if amount is None or name.startswith("usd") else int(amount)
