"""Identifiers: every id Tailrace makes is a UUIDv7 (RFC 9562), so that ids sort by time."""

from uuid import UUID

from uuid_utils.compat import uuid7

__all__ = ["parse_uuid", "uuid7"]


def parse_uuid(text: str) -> UUID | None:
    """Read a UUID in its canonical 36-character form; anything else is ``None``."""
    if len(text) != 36:
        return None
    try:
        return UUID(text)
    except ValueError:
        return None
