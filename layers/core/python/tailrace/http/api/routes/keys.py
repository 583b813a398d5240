"""API keys: what programs call with."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from tailrace.auth import keys
from tailrace.auth.keys import Scope
from tailrace.http.api.deps import CurrentServices, PageCursor, PageSize, Person
from tailrace.http.api.paths import id_of
from tailrace.problems import Problem, invalid

router = APIRouter(prefix="/api/keys", tags=["keys"])

_Name = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$"
    ),
]
_Scopes = Annotated[list[Scope], Field(min_length=1, max_length=len(keys.SCOPES))]

# Times have an end, in Python as in PostgreSQL.
_LONGEST = timedelta(days=36_525)


class NewKey(BaseModel):
    """What a key is to be; without an expiry it lives until it is revoked."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    scopes: _Scopes
    expires_at: AwareDatetime | None = None


class KeyChange(BaseModel):
    """What is to change of a key."""

    model_config = ConfigDict(extra="forbid")

    name: _Name | None = None
    scopes: _Scopes | None = None
    expires_at: AwareDatetime | None = None


class KeyItem(BaseModel):
    """A key as it is listed; `prefix` is how its secret begins."""

    id: UUID
    name: str
    prefix: str
    scopes: list[Scope]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


class CreatedKey(KeyItem):
    """A new key, with the secret that is told this once."""

    key: str


class KeyPage(BaseModel):
    """A page of keys."""

    items: list[KeyItem]
    next_cursor: str | None


@router.get("")
async def list_keys(
    services: CurrentServices,
    caller: Person,
    limit: PageSize = 30,
    cursor: PageCursor = None,
) -> KeyPage:
    """List the caller's keys, the newest first."""
    rows = await keys.list_page(
        services.pool, caller.id, limit + 1, services.cursors.decode(cursor)
    )
    page, next_cursor = services.cursors.page(rows, limit)
    return KeyPage(items=[KeyItem(**row) for row in page], next_cursor=next_cursor)


@router.post("", status_code=201)
async def create_key(body: NewKey, services: CurrentServices, caller: Person) -> CreatedKey:
    """Make a key; its secret is in this answer and nowhere else."""
    if "admin" in body.scopes and caller.role != "admin":
        raise Problem(403, "Not permitted", "Only an admin's key can have the scope admin.")
    scopes = _in_order(body.scopes)
    row, key = await keys.create(
        services.pool, caller.id, body.name, scopes, _future(body.expires_at)
    )
    return CreatedKey(**row, key=key)


@router.patch("/{key_id}")
async def change_key(
    key_id: str, body: KeyChange, services: CurrentServices, caller: Person
) -> KeyItem:
    """Change a key's name, scopes or expiry; ``null`` for the expiry lets it live on."""
    changes: dict[str, Any] = body.model_dump(exclude_unset=True)
    if "admin" in (body.scopes or ()) and caller.role != "admin":
        raise Problem(403, "Not permitted", "Only an admin's key can have the scope admin.")
    if body.scopes is not None:
        changes["scopes"] = _in_order(body.scopes)
    _future(body.expires_at)
    return KeyItem(**await keys.change(services.pool, caller.id, id_of("key", key_id), changes))


@router.delete("/{key_id}", status_code=204)
async def revoke_key(key_id: str, services: CurrentServices, caller: Person) -> None:
    """Revoke a key."""
    await keys.revoke(services.pool, caller.id, id_of("key", key_id))


def _in_order(scopes: list[Scope]) -> list[Scope]:
    return [scope for scope in keys.SCOPES if scope in scopes]


def _future(time: datetime | None) -> datetime | None:
    if time is not None:
        left = time - datetime.now(UTC)
        if not timedelta(0) < left <= _LONGEST:
            raise invalid("expires_at", "Must be in the future, and within a hundred years.")
    return time
