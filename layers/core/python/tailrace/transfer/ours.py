"""Messages as Tailrace writes them: what our exports and the page's storage have in common.

Called by `tailrace.transfer.own` and `tailrace.transfer.guests`.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tailrace.conversations.parts import Part
from tailrace.storable import storable_json
from tailrace.transfer import draft

ModelName = Annotated[str, Meta(max_length=256)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
_Seconds = Annotated[float, Meta(ge=0, le=10 * 86_400)]

Status = Literal["complete", "streaming", "error", "cancelled", "interrupted"]

#: What stands where nothing was told.
NOTHING = msgspec.Raw(b"{}")


class Usage(msgspec.Struct, omit_defaults=True):
    """Tokens of an answer, named as in its metadata."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_write_input_tokens: Count | None = None
    reasoning_output_tokens: Count | None = None
    usage_estimated: bool | None = None


class Metadata(msgspec.Struct, omit_defaults=True):
    """What an answer tells of itself that is true wherever it is read; durations in seconds."""

    model: ModelName | None = None
    fallback_from: ModelName | None = None
    finish_reason: Annotated[str, Meta(max_length=64)] | None = None
    usage: Usage | None = None
    duration: _Seconds | None = None
    time_to_first_chunk: _Seconds | None = None
    omitted_messages: Count | None = None
    error: draft.Failure | None = None


def known(data: msgspec.Raw, decoder: msgspec.json.Decoder[Any]) -> dict[str, Any]:
    """Return what we know of an object, nothing if it is not what it should be."""
    try:
        told = decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return storable_json(msgspec.to_builtins(told))


def ended(status: Status, metadata: dict[str, Any]) -> draft.Status:
    """Return how an answer ended, for one that was under way or does not say how it failed, too."""
    # Whoever wrote it does not write on here.
    if status == "streaming" or (status == "error" and "error" not in metadata):
        return "interrupted"
    return status


def spoken(part: Part, role: draft.Role) -> dict[str, Any] | None:
    """Return text or reasoning as it is kept, `None` for a part that is neither."""
    if part.type not in ("text", "reasoning") or part.text is None:
        return None
    kept: dict[str, Any] = {"type": part.type, "text": draft.text(part.text)}
    if part.provider_metadata and role == "assistant":
        metadata = draft.provider_metadata(part.provider_metadata)
        if metadata is not None:
            kept["providerMetadata"] = metadata
    return kept
