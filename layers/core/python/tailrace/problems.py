"""Problem details (RFC 9457): the one shape in which every HTTP error leaves Tailrace.

Raised anywhere below the HTTP layer's routes, rendered by `tailrace.http.problems`.
"""

from typing import Any, TypeVar

_T = TypeVar("_T")


class Problem(Exception):
    """An error that the caller is told about.

    Parameters
    ----------
    status
        HTTP status code.
    title
        Short, the same for every occurrence of this kind of problem.
    detail
        One sentence on this occurrence. Never holds a secret.
    field
        Dotted path of the field at fault, such as ``message.parts.0.text``.
    errors
        Instead of `field`: every field at fault, as ``{"field": …, "detail": …}``.
    headers
        Extra response headers, such as ``Retry-After``.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        field: str | None = None,
        headers: dict[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        if field is not None and errors is None:
            errors = [{"field": field, "detail": detail}]
        self.errors = errors
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """Return the members of the problem details object."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = self.errors
        return body


def invalid(field: str, detail: str, *, status: int = 422) -> Problem:
    """Return the problem of one field that cannot be accepted."""
    return Problem(status, "Invalid request", detail, field=field)


def not_found(what: str) -> Problem:
    """Return the problem of something that does not exist for this caller."""
    return Problem(404, "Not found", f"No such {what}.")


def must_find(what: str, row: _T | None) -> _T:
    """Return what was looked for.

    Raises
    ------
    Problem
        404 when there is none.
    """
    if row is None:
        raise not_found(what)
    return row


def unavailable(detail: str) -> Problem:
    """Return the problem of a part of Tailrace that cannot be reached just now."""
    return Problem(503, "Service unavailable", detail, headers={"Retry-After": "2"})
