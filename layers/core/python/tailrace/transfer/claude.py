"""Conversations of Claude's export: ``conversations.json``, each with its ``chat_messages``.

Not documented by its maker; what is read here is what exports of 2024 to 2026 have in common. Where
messages name their parent the tree is kept, else they follow one another. Text that came with a
file is kept as a text file; other files are only counted, since an export names them without
holding them, and so are calls of tools.
"""

import base64
from collections import Counter
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tailrace.settings import Settings
from tailrace.transfer import draft
from tailrace.transfer.draft import Draft, Node

_Id = Annotated[str, Meta(min_length=1, max_length=128)]

_ROLES: dict[str, draft.Role] = {"human": "user", "user": "user", "assistant": "assistant"}


class _Block(msgspec.Struct):
    type: str = "text"
    text: str | None = None
    thinking: str | None = None


class _Attachment(msgspec.Struct):
    file_name: str | None = None
    extracted_content: str | None = None


class _File(msgspec.Struct):
    """A file of which only the name is told."""


class _Message(msgspec.Struct):
    sender: str
    uuid: _Id | None = None
    text: str | None = None
    content: list[_Block] | None = None
    attachments: list[_Attachment] | None = None
    files: list[_File] | None = None
    created_at: str | None = None
    parent_message_uuid: Annotated[str, Meta(max_length=128)] | None = None


class Conversation(msgspec.Struct):
    """A conversation of an export."""

    chat_messages: list[_Message]
    uuid: _Id | None = None
    name: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    current_leaf_message_uuid: str | None = None


_decoder = msgspec.json.Decoder(Conversation)


def read(data: msgspec.Raw, source_id: str, settings: Settings) -> Draft:
    """Read one conversation.

    Parameters
    ----------
    source_id
        What it is known by.

    Raises
    ------
    msgspec.MsgspecError
        When it is not of this format.
    tailrace.transfer.draft.Unusable
        When it cannot be taken.
    """
    told = _decoder.decode(data)
    left_out: Counter[str] = Counter()
    is_tree = any(message.parent_message_uuid for message in told.chat_messages)
    nodes: list[Node] = []
    for number, message in enumerate(told.chat_messages):
        above = nodes[-1].id if nodes else None
        nodes.append(
            Node(
                message.uuid or f"message {number}",
                message.parent_message_uuid if is_tree else above,
                created_at=draft.moment(message.created_at),
            )
        )
        parts = _parts(message, settings, left_out)
        if parts:
            nodes[-1].role, nodes[-1].parts = _ROLES.get(message.sender), parts
    messages, active_id = draft.grow(nodes, told.current_leaf_message_uuid)
    title, title_source = draft.title_of(told.name, messages)
    created_at, updated_at = draft.span(
        draft.moment(told.created_at), draft.moment(told.updated_at), messages
    )
    return Draft(
        source="claude",
        source_id=source_id,
        title=title,
        title_source=title_source,
        messages=messages,
        active_id=active_id,
        created_at=created_at,
        updated_at=updated_at,
        left_out=left_out,
    )


def _parts(message: _Message, settings: Settings, left_out: Counter[str]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for block in message.content or ():
        if block.type == "text" and block.text:
            parts.append({"type": "text", "text": draft.text(block.text)})
        elif block.type == "thinking" and block.thinking:
            parts.append({"type": "reasoning", "text": draft.text(block.thinking)})
        elif block.type not in ("text", "thinking"):
            left_out["tool messages"] += block.type in ("tool_use", "tool_result")
            left_out["other content"] += block.type not in ("tool_use", "tool_result")
    if message.text and not any(part["type"] == "text" for part in parts):
        parts.append({"type": "text", "text": draft.text(message.text)})
    for attachment in message.attachments or ():
        kept = _file(attachment, settings) if message.sender != "assistant" else None
        if kept is not None:
            parts.append(kept)
        else:
            left_out["images and files"] += 1
    left_out["images and files"] += len(message.files or ())
    return parts


def _file(attachment: _Attachment, settings: Settings) -> dict[str, Any] | None:
    if not attachment.extracted_content:
        return None
    data = base64.b64encode(draft.text(attachment.extracted_content).encode()).decode()
    name = attachment.file_name or "pasted.txt"
    return draft.file_part(f"data:text/plain;base64,{data}", None, name, settings)
