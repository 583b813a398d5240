"""The schedules of a server: a tick that fails is one line and never the end."""

import asyncio
import logging

import pytest

from tailrace.server.schedule import repeat


class _Ticks:
    """A tick that does what its script says, then sets the event to stop."""

    def __init__(self, *script: Exception | None) -> None:
        self.stopping = asyncio.Event()
        self.left = list(script)

    async def __call__(self) -> None:
        result = self.left.pop(0)
        if not self.left:
            self.stopping.set()
        if result is not None:
            raise result


async def test_a_tick_is_repeated_until_told_to_stop() -> None:
    ticks = _Ticks(None, None, None)
    await repeat("ingest", ticks, 0.001, ticks.stopping)
    assert ticks.left == []


async def test_a_failure_is_told_once_until_it_changes_or_passes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    down = OSError("the database\nis down")
    ticks = _Ticks(down, down, ValueError("other"), None, None, down)
    with caplog.at_level(logging.WARNING):
        await repeat("ingest", ticks, 0.001, ticks.stopping)
    assert caplog.messages == [
        "ingest failed, trying again every 0.001 s: OSError: the database",
        "ingest failed, trying again every 0.001 s: ValueError: other",
        "ingest works again",
        "ingest failed, trying again every 0.001 s: OSError: the database",
    ]


async def test_stopping_does_not_wait_for_the_next_tick() -> None:
    ticks = _Ticks(None)
    async with asyncio.timeout(60):
        await repeat("maintain", ticks, 3600, ticks.stopping)
