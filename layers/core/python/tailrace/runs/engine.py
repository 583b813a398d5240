"""A run: calls the model, hands frames to its reader and its journal, and keeps what came.

A run lives in a task of its own, so that it outlives its reader; whoever starts it waits for its
frames to end, so that on Lambda nothing is left to do once the response is over. Telemetry comes
last and can neither delay nor break what the reader gets.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Literal

from tailrace.conversations import store
from tailrace.db import queries
from tailrace.db.pool import connect, pipeline
from tailrace.problems import Problem
from tailrace.providers.base import (
    SENTENCES,
    PartMetadata,
    ProviderError,
    ReasoningDelta,
    TextDelta,
)
from tailrace.runs import context, wire
from tailrace.runs.call import Call
from tailrace.runs.journal import Journal
from tailrace.runs.ledger import close_run
from tailrace.runs.titles import make_title
from tailrace.services import Services
from tailrace.telemetry.capture import publish
from tailrace.telemetry.event import Status
from tailrace.valkey import UNREACHABLE

_log = logging.getLogger(__name__)
_sql = queries.load("runs")

# Seconds between two appends to the journal; each also looks at the flag to stop.
_APPEND_EVERY = 0.05
# Seconds from a run's start to its first append and to its title: whoever still waits for a first
# token comes before what can wait.
_FIRST_APPEND_AFTER = 0.1
_TITLE_AFTER = 0.3
# Seconds between tries while Valkey does not answer; the flag is then read from PostgreSQL.
_RETRY_EVERY = 0.2
_KEEP_ALIVE_EVERY = 15.0
# Seconds a title may take once the answer is there.
_TITLE_PATIENCE = 2.0
_SAVE_ATTEMPTS = 3
# Seconds before the process's time is up at which an answer is ended, to be saved in what is left;
# of a short time no more than a quarter.
_MARGIN = 15.0

MessageStatus = Literal["complete", "error", "cancelled", "interrupted"]


class Run:
    """One generation of one answer.

    Parameters
    ----------
    call
        The prepared call; its id is the run's.
    start_metadata
        Metadata of the message that is known from the start.
    title_of
        First message of a new conversation, which is to get a title.
    """

    def __init__(
        self,
        services: Services,
        call: Call,
        *,
        start_metadata: dict[str, Any],
        title_of: str | None = None,
    ) -> None:
        settings = services.settings
        self.call = call
        self._services = services
        self._metadata = start_metadata
        self._title_of = title_of
        self._title: asyncio.Task[str | None] | None = None
        self._journal = Journal(
            services.redis,
            call.id,
            call.owner_id,
            ttl=settings.journal_ttl,
            alive_for=settings.run_dead_after,
        )
        self._journal_frames: list[bytes] = []
        self._journal_works = True
        self._reader_frames: list[bytes] = []
        self._wake = asyncio.Event()
        self._number = 0
        self._parts: list[dict[str, Any]] = []
        self._open_part: str | None = None
        self._pieces: list[str] = []
        self._generated = asyncio.Event()
        self._ended = False
        self._cancelled = False
        self._generation: asyncio.Task[None] | None = None
        self._time_left: float | None = None

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield the run's frames as they come, joined when several wait; for one reader."""
        while True:
            if self._reader_frames:
                data = b"".join(self._reader_frames)
                self._reader_frames.clear()
                yield data
            elif self._ended:
                return
            else:
                self._wake.clear()
                try:
                    async with asyncio.timeout(_KEEP_ALIVE_EVERY):
                        await self._wake.wait()
                except TimeoutError:
                    yield wire.KEEP_ALIVE

    async def execute(self) -> None:
        """Run to the end, whatever happens on the way."""
        try:
            await self._execute()
        except Exception:
            _log.exception("run %s failed", self.call.id)
        finally:
            self._ended = True
            self._wake.set()

    def end_within(self, seconds: float) -> None:
        """Be over, and saved, before the process's time is up, so many seconds after the start."""
        self._time_left = seconds - min(_MARGIN, seconds / 4)

    def interrupt(self) -> None:
        """End the generation because the process is about to stop; the partial is kept."""
        if self._generation is not None:
            self._generation.cancel()

    async def _execute(self) -> None:
        self._emit(
            {
                "type": "start",
                "messageId": str(self.call.id),
                "messageMetadata": self._metadata,
            }
        )
        self._emit({"type": "start-step"})
        self._generation = asyncio.create_task(self._generate())
        watch = asyncio.create_task(self._watch())
        status, event_status, error = await self._outcome(self._generation)
        self._close_part()
        if status == "complete":
            self._begin_title()
        # Who stopped an answer, or got none, does not wait for its title.
        await self._end_title(_TITLE_PATIENCE if status == "complete" else 0.0)
        self._generated.set()
        await watch
        await self._save(status, event_status, error)
        for part in wire.ending(status, self._metadata):
            self._emit(part)
        await self._append(status)
        self._reader_frames.append(wire.DONE)

    async def _generate(self) -> None:
        answering = False
        async for deltas in self.call.deltas():
            if not answering:
                answering = True
                self._tell_who_answers()
            for delta in deltas:
                if isinstance(delta, TextDelta):
                    self._say("text", delta.text)
                elif isinstance(delta, ReasoningDelta):
                    self._say("reasoning", delta.text)
                elif isinstance(delta, PartMetadata):
                    self._attach(delta)
            self._wake.set()

    async def _outcome(
        self, generation: asyncio.Task[None]
    ) -> tuple[MessageStatus, Status, ProviderError | None]:
        longest, left = self._services.settings.run_timeout, self._time_left
        is_cut = left is not None and left < longest
        done, _ = await asyncio.wait({generation}, timeout=left if is_cut else longest)
        if not done:
            generation.cancel()
            await asyncio.wait({generation})
            if is_cut:
                return "interrupted", "interrupted", None
            return "error", "timeout", ProviderError("timeout", "the run's time was up")
        if generation.cancelled():
            if self._cancelled:
                return "cancelled", "cancelled", None
            return "interrupted", "interrupted", None
        failure = generation.exception()
        if failure is None:
            return "complete", "ok", None
        if not isinstance(failure, ProviderError):
            _log.error("provider adapter failed", exc_info=failure)
            failure = ProviderError("protocol", f"{type(failure).__name__}: {failure}")
        return "error", "timeout" if failure.type == "timeout" else "error", failure

    async def _save(
        self, status: MessageStatus, event_status: Status, error: ProviderError | None
    ) -> None:
        """Make the event safe, then the message: what is left out here, maintain makes good."""
        call = self.call
        usage, estimated = call.usage()
        self._metadata |= {
            "usage": {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cache_read_input_tokens": usage.cache_read_input_tokens,
                "reasoning_output_tokens": usage.reasoning_output_tokens,
                "usage_estimated": estimated,
            },
            "finish_reason": call.finish,
            "duration": call.duration,
            "time_to_first_chunk": call.time_to_first_chunk,
        }
        if error is not None:
            self._metadata["error"] = {"type": error.type, "message": SENTENCES[error.type]}
        event = call.event(event_status, error)
        unsent = await publish(self._services.queue, event)
        for attempt in range(1, _SAVE_ATTEMPTS + 1):
            try:
                async with pipeline(self._services.pool) as connection:
                    if call.kind == "chat":
                        await store.finish_message(
                            connection, call.id, status, self._parts, self._metadata
                        )
                    await close_run(connection, event, unsent)
                return
            except Problem:
                _log.warning("run %s could not be saved, attempt %d", call.id, attempt)

    async def _watch(self) -> None:
        """Keep the journal, and see a request to stop soon after it is made."""
        loop = asyncio.get_running_loop()
        title_at = loop.time() + _TITLE_AFTER
        pause = _FIRST_APPEND_AFTER
        while not self._generated.is_set():
            # Told rather than cancelled: a command cut off half-way costs its connection.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._generated.wait()
            if self._parts and loop.time() >= title_at:
                self._begin_title()
            cancelled = await self._append()
            pause = _APPEND_EVERY if self._journal_works else _RETRY_EVERY
            if cancelled and not self._cancelled:
                self._cancelled = True
                if self._generation is not None:
                    self._generation.cancel()

    async def _append(self, status: MessageStatus | None = None) -> bool:
        frames, last = self._journal_frames.copy(), self._number
        try:
            cancelled = await self._journal.append(frames, last, status)
        except UNREACHABLE as error:
            if self._journal_works:
                _log.warning("run %s has no journal: %s", self.call.id, type(error).__name__)
            self._journal_works = False
            return await self._is_cancel_requested()
        self._journal_works = True
        del self._journal_frames[: len(frames)]
        return cancelled

    async def _is_cancel_requested(self) -> bool:
        try:
            async with connect(self._services.pool) as connection:
                cursor = await connection.execute(_sql["is_cancel_requested"], {"id": self.call.id})
                row = await cursor.fetchone()
        except Problem:
            return False
        return row is not None and row["cancelled"]

    def _say(self, kind: str, text: str) -> None:
        if self._open_part != kind:
            self._open(kind)
        if "\0" in text:
            text = text.replace("\0", "")  # PostgreSQL keeps no such character.
        part_id = str(len(self._parts) - 1)
        self._pieces.append(text)
        self._number += 1
        piece = wire.delta_frame(self._number, kind, part_id, text)
        self._reader_frames.append(piece)
        self._journal_frames.append(piece)

    def _attach(self, delta: PartMetadata) -> None:
        """Keep what the provider wants back with a part, which ends there."""
        if self._open_part != delta.part:
            self._open(delta.part)
        metadata = context.given_by(self.call.route.choice, delta.metadata)
        self._parts[-1]["providerMetadata"] = metadata
        self._close_part()

    def _open(self, kind: str) -> None:
        self._close_part()
        self._open_part = kind
        self._parts.append({"type": kind, "text": ""})
        self._emit({"type": f"{kind}-start", "id": str(len(self._parts) - 1)})

    def _close_part(self) -> None:
        if self._open_part is not None:
            part = self._parts[-1]
            part["text"] = "".join(self._pieces)
            self._pieces.clear()
            end = {"type": f"{self._open_part}-end", "id": str(len(self._parts) - 1)}
            if "providerMetadata" in part:
                end["providerMetadata"] = part["providerMetadata"]
            self._emit(end)
            self._open_part = None

    def _tell_who_answers(self) -> None:
        """Tell the reader at once what differs from what was asked for."""
        route, omitted = self.call.route, self.call.omitted
        self._metadata["model"] = route.choice.id
        if route.fallback_from:
            self._metadata["fallback_from"] = route.fallback_from
        self._metadata |= omitted
        if route.fallback_from or omitted:
            self._emit({"type": "message-metadata", "messageMetadata": self._metadata})

    def _emit(self, part: dict[str, Any]) -> None:
        self._number += 1
        piece = wire.frame(self._number, part)
        self._reader_frames.append(piece)
        self._journal_frames.append(piece)
        self._wake.set()

    def _begin_title(self) -> None:
        if self._title_of is None or self._title is not None:
            return
        self._title = asyncio.create_task(
            make_title(
                self._services,
                owner_id=self.call.owner_id,
                conversation_id=self.call.conversation_id,
                choice=self.call.route.choice,
                request_id=self.call.request_id,
                first_message=self._title_of,
            )
        )
        self._title.add_done_callback(self._show_title)

    def _show_title(self, task: asyncio.Task[str | None]) -> None:
        if task.cancelled():
            return
        if task.exception() is not None:
            _log.error("title of run %s failed", self.call.id, exc_info=task.exception())
        elif title := task.result():
            self._emit({"type": "data-title", "data": {"title": title}, "transient": True})

    async def _end_title(self, patience: float) -> None:
        if self._title is None:
            return
        _, late = await asyncio.wait({self._title}, timeout=patience)
        for task in late:
            task.cancel()
            await asyncio.wait({task})


class Runs:
    """The runs under way in this process."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], Run] = {}

    def start(self, run: Run) -> None:
        """Execute a run in a task of its own."""
        task = asyncio.create_task(run.execute())
        self._tasks[task] = run
        task.add_done_callback(self._tasks.pop)

    async def interrupt(self) -> None:
        """End every run, keeping what it has; for a process that stops."""
        for run in self._tasks.values():
            run.interrupt()
        if self._tasks:
            await asyncio.wait(set(self._tasks))
