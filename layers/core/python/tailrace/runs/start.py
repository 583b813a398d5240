"""What a chat request starts: a new run, or the answer that the same request got before."""

from typing import NamedTuple
from uuid import UUID

from tailrace.auth.identity import Caller
from tailrace.conversations import store
from tailrace.db.pool import connect
from tailrace.ids import uuid7
from tailrace.providers.registry import Choice
from tailrace.runs import prompt
from tailrace.runs.call import Call
from tailrace.runs.engine import Run
from tailrace.runs.ledger import open_run
from tailrace.services import Services
from tailrace.telemetry.event import Kind


class Repeated(NamedTuple):
    """A request seen before, and the answer it got: whole, or under way."""

    run_id: UUID
    answer: store.Row


async def start_user_turn(
    services: Services,
    caller: Caller,
    *,
    conversation_id: UUID,
    client_message_id: str,
    text: str,
    choice: Choice,
    again: bool,
    request_id: str,
) -> Run | Repeated:
    """Write a user's turn, all of it or nothing, and return its run, not yet executed.

    Raises
    ------
    Problem
        404 for somebody else's conversation, 503 when the database is down.
    """
    call = _call(services, caller, "chat", conversation_id, choice, request_id)
    turn = await store.begin_turn(
        services.pool,
        call.opening(text),
        client_message_id=client_message_id,
        text=text,
        model=choice.id,
        again=again,
    )
    if turn.answer is not None:
        return Repeated(turn.answer_id, turn.answer)
    call.prepare(prompt.from_branch(turn.branch))
    return Run(
        services,
        call,
        start_metadata=_metadata(call, turn.user_message_id),
        title_of=text if turn.is_first else None,
    )


async def start_guest_turn(
    services: Services,
    caller: Caller,
    *,
    conversation_id: UUID,
    messages: list[store.Row],
    choice: Choice,
    request_id: str,
) -> Run:
    """Return the run of a guest's turn; the conversation itself lives in the guest's browser.

    Raises
    ------
    Problem
        503 when the database is down.
    """
    call = _call(services, caller, "guest", conversation_id, choice, request_id)
    call.prepare(prompt.from_branch(messages))
    async with connect(services.pool) as connection:
        await open_run(connection, call.opening(prompt.text_of(messages[-1]["parts"])))
    return Run(services, call, start_metadata=_metadata(call, None))


def _call(
    services: Services,
    caller: Caller,
    kind: Kind,
    conversation_id: UUID,
    choice: Choice,
    request_id: str,
) -> Call:
    return Call(
        services.settings,
        id=uuid7(),
        kind=kind,
        owner_id=caller.id,
        conversation_id=conversation_id,
        choice=choice,
        request_id=request_id,
        max_output_tokens=services.settings.max_output_tokens,
    )


def _metadata(call: Call, user_message_id: UUID | None) -> dict[str, str | None]:
    return {
        "run_id": str(call.id),
        "model": call.choice.id,
        "user_message_id": str(user_message_id) if user_message_id else None,
    }
