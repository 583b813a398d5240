"""A conversation on its way in, and how its tree is made of what another product kept.

Each format (`tailrace.transfer.own`, `.chatgpt`, `.claude`) reads its conversations into nodes;
`grow` makes of them a tree that can be kept; `tailrace.transfer.load` writes it.
"""

import heapq
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tailrace.problems import Problem
from tailrace.runs import attachments
from tailrace.settings import Settings
from tailrace.storable import storable, storable_json

Source = Literal["tailrace", "chatgpt", "claude"]
Role = Literal["user", "assistant"]
Status = Literal["complete", "error", "cancelled", "interrupted"]

MAX_MESSAGES = 10_000
_TITLE_CHARS = 200
_PROMPT_CHARS = 80
_MAX_DEPTH = 16
_MAX_PROVIDER_METADATA = 256 << 10


class Unusable(Exception):
    """A conversation that cannot be taken; the text says why."""


class Failure(msgspec.Struct):
    """How an answer went wrong: the class and the sentence of an error."""

    type: Annotated[str, Meta(max_length=64)]
    message: Annotated[str, Meta(max_length=2000)]


class Node(msgspec.Struct):
    """A message where it stands.

    Attributes
    ----------
    id, parent_id
        As its source names them; a parent that is not among the nodes makes a root.
    role
        ``None`` for a node that holds nothing to keep: what is below it moves up.
    parts
        As they are kept: text, reasoning and files.
    """

    id: str
    parent_id: str | None
    role: Role | None = None
    parts: list[dict[str, Any]] = []
    status: Status = "complete"
    metadata: dict[str, Any] = {}
    created_at: datetime | None = None


class Draft(msgspec.Struct, kw_only=True):
    """A conversation to be written.

    Attributes
    ----------
    source_id
        What it is called where it came from, and so known by when it comes again.
    messages
        Parents before their children, brothers in order.
    active_id
        The leaf that is shown.
    left_out
        How much of what could not be taken.
    """

    source: Source
    source_id: str
    title: str
    messages: list[Node]
    active_id: str
    created_at: datetime
    updated_at: datetime
    title_source: Literal["prompt", "model", "user"] = "user"
    model: str | None = None
    system_prompt: str | None = None
    parameters: dict[str, Any] = {}
    tags: list[str] = []
    pinned_at: datetime | None = None
    archived_at: datetime | None = None
    left_out: Counter[str]


def grow(nodes: list[Node], active_id: str | None, *, join: bool = False) -> tuple[list[Node], str]:
    """Make a tree of the nodes that hold something.

    Parameters
    ----------
    nodes
        In the order in which brothers are to stand.
    active_id
        The node that its source showed last, if it told.
    join
        Whether assistant messages that follow one another are one: where thinking, calls of tools
        and their ends are nodes of their own.

    Returns
    -------
    tuple
        The messages, parents before their children, and the id of the active leaf.

    Raises
    ------
    Unusable
        When two nodes have one id, they form a circle, nothing is left, or too much is.
    """
    by_id = {node.id: node for node in nodes}
    if len(by_id) != len(nodes):
        raise Unusable("Two of its messages have the same id.")
    if len(nodes) > MAX_MESSAGES:
        raise Unusable(f"It has more than {MAX_MESSAGES:,} messages.")
    places = {node.id: place for place, node in enumerate(nodes)}
    children: dict[str, list[str]] = {}
    roots: list[str] = []
    for node in nodes:
        if node.parent_id in by_id:
            children.setdefault(node.parent_id, []).append(node.id)
        else:
            roots.append(node.id)

    # Where each node's children hang: itself, what it was joined to, or what it moved up to.
    hold: dict[str, Node | None] = {}
    kept: list[Node] = []
    waiting = [places[id] for id in roots]
    heapq.heapify(waiting)
    while waiting:
        node = nodes[heapq.heappop(waiting)]
        above = hold[node.parent_id] if node.parent_id in by_id else None
        below = children.get(node.id, ())
        for id in below:
            heapq.heappush(waiting, places[id])
        if node.role is None:
            hold[node.id] = above
        elif (
            join
            and above is not None
            and above.role == node.role == "assistant"
            and len(children[node.parent_id or ""]) == 1
        ):
            above.parts += node.parts
            above.metadata |= node.metadata
            hold[node.id] = above
        else:
            hold[node.id] = node
            node.parent_id = above.id if above else None
            kept.append(node)
    if len(hold) != len(nodes):
        raise Unusable("Its messages form a circle.")
    if not kept:
        raise Unusable("It holds no messages.")
    active = hold.get(active_id) if active_id else None
    return kept, _leaf(kept, active)


def _leaf(kept: list[Node], active: Node | None) -> str:
    """Return the newest leaf below a message; the conversation's active one always is a leaf."""
    if active is None:
        return kept[-1].id
    below = {active.id}
    leaf = active.id
    for node in kept:
        if node.parent_id in below:
            below.add(node.id)
            leaf = node.id
    return leaf


def title_of(title: str | None, messages: list[Node]) -> tuple[str, Literal["prompt", "user"]]:
    """Return a title, of the first words said where there is none, and whose it is."""
    words = line(title or "")
    if words:
        return words[:_TITLE_CHARS].rstrip(), "user"
    for node in messages[:2]:
        said = " ".join(part["text"] for part in node.parts if part["type"] == "text")
        words = " ".join(line(said[:10_000]).split())
        if len(words) > _PROMPT_CHARS:
            words = words[: _PROMPT_CHARS - 1].rstrip() + "…"
        if words:
            return words, "prompt"
    return "Imported conversation", "prompt"


def line(words: str) -> str:
    """Return a text as one line."""
    printed = (letter if letter >= " " and letter != "\x7f" else " " for letter in text(words))
    return "".join(printed).strip()


def text(value: str) -> str:
    """Return a text as PostgreSQL can hold it."""
    return storable(value)


def provider_metadata(told: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]] | None:
    """Return what a provider wants back with a part; `None` for what is none of any provider's.

    A signature takes some kilobytes, in an object or two; what is far deeper could be kept, but
    never be told again.
    """
    if _is_deep(told) or len(msgspec.json.encode(told)) > _MAX_PROVIDER_METADATA:
        return None
    return storable_json(told)


def _is_deep(value: Any, left: int = _MAX_DEPTH) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and (not left or any(_is_deep(v, left - 1) for v in value))


def file_part(
    url: str | None, media_type: str | None, filename: str | None, settings: Settings
) -> dict[str, Any] | None:
    """Return a file as it is kept, `None` for one that is not taken in a chat either."""
    told = {"mediaType": media_type, "filename": filename and storable(filename), "url": url}
    # What goes to the store may have been uploaded once, by itself.
    limit = settings.max_upload_bytes if settings.attachments_url else None
    try:
        return attachments.accept(told, "file", settings, limit=limit)
    except Problem:
        return None


def time_of(seconds: float | None) -> datetime | None:
    """Return a time given in seconds since 1970, if it can be one."""
    if seconds is None or not 0 < seconds < 4e9:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def moment(value: str | None) -> datetime | None:
    """Return a time given in RFC 3339, if it is one."""
    if not value:
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return time if 1970 <= time.year < 2100 else None


def span(
    created: datetime | None, updated: datetime | None, messages: list[Node]
) -> tuple[datetime, datetime]:
    """Return when a conversation began and was last used, and give every message a time."""
    known = [node.created_at for node in messages if node.created_at]
    now = datetime.now(UTC)
    created = created or (min(known) if known else now)
    updated = max(created, min(updated or (max(known) if known else created), now))
    last = created
    for node in messages:
        node.created_at = last = node.created_at or last
    return created, updated
