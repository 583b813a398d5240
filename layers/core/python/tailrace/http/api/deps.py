"""What routes depend on, as named types: a handler's signature tells everything it may touch."""

from typing import Annotated

from fastapi import Depends, Request, Response

from tailrace.auth.identity import Caller, identify, set_guest_cookie
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
