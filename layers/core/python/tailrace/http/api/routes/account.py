"""The end of an account."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from tailrace.auth import attempts, erasure
from tailrace.auth.identity import SESSION_COOKIE
from tailrace.http.api.deps import CurrentServices, Person

router = APIRouter(prefix="/api/auth", tags=["auth"])


class Deletion(BaseModel):
    """The password, of an account that has one."""

    model_config = ConfigDict(extra="forbid")

    password: Annotated[str, Field(min_length=1, max_length=1024)] | None = None


@router.delete("/me", status_code=204)
async def delete_account(
    deletion: Deletion, services: CurrentServices, caller: Person, response: Response
) -> None:
    """Delete the caller's account with everything in it, for good.

    Without a password, somebody who signed in through an identity provider must have done so in
    the last ten minutes.
    """
    await attempts.take_password(services.redis, services.settings, str(caller.id))
    await erasure.delete_account(services, caller.id, caller.session_id, deletion.password)
    response.delete_cookie(SESSION_COOKIE, path="/")
