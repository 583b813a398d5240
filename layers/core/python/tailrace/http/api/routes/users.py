"""Users, as an admin sees and changes them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from tailrace.auth import users
from tailrace.http.api.deps import Admin, CurrentServices
from tailrace.ids import parse_uuid
from tailrace.problems import not_found

router = APIRouter(prefix="/api/admin/users", tags=["admin"])


class UserItem(BaseModel):
    """A user; the address is verified once its owner has proved to be the user."""

    id: UUID
    email: str
    role: Literal["user", "admin"]
    created_at: datetime
    email_verified_at: datetime | None
    disabled_at: datetime | None


class UserChange(BaseModel):
    """What is to change of a user."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "admin"] | None = None
    disabled: bool | None = None


class UserPage(BaseModel):
    """A page of users."""

    items: list[UserItem]
    next_cursor: str | None


@router.get("")
async def list_users(
    services: CurrentServices,
    caller: Admin,
    limit: Annotated[int, Query(ge=1, le=100)] = 30,
    cursor: Annotated[str | None, Query(max_length=256)] = None,
) -> UserPage:
    """List all users, the newest first."""
    rows = await users.list_page(services.pool, limit + 1, services.cursors.decode(cursor))
    page = [UserItem(**row) for row in rows[:limit]]
    more = len(rows) > limit
    return UserPage(
        items=page,
        next_cursor=services.cursors.encode(page[-1].created_at, page[-1].id) if more else None,
    )


@router.patch("/{user_id}")
async def change_user(
    user_id: str, body: UserChange, services: CurrentServices, caller: Admin
) -> UserItem:
    """Change a user's role, or disable the account: its sessions end and its keys stop working."""
    id = parse_uuid(user_id)
    if id is None:
        raise not_found("user")
    return UserItem(**await users.change(services.pool, id, body.role, body.disabled))
