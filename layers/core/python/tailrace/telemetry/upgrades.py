"""What makes an event of an older schema version one of the next: a function for each step.

Called by `tailrace.telemetry.event.decode`, which checks the outcome as it checks any event: a step
moves what is there, and leaves what it does not know.
"""

from collections.abc import Callable
from typing import Any

Event = dict[str, Any]


def upgrade(event: Event, version: int) -> Event:
    """Return an event of this version as one of the newest."""
    while version in _STEPS:
        event = _STEPS[version](event)
        version += 1
    return event


def _from_1(event: Event) -> Event:
    """The kind of provider stood among the metadata, which are the caller's."""
    metadata = event.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("provider_kind"), str):
        return event
    rest = {name: value for name, value in metadata.items() if name != "provider_kind"}
    return {**event, "metadata": rest, "provider_kind": metadata["provider_kind"]}


_STEPS: dict[int, Callable[[Event], Event]] = {1: _from_1}
