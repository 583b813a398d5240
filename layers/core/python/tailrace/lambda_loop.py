"""One event loop for the life of a Lambda process, for handlers that are plain functions.

Used by every function but `functions/chat`, whose runtime brings its own. Pools and clients belong
to the loop they were opened on, so a loop per invocation would leave them unusable.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")

_loop = asyncio.new_event_loop()
# Mangum runs an application on whatever loop is current.
asyncio.set_event_loop(_loop)


def run(awaitable: Awaitable[Result]) -> Result:
    """Turn the loop until `awaitable` is done; nothing else runs between two calls."""
    return _loop.run_until_complete(awaitable)
