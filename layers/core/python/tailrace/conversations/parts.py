"""The parts of a message as clients send and keep them, in AI SDK's own shape.

Only the shape and its bounds; what of it is taken is decided by who reads it: a chat, an import.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta


class Part(msgspec.Struct, rename="camel"):
    """A part of a UI message, as a client or an export holds it."""

    type: Annotated[str, Meta(max_length=64)]
    text: str | None = None
    media_type: Annotated[str, Meta(max_length=256)] | None = None
    filename: Annotated[str, Meta(max_length=1024)] | None = None
    url: str | None = None
    provider_metadata: dict[str, dict[str, Any]] | None = None
