"""The live tail: calls as they come into the log, as Server-Sent Events.

Whoever follows asks the log again every second, so that it works over every queue and holds no
connection meanwhile. A transaction may commit later than one that began after it: the last half
minute is read again each time, and what was told before is left out.
"""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import msgspec

from tailrace.db.pool import Pool
from tailrace.metrics.calls import recent_calls

_EVERY = 1.0
_OVERLAP = 30.0
_MOST = 500
# Whatever stands between may take a silent connection for a dead one.
_HEARTBEAT = 15.0


async def live(pool: Pool, owner_id: UUID | None, seconds: float) -> AsyncIterator[bytes]:
    """Yield an event ``call`` for each call that comes in within so many seconds.

    Of very many at once the newest 500 of every second are told.

    Parameters
    ----------
    owner_id
        Whose calls; everybody's when ``None``.

    Raises
    ------
    Problem
        503 when the database cannot be reached.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    seen = {call["id"] for call in await recent_calls(pool, owner_id, _OVERLAP, _MOST)}
    yield b"retry: 2000\n\n: following\n\n"
    silent_since = loop.time()
    while loop.time() < end:
        await asyncio.sleep(_EVERY)
        calls = await recent_calls(pool, owner_id, _OVERLAP, _MOST)
        frames = [
            b"event: call\nid: %s\ndata: %s\n\n"
            % (str(call["id"]).encode(), msgspec.json.encode(call))
            for call in calls
            if call["id"] not in seen
        ]
        if len(calls) < _MOST:
            seen = {call["id"] for call in calls}
        else:
            seen |= {call["id"] for call in calls}
        if frames:
            yield b"".join(frames)
        elif loop.time() - silent_since > _HEARTBEAT:
            yield b": still here\n\n"
        else:
            continue
        silent_since = loop.time()
