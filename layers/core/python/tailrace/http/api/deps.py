"""What routes depend on, as named types: a handler's signature tells everything it may touch.

A route states who may call it by the type of its caller: `CurrentCaller` for anybody, `Person` for
somebody signed in with a browser, `Admin`, or ``Annotated[Caller, require("read")]`` for users
whose key, if it is one that calls, has that scope.
"""

from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from tailrace.auth.identity import (
    Caller,
    client_address,
    identify,
    require_scope,
    set_guest_cookie,
)
from tailrace.auth.keys import Scope
from tailrace.problems import Problem
from tailrace.services import Services


def get_services(request: Request) -> Services:
    """Return the services of the application."""
    return request.app.state.services


CurrentServices = Annotated[Services, Depends(get_services)]


async def get_caller(request: Request, response: Response, services: CurrentServices) -> Caller:
    """Return the caller, handing a new guest its cookie."""
    caller = await identify(services, request)
    set_guest_cookie(services, response, caller)
    return caller


CurrentCaller = Annotated[Caller, Depends(get_caller)]


def require(scope: Scope, *, guests: bool = False) -> Any:
    """Return the dependency of a route that a key needs a scope for.

    Parameters
    ----------
    guests
        Whether guests may call the route too; they get 401 otherwise.
    """

    async def get_permitted(caller: CurrentCaller) -> Caller:
        if not guests:
            _require_user(caller)
        require_scope(caller, scope)
        return caller

    return Depends(get_permitted)


async def _get_person(caller: CurrentCaller) -> Caller:
    _require_user(caller)
    if caller.key_id is not None:
        raise Problem(403, "Not permitted", "Sign in with a browser: a key cannot do this.")
    return caller


async def _get_admin(caller: Annotated[Caller, require("admin")]) -> Caller:
    if caller.role != "admin":
        raise Problem(403, "Not permitted", "Only an admin can do this.")
    return caller


def _require_user(caller: Caller) -> None:
    if caller.kind != "user":
        raise Problem(401, "Not signed in", "Sign in to do this.")


#: A user whose key, if it is one that calls, may read conversations.
Reader = Annotated[Caller, require("read")]
#: A user whose key, if it is one that calls, may change conversations.
Writer = Annotated[Caller, require("write")]
#: Somebody signed in with a browser: accounts and keys are not for keys to change.
Person = Annotated[Caller, Depends(_get_person)]
#: An admin, signed in or with a key that has this scope.
Admin = Annotated[Caller, Depends(_get_admin)]


#: How long a page of a list may be at the most.
PageSize = Annotated[int, Query(ge=1, le=100)]
#: Where a page begins, as the page before it said; the first one without.
PageCursor = Annotated[str | None, Query(max_length=256)]


async def _count_request(
    request: Request, response: Response, services: CurrentServices, caller: CurrentCaller
) -> None:
    address = client_address(request)
    response.headers.update(await services.limiter.take_request(caller, address))


#: For routes that take more than a look: ``@router.post("", dependencies=[Limited])``.
Limited = Depends(_count_request)
