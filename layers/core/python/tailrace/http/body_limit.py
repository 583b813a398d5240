"""A bound to the bodies that the framework reads whole, before it has looked at them."""

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tailrace.http import problems
from tailrace.problems import Problem


class BodyLimit:
    """Refuses a body of more than `limit` bytes, at once when its length is told.

    Parameters
    ----------
    elsewhere
        Where paths begin whose routes read piece by piece, within limits of their own.
    """

    def __init__(self, app: ASGIApp, limit: int, elsewhere: tuple[str, ...]) -> None:
        self._app = app
        self._limit = limit
        self._elsewhere = elsewhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._elsewhere):
            await self._app(scope, receive, send)
            return
        too_large = f"A body has at most {self._limit:,} bytes here."
        told = HTTPConnection(scope).headers.get("content-length", "")
        if told.isdecimal() and (len(told) > 18 or int(told) > self._limit):
            refusal = problems.response_of(Problem(413, "Body too large", too_large))
            await refusal(scope, receive, send)
            return
        size = 0

        async def counting() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._limit:
                # The one exception that FastAPI lets out of its reading of a body.
                raise HTTPException(413, too_large)
            return message

        await self._app(scope, counting, send)
