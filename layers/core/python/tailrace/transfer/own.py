"""Conversations as we export them ourselves (`tailrace.transfer.export`)."""

from collections import Counter
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tailrace.attachments.library import id_of
from tailrace.conversations.parts import Part
from tailrace.providers.base import ReasoningEffort
from tailrace.runs.attachments import data_url
from tailrace.settings import Settings
from tailrace.transfer import draft, ours
from tailrace.transfer.draft import Draft, Node
from tailrace.transfer.unpack import Files

_Id = Annotated[str, Meta(min_length=1, max_length=64)]
_Time = Annotated[str, Meta(max_length=64)]


class _Message(msgspec.Struct):
    id: _Id
    role: Literal["user", "assistant"]
    parts: Annotated[list[Part], Meta(max_length=1000)]
    parent_id: _Id | None = None
    status: ours.Status = "complete"
    created_at: _Time | None = None
    metadata: msgspec.Raw = ours.NOTHING


class _Parameters(msgspec.Struct, omit_defaults=True):
    max_output_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    reasoning_effort: ReasoningEffort | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None


class Conversation(msgspec.Struct):
    """A conversation of an export."""

    id: _Id
    messages: list[_Message]
    title: Annotated[str, Meta(max_length=1000)] | None = None
    title_source: Literal["prompt", "model", "user"] = "user"
    model: ours.ModelName | None = None
    system_prompt: Annotated[str, Meta(max_length=32_000)] | None = None
    parameters: msgspec.Raw = ours.NOTHING
    tags: Annotated[list[Annotated[str, Meta(max_length=50)]], Meta(max_length=20)] = []
    pinned_at: _Time | None = None
    archived_at: _Time | None = None
    created_at: _Time | None = None
    updated_at: _Time | None = None
    active_leaf_id: _Id | None = None


_decoder = msgspec.json.Decoder(Conversation)
_metadata_decoder = msgspec.json.Decoder(ours.Metadata)
_parameters_decoder = msgspec.json.Decoder(_Parameters)


def read(data: msgspec.Raw, source_id: str, settings: Settings, files: Files) -> Draft:
    """Read one conversation.

    Parameters
    ----------
    source_id
        What it is known by.
    files
        What came beside it, for messages that name files by our own URLs.

    Raises
    ------
    msgspec.MsgspecError
        When it is not of this format.
    tailrace.transfer.draft.Unusable
        When it cannot be taken.
    """
    told = _decoder.decode(data)
    left_out: Counter[str] = Counter()
    nodes = [_node(message, settings, files, left_out) for message in told.messages]
    messages, active_id = draft.grow(nodes, told.active_leaf_id)
    title, title_source = draft.title_of(told.title, messages)
    created_at, updated_at = draft.span(
        draft.moment(told.created_at), draft.moment(told.updated_at), messages
    )
    return Draft(
        source="tailrace",
        source_id=source_id,
        title=title,
        title_source=told.title_source if title_source == "user" else "prompt",
        model=draft.text(told.model) if told.model else None,
        system_prompt=draft.text(told.system_prompt) if told.system_prompt else None,
        parameters=ours.known(told.parameters, _parameters_decoder),
        tags=list(dict.fromkeys(tag for tag in map(_tag, told.tags) if tag)),
        pinned_at=draft.moment(told.pinned_at),
        archived_at=draft.moment(told.archived_at),
        messages=messages,
        active_id=active_id,
        created_at=created_at,
        updated_at=updated_at,
        left_out=left_out,
    )


def _node(message: _Message, settings: Settings, files: Files, left_out: Counter[str]) -> Node:
    metadata = ours.known(message.metadata, _metadata_decoder)
    parts = []
    for part in message.parts:
        kept = _part(part, message.role, settings, files)
        if kept is None:
            left_out["files" if part.type == "file" else "parts"] += 1
        else:
            parts.append(kept)
    return Node(
        draft.text(message.id),
        draft.text(message.parent_id) if message.parent_id else None,
        message.role,
        parts,
        ours.ended(message.status, metadata),
        metadata,
        draft.moment(message.created_at),
    )


def _part(part: Part, role: draft.Role, settings: Settings, files: Files) -> dict[str, Any] | None:
    """Return a part as it is kept, `None` for one that cannot be."""
    if part.type == "file":
        if role != "user":
            return None
        url = part.url
        if url is not None and (id := id_of(url)) is not None:
            data = files.read(id, settings.max_upload_bytes)
            url = data_url(part.media_type or "", data) if data is not None else None
        return draft.file_part(url, part.media_type, part.filename, settings)
    return ours.spoken(part, role)


def _tag(tag: str) -> str:
    return draft.line(tag)
