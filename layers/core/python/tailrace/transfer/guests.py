"""A guest's conversations, taken over by the account that the guest signed in to.

Called by the api application. A conversation keeps the id it had in the browser, and its messages
are known by theirs: what is here already is left as it is, so that the same import may be sent
again, whole or with what was said since. All of one import is written, or nothing.
"""

import json
from collections import Counter
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from psycopg import DataError
from psycopg.errors import ProgramLimitExceeded
from psycopg.types.json import Jsonb

from tailrace.attachments.library import Library, refusals
from tailrace.conversations.parts import Part
from tailrace.db import queries
from tailrace.db.pool import Connection, Pool, transaction
from tailrace.ids import uuid7
from tailrace.problems import Problem, invalid
from tailrace.providers.registry import Providers
from tailrace.search import index_rest
from tailrace.settings import Settings
from tailrace.storable import storable_json
from tailrace.transfer import draft, ours
from tailrace.transfer.draft import Node

_sql = queries.load("guests")

#: Conversations of one import; a browser keeps no more.
MAX_CONVERSATIONS = 100
_MAX_MESSAGES = 1000


class _Metadata(ours.Metadata, omit_defaults=True):
    """What the page keeps of an answer and shows again."""

    status: ours.Status = "complete"
    omitted_files: ours.Count | None = None


class _UIMessage(msgspec.Struct):
    id: Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,64}$")]
    role: Literal["user", "assistant"]
    parts: Annotated[list[Part], Meta(max_length=1000)]
    metadata: msgspec.Raw = ours.NOTHING


class _Conversation(msgspec.Struct, forbid_unknown_fields=True):
    id: UUID
    messages: Annotated[list[_UIMessage], Meta(max_length=_MAX_MESSAGES)]
    title: Annotated[str, Meta(max_length=1000)] | None = None
    model: ours.ModelName | None = None
    created_at: Annotated[str, Meta(max_length=64)] | None = None
    updated_at: Annotated[str, Meta(max_length=64)] | None = None


class GuestImport(msgspec.Struct, forbid_unknown_fields=True):
    """What a browser sends: its conversations, each with the branch that it shows."""

    conversations: Annotated[list[_Conversation], Meta(max_length=MAX_CONVERSATIONS)]


class Outcome(msgspec.Struct):
    """What became of a conversation.

    Attributes
    ----------
    status
        ``imported``; ``updated``, where some of its messages were here; ``unchanged``, where all
        were; ``refused``.
    messages
        How many were written.
    reason
        A sentence, if it was refused.
    """

    id: UUID
    status: Literal["imported", "updated", "unchanged", "refused"]
    messages: int = 0
    reason: str | None = None


class Report(msgspec.Struct):
    """What became of an import.

    Attributes
    ----------
    left_out
        How many ``files`` and other ``parts`` of what was taken could not be kept.
    """

    items: list[Outcome]
    left_out: dict[str, int]


_decoder = msgspec.json.Decoder(GuestImport)
_metadata_decoder = msgspec.json.Decoder(_Metadata)


def decode(body: bytes) -> GuestImport:
    """Read what a browser sent.

    Raises
    ------
    msgspec.MsgspecError, UnicodeDecodeError, RecursionError
        When it is not that.
    """
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # A title cut to length in a browser may end with half a character, which is valid JSON.
        try:
            told = json.loads(body)
        except ValueError:
            raise msgspec.DecodeError("not JSON") from None
        return _decoder.decode(msgspec.json.encode(storable_json(told)))


async def take_over(
    pool: Pool,
    providers: Providers,
    settings: Settings,
    files: Library,
    owner_id: UUID,
    sent: GuestImport,
) -> Report:
    """Write what a guest said to the account of a user.

    Raises
    ------
    Problem
        422 when two conversations, or two messages of one, have the same id, or the database
        cannot hold what a message holds; 413 when there is no room for its files; 503 when the
        database or the store is down. Nothing is written then.
    """
    _require_distinct([each.id for each in sent.conversations], "conversations")
    left_out: Counter[str] = Counter()
    taken: list[tuple[_Conversation, list[Node], str]] = []
    outcomes: dict[UUID, Outcome] = {}
    for number, told in enumerate(sent.conversations):
        field = f"conversations.{number}.messages"
        _require_distinct([message.id for message in told.messages], field)
        nodes = _nodes(told.messages, settings, left_out)
        for node in nodes:
            node.parts = await files.keep(owner_id, node.parts)
        if nodes:
            taken.append((told, nodes, await _model(providers, told.model)))
        else:
            outcomes[told.id] = Outcome(told.id, "refused", reason="It holds no messages.")
    # In one order, so that two imports never wait for each other in a circle.
    taken.sort(key=lambda each: each[0].id)
    try:
        with refusals():
            async with transaction(pool) as connection:
                for told, nodes, model in taken:
                    outcomes[told.id] = await _write(connection, owner_id, told, nodes, model)
    except (DataError, ProgramLimitExceeded) as error:
        raise invalid("conversations", "The database cannot hold one of them.") from error
    return Report([outcomes[told.id] for told in sent.conversations], dict(left_out))


async def _write(
    connection: Connection, owner_id: UUID, told: _Conversation, nodes: list[Node], model: str
) -> Outcome:
    """Write a conversation, or what is new of it."""
    title, title_source = draft.title_of(told.title, nodes)
    created_at, updated_at = draft.span(
        draft.moment(told.created_at), draft.moment(told.updated_at), nodes
    )
    scope: dict[str, Any] = {"id": told.id, "owner_id": owner_id, "updated_at": updated_at}
    cursor = await connection.execute(
        _sql["make_conversation"],
        {
            **scope,
            "title": title,
            "title_source": title_source,
            "model": model,
            "created_at": created_at,
        },
    )
    is_new = await cursor.fetchone() is not None
    cursor = await connection.execute(_sql["lock_conversation"], scope)
    conversation = await cursor.fetchone()
    if conversation is None:
        # Somebody else's, or one that its owner deleted: which of them is not told.
        return Outcome(told.id, "refused", reason="It cannot be imported under this id.")
    cursor = await connection.execute(_sql["find_known_messages"], scope)
    known: dict[str, UUID] = {}
    for row in await cursor.fetchall():
        known[str(row["id"])] = row["id"]
        if row["client_message_id"] is not None:
            known[row["client_message_id"]] = row["id"]
    rows = _new_rows(nodes, known, conversation["last_sequence"])
    if not rows:
        return Outcome(told.id, "unchanged")
    await connection.execute(
        _sql["add_messages"], {**scope, "messages": Jsonb(rows, dumps=msgspec.json.encode)}
    )
    newest = {"last_sequence": rows[-1]["sequence"], "leaf_id": rows[-1]["id"]}
    await connection.execute(_sql["move_on"], {**scope, **newest})
    await index_rest(connection, owner_id, told.id)
    return Outcome(told.id, "imported" if is_new else "updated", len(rows))


def _new_rows(
    nodes: list[Node], known: dict[str, UUID], last_sequence: int
) -> list[dict[str, Any]]:
    """Return the messages that are not known, each below the one before it."""
    rows: list[dict[str, Any]] = []
    parent_id: UUID | None = None
    for node in nodes:
        id = known.get(node.id)
        if id is None:
            id = uuid7()
            rows.append(
                {
                    "id": id,
                    "parent_id": parent_id,
                    "sequence": last_sequence + len(rows) + 1,
                    "role": node.role,
                    "status": node.status,
                    "parts": node.parts,
                    "metadata": node.metadata,
                    "client_message_id": node.id,
                    "created_at": node.created_at,
                }
            )
        parent_id = id
    return rows


def _nodes(messages: list[_UIMessage], settings: Settings, left_out: Counter[str]) -> list[Node]:
    """Return the messages as they are kept; answers that hold nothing are none."""
    nodes: list[Node] = []
    for message in messages:
        parts: list[dict[str, Any]] = []
        for part in message.parts:
            kept = _part(part, message.role, settings)
            if kept is not None:
                parts.append(kept)
            elif part.type != "step-start":
                left_out["files" if part.type == "file" else "parts"] += 1
        metadata, status = {}, "complete"
        if message.role == "assistant":
            metadata = ours.known(message.metadata, _metadata_decoder)
            status = ours.ended(metadata.pop("status", "complete"), metadata)
        if parts or status != "complete":
            nodes.append(Node(message.id, None, message.role, parts, status, metadata))
    return nodes


def _part(part: Part, role: draft.Role, settings: Settings) -> dict[str, Any] | None:
    if part.type == "file":
        if role != "user":
            return None
        return draft.file_part(part.url, part.media_type, part.filename, settings)
    return ours.spoken(part, role)


async def _model(providers: Providers, asked: str | None) -> str:
    """Return the model with which a conversation can go on here."""
    for model in (asked, None):
        try:
            return (await providers.choose(model)).id
        except Problem:
            continue
    return ""


def _require_distinct(ids: list[Any], field: str) -> None:
    seen: set[Any] = set()
    for number, id in enumerate(ids):
        if id in seen:
            raise invalid(f"{field}.{number}.id", "This id stands here twice.")
        seen.add(id)
