"""What a chat request starts: a new run, or the answer that the same request got before."""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from msgspec import structs

from tailrace.attachments.library import named, refusals
from tailrace.auth.identity import Caller
from tailrace.conversations import store
from tailrace.db.pool import connect
from tailrace.ids import uuid7
from tailrace.limits import quotas
from tailrace.providers.base import ModelRequest, ReasoningEffort
from tailrace.providers.registry import Choice
from tailrace.runs import context, prompt
from tailrace.runs.attachments import Reader
from tailrace.runs.call import Call
from tailrace.runs.engine import Run
from tailrace.runs.ledger import open_run_in_budget
from tailrace.services import Services
from tailrace.telemetry.event import Kind


class Repeated(NamedTuple):
    """A request seen before, and the answer it got: whole, or under way."""

    run_id: UUID
    answer: store.Row


class Asked(NamedTuple):
    """What a request asks for, checked: the new message, whom to ask, and how.

    Attributes
    ----------
    parts
        The new user message, as it is kept.
    reasoning_effort
        ``None`` leaves it to the model.
    files
        What is known of its files in the store, by their id.
    """

    conversation_id: UUID
    parts: list[store.Row]
    choice: Choice
    reasoning_effort: ReasoningEffort | None
    request_id: str
    files: Mapping[UUID, store.Row] = {}

    @property
    def text(self) -> str:
        """Text of the new message."""
        return prompt.text_of(self.parts)

    @property
    def subject(self) -> str:
        """What the message is about, for a title: its text, or else the names of its files."""
        names = (part.get("filename") or part["mediaType"] for part in self.parts if "url" in part)
        return self.text if self.text.strip() else ", ".join(names)


def require_fits(services: Services, asked: Asked, field: str) -> None:
    """Make sure, before anything is counted or written, that the model can read the new message.

    Parameters
    ----------
    field
        Where the request has it.

    Raises
    ------
    Problem
        422 on `field` when the message alone is too much.
    """
    alone = _request(services, asked, [{"role": "user", "parts": asked.parts}])
    context.require_fits(asked.choice, alone, field)


async def start_user_turn(
    services: Services,
    caller: Caller,
    asked: Asked,
    *,
    client_message_id: str,
    again: bool,
    known: bool = False,
    below: store.Below | None = None,
) -> Run | Repeated:
    """Write a user's turn, all of it or nothing, and return its run, not yet executed.

    Parameters
    ----------
    client_message_id
        The id its client gave the message.
    again
        Whether a message seen before gets a new answer.
    known
        Whether it must have been seen before.
    below
        Where a new message goes; below the active leaf if nothing is said.

    Raises
    ------
    Problem
        404 for somebody else's conversation or a message that it does not have, 429 when a quota or
        the budget is used up, 503 when the database is down.
    """
    call = await _call(services, caller, "chat", asked)
    with quotas.refusals(), refusals():
        turn = await store.begin_turn(
            services.pool,
            call.opening(asked.text) | quotas.terms(services.settings, caller.id),
            client_message_id=client_message_id,
            title_from=asked.subject,
            parts=asked.parts,
            model=asked.choice.id,
            again=again,
            known=known,
            below=below,
        )
    if turn.answer is not None:
        return Repeated(turn.answer_id, turn.answer)
    request = _request(services, asked, turn.branch)
    has_files = any(named(message["parts"]) for message in turn.branch)
    call.prepare(
        _as_arranged(request, turn.system_prompt, turn.parameters),
        Reader(services.files, caller.id) if has_files else None,
    )
    return Run(
        services,
        call,
        start_metadata=_metadata(call, turn.user_message_id),
        title_of=asked.subject if turn.is_first else None,
    )


async def start_guest_turn(
    services: Services, caller: Caller, asked: Asked, *, earlier: list[store.Row]
) -> Run:
    """Return the run of a guest's turn; the conversation itself lives in the guest's browser.

    Parameters
    ----------
    earlier
        Role and parts of the messages before the new one.

    Raises
    ------
    Problem
        429 when the budget is used up, 503 when the database is down.
    """
    call = await _call(services, caller, "guest", asked)
    call.prepare(_request(services, asked, [*earlier, {"role": "user", "parts": asked.parts}]))
    async with connect(services.pool) as connection:
        await open_run_in_budget(
            connection, call.opening(asked.text), quotas.terms(services.settings, None)
        )
    return Run(services, call, start_metadata=_metadata(call, None))


async def _call(services: Services, caller: Caller, kind: Kind, asked: Asked) -> Call:
    return Call(
        services,
        id=uuid7(),
        kind=kind,
        owner_id=caller.id,
        conversation_id=asked.conversation_id,
        candidates=await services.providers.candidates(asked.choice),
        request_id=asked.request_id,
    )


def _request(services: Services, asked: Asked, branch: list[store.Row]) -> ModelRequest:
    settings = services.settings
    return ModelRequest(
        asked.choice.model,
        prompt.from_branch(branch, asked.files),
        settings.max_output_tokens,
        system=settings.system_prompt,
        reasoning_effort=asked.reasoning_effort,
    )


def _as_arranged(
    request: ModelRequest, system_prompt: str | None, parameters: store.Row
) -> ModelRequest:
    """Apply what a conversation sets; the server's prompt stands first, and its limit holds."""
    if not system_prompt and not parameters:
        return request
    prompts = [text for text in (request.system, system_prompt) if text]
    limit = parameters.get("max_output_tokens")
    return structs.replace(
        request,
        system="\n\n".join(prompts) or None,
        max_output_tokens=min(limit or request.max_output_tokens, request.max_output_tokens),
        reasoning_effort=request.reasoning_effort or parameters.get("reasoning_effort"),
        temperature=parameters.get("temperature"),
    )


def _metadata(call: Call, user_message_id: UUID | None) -> dict[str, str | None]:
    return {
        "run_id": str(call.id),
        "model": call.route.asked.id,
        "user_message_id": str(user_message_id) if user_message_id else None,
    }
