"""The FastAPI application: accounts, conversations, models, numbers, health."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from tailrace.http import problems
from tailrace.http.api.routes import (
    account,
    alerts,
    attachments,
    auth,
    conversations,
    dead_letters,
    feedback,
    guests,
    health,
    keys,
    messages,
    metrics,
    models,
    oidc,
    prometheus,
    queue,
    search,
    shares,
    tags,
    transfer,
    usage,
    users,
)
from tailrace.http.body_limit import BodyLimit
from tailrace.http.csrf import SameOrigin
from tailrace.limits.addresses import trusted_proxies
from tailrace.presence import presence
from tailrace.problems import Problem
from tailrace.services import Services
from tailrace.validation import sentence

# Bytes: far more than any of the bodies below describes.
_MAX_BODY = 1 << 20
# What is imported or uploaded may be larger; each of these has a limit of its own.
_READ_IN_PIECES = ("/api/import", "/api/guests/", "/api/attachments/")


def create_app(services: Services, *, lifespan: bool = True) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    lifespan
        Whether the application opens and closes `services`, rather than the one it is part of.
    """

    @asynccontextmanager
    async def run_lifespan(app: FastAPI) -> AsyncIterator[None]:
        await services.open()
        yield
        await services.close()

    app = FastAPI(
        title="Tailrace",
        summary="Serverless LLM chat with inference observability built in.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        exception_handlers={**problems.HANDLERS, RequestValidationError: _on_invalid},
        lifespan=run_lifespan if lifespan else None,
    )
    app.user_middleware += [
        *presence(services),
        *trusted_proxies(services.settings),
        Middleware(SameOrigin, public_url=services.settings.public_url),
        Middleware(BodyLimit, _MAX_BODY, elsewhere=_READ_IN_PIECES),
    ]
    app.state.services = services
    for routes in (
        auth,
        account,
        oidc,
        keys,
        users,
        usage,
        guests,
        conversations,
        messages,
        feedback,
        tags,
        search,
        shares,
        attachments,
        transfer,
        models,
        metrics,
        alerts,
        prometheus,
        dead_letters,
        queue,
        health,
    ):
        app.include_router(routes.router)
    return app


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"field": ".".join(str(part) for part in e["loc"][1:]) or "body", "detail": sentence(e)}
        for e in error.errors()
    ]
    if error.errors()[0]["type"] == "json_invalid":
        return problems.response_of(Problem(400, "Malformed JSON", "The body is not valid JSON."))
    problem = Problem(422, "Invalid request", errors[0]["detail"], errors=errors)
    return problems.response_of(problem)
