"""Conversations of ChatGPT's export: ``conversations.json``, each a tree of nodes in ``mapping``.

Not documented by its maker; what is read here is what exports of 2023 to 2026 have in common. Of a
conversation its text is taken, with its branches, and its thinking; images and calls of tools are
only counted, since an export names them without holding them.
"""

import re
from collections import Counter
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tailrace.transfer import draft
from tailrace.transfer.draft import Draft, Node, Unusable

_Id = Annotated[str, Meta(min_length=1, max_length=128)]

# Content that is words of the speaker; of the other kinds only their number is told.
_SPOKEN = ("text", "multimodal_text", "code")


class _Author(msgspec.Struct):
    role: str


class _Thought(msgspec.Struct):
    summary: str | None = None
    content: str | None = None


class _Piece(msgspec.Struct):
    """A part of a message that is no plain text: a picture's name, or what was said aloud."""

    content_type: str | None = None
    text: str | None = None


class _Content(msgspec.Struct):
    content_type: str = "text"
    parts: list[str | _Piece | None] | None = None
    text: str | None = None
    language: str | None = None
    thoughts: list[_Thought] | None = None


class _Metadata(msgspec.Struct):
    model_slug: Annotated[str, Meta(max_length=256)] | None = None
    is_visually_hidden_from_conversation: bool | None = None


class _Message(msgspec.Struct):
    author: _Author
    content: _Content = msgspec.field(default_factory=_Content)
    create_time: float | None = None
    recipient: str | None = None
    metadata: _Metadata | None = None


class _Node(msgspec.Struct):
    message: _Message | None = None
    parent: Annotated[str, Meta(max_length=128)] | None = None


class Conversation(msgspec.Struct):
    """A conversation of an export."""

    mapping: dict[_Id, _Node]
    id: _Id | None = None
    conversation_id: _Id | None = None
    title: str | None = None
    create_time: float | None = None
    update_time: float | None = None
    current_node: str | None = None
    is_archived: bool | None = None


_decoder = msgspec.json.Decoder(Conversation)

# A node has some objects inside; a mapping of millions of empty ones would fill memory.
_OBJECT = re.compile(rb'"\s*:\s*\{')
_MAX_OBJECTS = 30 * draft.MAX_MESSAGES
_SMALL = 1 << 20


def read(data: msgspec.Raw, source_id: str) -> Draft:
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
    content = bytes(data)
    if len(content) > _SMALL and sum(1 for _ in _OBJECT.finditer(content)) > _MAX_OBJECTS:
        raise Unusable(f"It has more than {draft.MAX_MESSAGES:,} messages.")
    told = _decoder.decode(content)
    left_out: Counter[str] = Counter()
    nodes = [_node(id, node, left_out) for id, node in told.mapping.items()]
    # A mapping has no order of its own; brothers stand in that of their time.
    nodes.sort(key=lambda node: node.created_at.timestamp() if node.created_at else 0.0)
    messages, active_id = draft.grow(nodes, told.current_node, join=True)
    title, title_source = draft.title_of(told.title, messages)
    created_at, updated_at = draft.span(
        draft.time_of(told.create_time), draft.time_of(told.update_time), messages
    )
    return Draft(
        source="chatgpt",
        source_id=source_id,
        title=title,
        title_source=title_source,
        messages=messages,
        active_id=active_id,
        archived_at=updated_at if told.is_archived else None,
        created_at=created_at,
        updated_at=updated_at,
        left_out=left_out,
    )


def _node(id: str, node: _Node, left_out: Counter[str]) -> Node:
    message = node.message
    made = Node(id, node.parent)
    if message is None:
        return made
    made.created_at = draft.time_of(message.create_time)
    role, metadata = message.author.role, message.metadata or _Metadata()
    if role == "system" or metadata.is_visually_hidden_from_conversation:
        return made
    if role not in ("user", "assistant") or message.recipient not in (None, "all"):
        left_out["tool messages"] += 1
        return made
    parts = _parts(message.content, left_out)
    if parts:
        made.role, made.parts = role, parts
        if role == "assistant" and metadata.model_slug:
            made.metadata = {"model": draft.text(metadata.model_slug)}
    return made


def _parts(content: _Content, left_out: Counter[str]) -> list[dict[str, Any]]:
    kind = content.content_type
    if kind == "thoughts":
        said = "\n\n".join(_thought(thought) for thought in content.thoughts or ()).strip()
        return [{"type": "reasoning", "text": draft.text(said)}] if said else []
    if kind not in _SPOKEN:
        # How long it thought, what it knows of the user: nothing that anybody said.
        if kind not in ("reasoning_recap", "user_editable_context", "model_editable_context"):
            left_out["other content"] += 1
        return []
    texts = [content.text] if content.text else []
    for part in content.parts or ():
        if isinstance(part, str):
            texts.append(part)
        elif part is not None and part.text:
            texts.append(part.text)
        elif part is not None:
            left_out["images and files"] += 1
    said = "\n\n".join(text for text in texts if text.strip())
    if not said:
        return []
    if kind == "code":
        language = content.language if content.language not in (None, "unknown") else ""
        said = f"```{draft.line(language or '')}\n{said}\n```"
    return [{"type": "text", "text": draft.text(said)}]


def _thought(thought: _Thought) -> str:
    return "\n\n".join(text for text in (thought.summary, thought.content) if text)
