"""Titles: a second, small model call in the first turn of a conversation.

It begins when the answer flows, so that it delays no first token, and ends with the run, since
nothing may outlive a Lambda's response.
"""

import asyncio
import logging
import re
from uuid import UUID

from tailrace.conversations import store
from tailrace.db.pool import connect, pipeline
from tailrace.ids import uuid7
from tailrace.problems import Problem
from tailrace.providers.base import ModelRequest, PromptMessage, ProviderError
from tailrace.providers.registry import Choice
from tailrace.runs.call import Call
from tailrace.runs.ledger import close_run, open_run
from tailrace.services import Services
from tailrace.telemetry.capture import publish
from tailrace.telemetry.event import Status

_log = logging.getLogger(__name__)

_MAX_TOKENS = 24
# A model that reasons may do so even where it is asked not to.
_MAX_REASONING_TOKENS = 512
_MAX_CHARS = 80
_PROMPT_CHARS = 2_000
_INSTRUCTION = (
    "Write a title of at most six words for a conversation that begins with the message below. "
    "Answer with the title alone.\n\n"
)


async def make_title(
    services: Services,
    *,
    owner_id: UUID,
    conversation_id: UUID,
    choice: Choice,
    request_id: str,
    first_message: str,
) -> str | None:
    """Ask the title model, or else `choice`, for a title, keep it, and leave the call's event.

    Returns
    -------
    str or None
        The title, or ``None`` when the model gave none or a person was faster; the title then
        stays as it was.
    """
    if services.settings.title_model is not None:
        try:
            choice = await services.providers.choose(services.settings.title_model)
        except Problem:
            _log.warning("the title model %s is not on offer", services.settings.title_model)
            return None
    call = Call(
        services,
        id=uuid7(),
        kind="title",
        owner_id=owner_id,
        conversation_id=conversation_id,
        candidates=await services.providers.candidates(choice),
        request_id=request_id,
    )
    prompt = PromptMessage.of_text("user", _INSTRUCTION + first_message[:_PROMPT_CHARS])
    call.prepare(ModelRequest(choice.model, [prompt], _max_tokens(choice), reasoning_effort="none"))
    try:
        async with connect(services.pool) as connection:
            await open_run(connection, call.opening(first_message))
    except Problem:
        return None
    title: str | None = None
    status: Status = "interrupted"
    error: ProviderError | None = None
    try:
        async for _ in call.deltas():
            pass
        title, status = _clean("".join(call.text)), "ok"
    except ProviderError as failure:
        error, status = failure, "timeout" if failure.type == "timeout" else "error"
    except asyncio.CancelledError:
        status = "cancelled"
        raise
    finally:
        kept = await _record(services, call, status, error, title)
    return title if kept else None


async def _record(
    services: Services,
    call: Call,
    status: Status,
    error: ProviderError | None,
    title: str | None,
) -> bool:
    """Make the event safe and write the title; tell whether it was."""
    event = call.event(status, error)
    unsent = await publish(services.queue, event)
    kept = False
    try:
        async with pipeline(services.pool) as connection:
            await close_run(connection, event, unsent)
            if title:
                kept = await store.set_model_title(connection, call.conversation_id, title)
    except Problem:
        # The row in the ledger lets maintain record the call.
        _log.warning("title call %s could not be closed", call.id)
        return False
    return kept


def _max_tokens(choice: Choice) -> int:
    reasons = "reasoning" in choice.info.capabilities
    return _MAX_TOKENS + (_MAX_REASONING_TOKENS if reasons else 0)


def _clean(text: str) -> str | None:
    """Take the first line, without the quotes and labels that small models add."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    line = re.sub(r"^\W*(?:title\s*:)?\s*", "", line, flags=re.IGNORECASE)
    line = line.replace("\0", "").strip().strip("\"'*#`.").strip()
    return line[:_MAX_CHARS] or None
