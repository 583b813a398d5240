"""A rate as a setting spells it: ``60/minute``, ``60/minute burst 20`` or ``off``.

Knows nothing of Valkey, so that `tailrace.settings` can read one.
"""

import re
from functools import lru_cache
from typing import NamedTuple

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_RATE = re.compile(
    r"(?P<count>\d{1,7})/(?P<unit>second|minute|hour|day)(?: burst (?P<burst>\d{1,7}))?", re.ASCII
)


class Rate(NamedTuple):
    """So many at once, and in every window from then on.

    Attributes
    ----------
    limit
        How many at once.
    window
        Seconds in which as many come back.
    """

    limit: int
    window: float


@lru_cache(maxsize=64)
def parse(text: str) -> Rate | None:
    """Read a rate.

    Without a burst, as many as the rate names may come at once. ``0/day`` lets nothing through.

    Returns
    -------
    Rate or None
        ``None`` for ``off``: there is no limit.

    Raises
    ------
    ValueError
        When the text is no rate.
    """
    if text == "off":
        return None
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError("must read like '60/minute', '60/minute burst 20' or 'off'")
    count, window = int(match["count"]), _SECONDS[match["unit"]]
    burst = count if match["burst"] is None else int(match["burst"])
    if not count or not burst:
        return Rate(0, window)
    return Rate(burst, window * burst / count)
