"""Databases as an older release left them."""

import pytest

from tailrace.db import migrate


async def migrate_up_to(url: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apply the migrations that come before one."""
    available = migrate._available()
    with monkeypatch.context() as patch:
        before = {each: text for each, text in available.items() if each < name}
        patch.setattr(migrate, "_available", lambda: before)
        await migrate.migrate(url)
