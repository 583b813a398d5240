"""Writing what was imported: each conversation in a transaction of its own, whole or not at all.

Called by the api application. What was imported before is known by its source and the id it has
there, so that an import can be sent again, after an interruption or with a newer export.
"""

import asyncio
import hashlib
from collections import Counter
from typing import Any
from uuid import UUID

import msgspec
from psycopg import DataError, Error, IntegrityError
from psycopg.types.json import Jsonb

from tailrace.attachments.library import Library, refusals
from tailrace.db import queries, statements
from tailrace.db.pool import Pool, pipeline
from tailrace.ids import parse_uuid, uuid7
from tailrace.problems import Problem
from tailrace.providers.registry import Providers
from tailrace.search import index_rest
from tailrace.settings import Settings
from tailrace.storable import storable
from tailrace.transfer import chatgpt, claude, own, unpack
from tailrace.transfer.draft import Draft, Source, Unusable

_sql = queries.load("transfer")

# A function has 30 s, and a person not much more patience; what is left is taken the next time.
_PATIENCE = 20.0
_TOLD_CHARS = 200


_HERE = "It is here already."
_UNFIT = "The database cannot hold it."

_Key = tuple[Source, str]


class Imported(msgspec.Struct):
    """A conversation that was taken; `id` is ours, `source_id` its source's."""

    id: UUID
    source: Source
    source_id: str
    title: str
    messages: int


class Skipped(msgspec.Struct):
    """A conversation that was not taken, as far as it can be named, and why."""

    id: str | None
    title: str | None
    reason: str


class Report(msgspec.Struct):
    """What an import did.

    Attributes
    ----------
    found
        Conversations in the file: those imported and those skipped.
    messages
        Messages written.
    left_out
        What was left out of the conversations taken: how many of which kind.
    complete
        Whether all were looked at; if not, the same import sent again goes on.
    """

    found: int
    imported: int = 0
    messages: int = 0
    complete: bool = True
    items: list[Imported] = []
    skipped: list[Skipped] = []
    left_out: dict[str, int] = {}


_ABSENT = msgspec.Raw(b"null")


class _Name(msgspec.Struct):
    """What tells a conversation's format, and what it is called, in any of them."""

    mapping: msgspec.Raw = _ABSENT
    chat_messages: msgspec.Raw = _ABSENT
    messages: msgspec.Raw = _ABSENT
    id: msgspec.Raw = _ABSENT
    conversation_id: msgspec.Raw = _ABSENT
    uuid: msgspec.Raw = _ABSENT
    title: msgspec.Raw = _ABSENT
    name: msgspec.Raw = _ABSENT

    @property
    def format(self) -> Source | None:
        """Which format it has."""
        if self.mapping is not _ABSENT:
            return "chatgpt"
        if self.chat_messages is not _ABSENT:
            return "claude"
        return "tailrace" if self.messages is not _ABSENT else None

    @property
    def told_id(self) -> str | None:
        """What its source calls it."""
        return _told(self.conversation_id) or _told(self.id) or _told(self.uuid)

    @property
    def told_title(self) -> str | None:
        """Its title, as it stands there."""
        return _told(self.title) or _told(self.name)


_name_decoder = msgspec.json.Decoder(_Name)


async def load(
    pool: Pool,
    providers: Providers,
    settings: Settings,
    files: Library,
    owner_id: UUID,
    body: bytes,
) -> Report:
    """Import every conversation of a body that can be taken and is not here yet.

    Parameters
    ----------
    body
        JSON, or a zip of it: our own export's, ChatGPT's or Claude's.

    Raises
    ------
    Problem
        400, 413 or 422 for a body of which nothing can be taken; 503 when the database is down:
        what was imported by then stays.
    """
    elements = await asyncio.to_thread(unpack.conversations, body, settings.max_import_bytes)
    packed = await asyncio.to_thread(unpack.Files, body, settings.max_import_bytes)
    # Passed over at once: an import that is sent again must get to where it ended.
    known = await _known(pool, owner_id)
    loader = _Loader(pool, providers, settings, files, packed, owner_id, known, len(elements))
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    for element in elements:
        if asyncio.get_running_loop().time() > deadline:
            loader.report.complete = False
            break
        await loader.take(element)
    report = loader.report
    report.left_out = {kind: count for kind, count in loader.left_out.items() if count}
    return report


async def _known(pool: Pool, owner_id: UUID) -> set[_Key]:
    """Return what the owner has imported and not deleted, and what is their own."""
    rows = await statements.fetch_all(pool, _sql["known_conversations"], {"owner_id": owner_id})
    return {(row["source"], row["source_id"]) for row in rows}


class _Loader:
    """One import."""

    def __init__(
        self,
        pool: Pool,
        providers: Providers,
        settings: Settings,
        files: Library,
        packed: unpack.Files,
        owner_id: UUID,
        known: set[_Key],
        found: int,
    ) -> None:
        self.report = Report(found, items=[], skipped=[])
        self.left_out: Counter[str] = Counter()
        self._pool = pool
        self._providers = providers
        self._settings = settings
        self._files = files
        self._packed = packed
        self._owner_id = owner_id
        self._seen = known
        self._models: dict[str | None, str] = {}

    async def take(self, element: msgspec.Raw) -> None:
        """Import one conversation, or say why not."""
        try:
            draft = await asyncio.to_thread(
                _read, element, self._settings, self._packed, self._seen
            )
            id = await self._write(draft)
        except Unusable as error:
            self._skip(element, str(error))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._skip(element, f"It is not as expected: {error}")
        except (DataError, IntegrityError):
            self._skip(element, _UNFIT)
        except Problem as problem:
            if problem.status in (413, 422):
                self._skip(element, problem.detail)
                return
            # psycopg, and so the pool, takes a limit of the server for a failure of it.
            cause = problem.__cause__
            if not isinstance(cause, Error) or (cause.sqlstate or "")[:2] != "54":
                raise
            self._skip(element, _UNFIT)
        else:
            if id is None:
                self._skip(element, _HERE)
                return
            self.left_out += draft.left_out
            self.report.imported += 1
            self.report.messages += len(draft.messages)
            self.report.items.append(
                Imported(id, draft.source, draft.source_id, draft.title, len(draft.messages))
            )

    async def _write(self, draft: Draft) -> UUID | None:
        """Write a conversation in one transaction; `None` when it is here already."""
        for node in draft.messages:
            node.parts = await self._files.keep(self._owner_id, node.parts)
        id = uuid7()
        ids = {node.id: uuid7() for node in draft.messages}
        messages = [
            {
                "id": str(ids[node.id]),
                "parent_id": str(ids[node.parent_id]) if node.parent_id else None,
                "sequence": sequence,
                "role": node.role,
                "status": node.status,
                "parts": node.parts,
                "metadata": node.metadata,
                "created_at": node.created_at,
            }
            for sequence, node in enumerate(draft.messages, start=1)
        ]
        conversation: dict[str, Any] = {
            name: getattr(draft, name)
            for name in (
                "source", "source_id", "title", "title_source", "system_prompt", "tags",
                "pinned_at", "archived_at", "created_at", "updated_at",
            )
        }  # fmt: skip
        conversation |= {
            "id": id,
            "owner_id": self._owner_id,
            "own_id": parse_uuid(draft.source_id) if draft.source == "tailrace" else None,
            "model": await self._model(draft.model),
            "parameters": Jsonb(draft.parameters),
            "active_leaf_id": ids[draft.active_id],
            "last_sequence": len(messages),
        }
        with refusals():
            return await self._insert(conversation, messages)

    async def _insert(
        self, conversation: dict[str, Any], messages: list[dict[str, Any]]
    ) -> UUID | None:
        async with pipeline(self._pool) as connection:
            cursor = await connection.execute(_sql["import_conversation"], conversation)
            await connection.execute(
                _sql["import_messages"],
                {
                    "id": conversation["id"],
                    "owner_id": self._owner_id,
                    "messages": Jsonb(messages, dumps=msgspec.json.encode),
                },
            )
            await index_rest(connection, self._owner_id, conversation["id"])
            row = await cursor.fetchone()
        return row["id"] if row else None

    async def _model(self, asked: str | None) -> str:
        """Return the model with which a conversation can go on here."""
        if asked not in self._models:
            try:
                self._models[asked] = (await self._providers.choose(asked)).id
            except Problem:
                self._models[asked] = await self._model(None) if asked is not None else ""
        return self._models[asked]

    def _skip(self, element: msgspec.Raw, reason: str) -> None:
        id, title = None, None
        try:
            name = _name_decoder.decode(element)
            id, title = name.told_id, name.told_title
        except (msgspec.MsgspecError, UnicodeDecodeError):
            reason = "It is no conversation of a known format."
        self.report.skipped.append(Skipped(id, title, reason))


def _read(
    element: msgspec.Raw, settings: Settings, packed: unpack.Files, known: set[_Key]
) -> Draft:
    """Read one conversation of whichever format it has, unless it is here already."""
    name = _name_decoder.decode(element)
    if name.format is None:
        raise Unusable("It is no conversation of a known format.")
    # Without an id it is known by what it holds.
    id = name.told_id or f"sha256:{hashlib.sha256(element).hexdigest()}"
    source_id = storable(id)
    if (name.format, source_id) in known:
        raise Unusable(_HERE)
    if name.format == "tailrace":
        return own.read(element, source_id, settings, packed)
    if name.format == "chatgpt":
        return chatgpt.read(element, source_id)
    return claude.read(element, source_id, settings)


def _told(value: msgspec.Raw) -> str | None:
    try:
        return msgspec.json.decode(value, type=str)[:_TOLD_CHARS]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
