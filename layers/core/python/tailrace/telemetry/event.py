"""The inference event: what telemetry records of one model call, and its wire form.

Field names follow the OpenTelemetry GenAI semantic conventions, with the dots of an attribute's
name written as underscores and the namespaces ``gen_ai`` and ``usage`` left out:
``gen_ai.usage.cache_read.input_tokens`` is ``cache_read_input_tokens``. The conventions are still
moving, so this module and the SQL of ``inference_log`` are the only places that spell them.

https://github.com/open-telemetry/semantic-conventions-genai
"""

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, structs

from tailrace.storable import storable, storable_json

#: Of what `encode` writes. A change that older events do not fit into needs the next number and a
#: step in `tailrace.telemetry.upgrades`.
SCHEMA_VERSION = 2

Kind = Literal["chat", "title", "guest", "gateway", "embedding"]
Status = Literal["ok", "error", "cancelled", "timeout", "interrupted"]

_Count = Annotated[int, Meta(ge=0, le=2**53)]
_Seconds = Annotated[float, Meta(ge=0, le=10 * 86_400)]
_Name = Annotated[str, Meta(min_length=1, max_length=256)]
_Text = Annotated[str, Meta(max_length=20_000)]
_Time = Annotated[datetime, Meta(tz=True)]


class InferenceEvent(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One model call.

    Attributes
    ----------
    id
        UUIDv7; for a run, the run's id. With ``started_at`` it makes redelivery harmless.
    schema_version
        On the wire it is always there, but in version 1, which did not tell.
    owner_id
        User or guest who caused the call.
    request_id
        The id the caller also sees, in ``x-tailrace-request-id``.
    duration, time_to_first_chunk, time_per_output_chunk
        Seconds.
    input_tokens
        Includes ``cache_read_input_tokens`` and ``cache_write_input_tokens``.
    output_tokens
        Includes ``reasoning_output_tokens``.
    usage_estimated
        The provider told no usage; the counts are an estimate.
    provider_kind
        Adapter that made the call; tells what it costs where the provider's name does not.
    fallback_from
        Model first asked for, when another one answered.
    input_preview, output_preview, error_message
        Redacted before they are cut to length.
    """

    id: UUID
    # A factory's value, unlike a plain default, is written.
    schema_version: Annotated[int, Meta(ge=1)] = msgspec.field(
        default_factory=lambda: SCHEMA_VERSION
    )
    kind: Kind
    status: Status
    started_at: _Time
    duration: _Seconds
    operation_name: _Name = "chat"
    provider_name: _Name
    provider_kind: _Name | None = None
    request_model: _Name
    response_model: _Name | None = None
    response_id: _Name | None = None
    finish_reasons: Annotated[list[_Name], Meta(max_length=16)] = []
    error_type: _Name | None = None
    error_message: _Text | None = None
    owner_id: UUID | None = None
    conversation_id: UUID | None = None
    request_id: _Name | None = None
    time_to_first_chunk: _Seconds | None = None
    time_per_output_chunk: _Seconds | None = None
    input_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_write_input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    reasoning_output_tokens: _Count | None = None
    usage_estimated: bool = False
    attempts: Annotated[int, Meta(ge=1, le=1000)] = 1
    fallback_from: _Name | None = None
    cold_start: bool = False
    input_preview: _Text | None = None
    output_preview: _Text | None = None
    metadata: dict[str, Any] = {}


class InvalidEvent(ValueError):
    """The payload is no event that Tailrace can keep; the text says why."""


class NewerEvent(InvalidEvent):
    """The payload is an event of a newer release, which will be able to read it."""

    def __init__(self, schema_version: int) -> None:
        super().__init__(
            f"an event of schema version {schema_version}, where {SCHEMA_VERSION} is the newest"
        )
        self.schema_version = schema_version


class _Version(msgspec.Struct):
    schema_version: Annotated[int, Meta(ge=1, le=2**31 - 1)] = 1


#: Bytes of a payload; what is longer is no event.
MAX_PAYLOAD = 256 * 1024

_MAX_METADATA = 32 * 1024
_MAX_NAME = 256
_MAX_TEXT = 20_000
_NAMES = ("response_model", "response_id", "error_type", "request_id", "fallback_from")
_TEXTS = ("error_message", "input_preview", "output_preview")

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(InferenceEvent)
_version_decoder = msgspec.json.Decoder(_Version)

# What follows the id in every event that this release wrote: most need not be looked at twice.
_CURRENT = b'","schema_version":%d,' % SCHEMA_VERSION
_CURRENT_AT = len('{"id":"') + 36

_ID = re.compile(rb'\{ ?"id" ?: ?"([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"')


def encode(event: InferenceEvent) -> bytes:
    """Return the event as JSON, the form in which it travels.

    What others chose (a provider's ids and error messages, a person's text) is cut to the bounds
    of the event and made `storable`, so that no call goes uncounted for it.
    """
    changes: dict[str, Any] = {}
    for names, limit in ((_NAMES, _MAX_NAME), (_TEXTS, _MAX_TEXT)):
        for name in names:
            value = getattr(event, name)
            if value is not None and (fit := storable(value[:limit]) or None) != value:
                changes[name] = fit
    reasons = [storable(reason[:_MAX_NAME]) for reason in event.finish_reasons[:16] if reason]
    if reasons != event.finish_reasons:
        changes["finish_reasons"] = reasons
    return _encoder.encode(structs.replace(event, **changes) if changes else event)


def decode(payload: bytes) -> InferenceEvent:
    """Read an event and check every field; its text is `storable`, its version the newest.

    Raises
    ------
    NewerEvent
        When a newer release wrote it.
    InvalidEvent
        When the payload is not JSON, or a field is missing, unknown or out of its bounds.
    """
    try:
        if not payload.startswith(_CURRENT, _CURRENT_AT):
            version = _version_decoder.decode(payload).schema_version
            if version > SCHEMA_VERSION:
                raise NewerEvent(version)
            if version < SCHEMA_VERSION and len(payload) <= MAX_PAYLOAD:
                payload = _upgraded(payload, version)
        if len(payload) > MAX_PAYLOAD:
            raise InvalidEvent(f"{len(payload)} bytes, where {MAX_PAYLOAD} are allowed")
        # NUL is the one character that JSON can carry and PostgreSQL cannot hold; raw, it is no
        # JSON, so the escape tells.
        if b"\\u0000" in payload:
            payload = _encoder.encode(storable_json(msgspec.json.decode(payload)))
        event = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEvent(str(error)) from None
    if not 1970 <= event.started_at.year < 9999:
        raise InvalidEvent("started_at lies outside of the years 1970 to 9998")
    if event.metadata and len(_encoder.encode(event.metadata)) > _MAX_METADATA:
        raise InvalidEvent(f"metadata takes more than {_MAX_METADATA} bytes")
    return event


def glimpse_id(payload: bytes) -> UUID | None:
    """Return the id that a payload begins with, as all of ours do, and read nothing else of it."""
    match = _ID.match(payload)
    return UUID(match[1].decode()) if match else None


def _upgraded(payload: bytes, version: int) -> bytes:
    from tailrace.telemetry.upgrades import upgrade

    event = upgrade(msgspec.json.decode(payload), version)
    return _encoder.encode({**event, "schema_version": SCHEMA_VERSION})
