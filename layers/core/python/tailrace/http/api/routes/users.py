"""Users, as an admin sees and changes them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from tailrace.auth import users
from tailrace.http.api.deps import Admin, CurrentServices, PageCursor, PageSize
from tailrace.http.api.paths import id_of

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
    limit: PageSize = 30,
    cursor: PageCursor = None,
) -> UserPage:
    """List all users, the newest first."""
    rows = await users.list_page(services.pool, limit + 1, services.cursors.decode(cursor))
    page, next_cursor = services.cursors.page(rows, limit)
    return UserPage(items=[UserItem(**row) for row in page], next_cursor=next_cursor)


@router.patch("/{user_id}")
async def change_user(
    user_id: str, body: UserChange, services: CurrentServices, caller: Admin
) -> UserItem:
    """Change a user's role, or disable the account: its sessions end and its keys stop working."""
    id = id_of("user", user_id)
    return UserItem(**await users.change(services.pool, id, body.role, body.disabled))
