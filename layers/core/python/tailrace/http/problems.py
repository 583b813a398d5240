"""Problem details over HTTP (RFC 9457): how both applications answer when something is wrong."""

import logging
import re

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tailrace.problems import Problem, invalid

_log = logging.getLogger(__name__)

_PATH = re.compile(r"^(?P<detail>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_NAMED = re.compile(r"(?:missing required|contains unknown) field `(.{1,64})")
# Characters of what is said about a field, whose name may be anything.
_MAX_DETAIL = 200


def response_of(problem: Problem) -> Response:
    """Return a problem as a response."""
    return Response(
        msgspec.json.encode(problem.body()),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=problem.headers,
    )


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer with a `Problem` that was raised."""
    assert isinstance(error, Problem)
    return response_of(error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses: unknown paths, wrong methods."""
    assert isinstance(error, HTTPException)
    problem = Problem(error.status_code, error.detail, error.detail)
    problem.headers = dict(error.headers or {})
    return response_of(problem)


async def on_unexpected(request: Request, error: Exception) -> Response:
    """Answer a defect of ours without telling its insides."""
    # Never the path itself, which may hold the token of a link.
    route = getattr(request.scope.get("route"), "path", "no route")
    _log.error("%s %s failed", request.method, route, exc_info=error)
    return response_of(Problem(500, "Internal error", "Something went wrong on the server."))


def of_validation(error: msgspec.ValidationError) -> Problem:
    """Return the problem of a body that does not fit its type, with the field's dotted path."""
    match = _PATH.match(str(error))
    detail, path = (match["detail"], match["path"] or "") if match else (str(error), "")
    path = re.sub(r"\[(\w+|\.\.\.)\]", r".\1", path).lstrip(".")
    if named := _NAMED.search(detail):
        path = f"{path}.{named[1].partition('`')[0]}".lstrip(".")
    return invalid(path or "body", detail[:_MAX_DETAIL] + ".")


HANDLERS = {
    Problem: on_problem,
    HTTPException: on_http_exception,
    Exception: on_unexpected,
}
