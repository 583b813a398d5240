"""The chat application: starts, follows and stops runs. Served by `functions/chat`.

Kept apart from the api application and free of its frameworks, since its cold start is what a
person waits for.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tailrace.auth.identity import (
    Caller,
    client_address,
    identify,
    require_scope,
    set_guest_cookie,
)
from tailrace.conversations import store
from tailrace.conversations.parts import Part
from tailrace.db import queries
from tailrace.db.pool import connect
from tailrace.http import calls, exports, problems
from tailrace.http.csrf import SameOrigin
from tailrace.ids import parse_uuid, uuid7
from tailrace.limits.addresses import trusted_proxies
from tailrace.presence import presence
from tailrace.problems import Problem, invalid, not_found
from tailrace.providers.base import ReasoningEffort
from tailrace.runs import attachments, journal, wire
from tailrace.runs.engine import Run, Runs
from tailrace.runs.prompt import text_of
from tailrace.runs.start import (
    Asked,
    Repeated,
    require_fits,
    start_guest_turn,
    start_user_turn,
)
from tailrace.runs.stop import request_stop
from tailrace.services import Services

_sql = queries.load("runs")

# A guest sends the whole branch; this many messages of the largest size are the most.
_MAX_GUEST_MESSAGES = 200
# Lambda takes no larger request.
_MAX_BODY = 6 << 20
_REGENERATE = "regenerate-message"


_MessageId = Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,64}$")]


class _UIMessage(msgspec.Struct, forbid_unknown_fields=True):
    id: _MessageId
    role: Literal["user", "assistant"]
    parts: Annotated[list[Part], Meta(max_length=100)]
    # AI SDK's, and of no use here.
    metadata: Any = None


class _ChatRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of AI SDK's chat transport, and what we ask beside it."""

    id: UUID
    message: _UIMessage | None = None
    messages: Annotated[list[_UIMessage], Meta(max_length=_MAX_GUEST_MESSAGES)] | None = None
    model: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    reasoning_effort: ReasoningEffort | None = None
    trigger: Literal["submit-message", "regenerate-message"] | None = None
    parent_id: _MessageId | UnsetType | None = UNSET
    message_id: _MessageId | None = msgspec.field(default=None, name="messageId")


class _StopRequest(msgspec.Struct, forbid_unknown_fields=True):
    run_id: UUID | None = None


_chat_decoder = msgspec.json.Decoder(_ChatRequest)
_stop_decoder = msgspec.json.Decoder(_StopRequest)


def create_app(services: Services, *, lifespan: bool = True) -> Starlette:
    """Return the application.

    Parameters
    ----------
    lifespan
        Whether the application opens and closes `services`, rather than the one it is part of.

    Raises
    ------
    SettingsError
        When a provider's settings cannot be used.
    """
    routes = _Routes(services)

    @asynccontextmanager
    async def run_lifespan(app: Starlette) -> AsyncIterator[None]:
        if lifespan:
            await services.open()
        yield
        await routes.runs.interrupt()
        if lifespan:
            await services.close()

    return Starlette(
        routes=[
            Route("/api/chat", routes.start, methods=["POST"]),
            Route("/api/chat/{conversation_id}/stream", routes.follow, methods=["GET"]),
            Route("/api/chat/{conversation_id}/stop", routes.stop, methods=["POST"]),
            *exports.routes(services),
            *calls.routes(services),
        ],
        middleware=[
            *presence(services),
            *trusted_proxies(services.settings),
            Middleware(SameOrigin, public_url=services.settings.public_url),
        ],
        exception_handlers=problems.HANDLERS,
        lifespan=run_lifespan,
    )


class _Routes:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._providers = services.providers
        self.runs = Runs()

    async def start(self, request: Request) -> Response:
        """POST /api/chat"""
        body = await _read(request, _chat_decoder)
        caller = await self._identify(request)
        request_id = str(uuid7())
        address = client_address(request)
        if caller.kind == "user":
            rates = await self._services.limiter.take_message(caller, address)
            started = await self._start_user(caller, body, request_id)
        else:
            started, rates = await self._start_guest(caller, body, address, request_id)
        if isinstance(started, Run):
            # On Lambda alone: there the process ends with the invocation's time.
            if invocation := request.scope.get("aws.context"):
                started.end_within(invocation.get_remaining_time_in_millis() / 1000)
            self.runs.start(started)
            response = _stream(started.frames(), started.call.id, request_id)
        else:
            response = await self._repeat(caller, started, request_id)
        response.headers.update(rates)
        set_guest_cookie(self._services, response, caller)
        return response

    async def follow(self, request: Request) -> Response:
        """GET /api/chat/{conversation_id}/stream"""
        conversation_id = _conversation_id(request)
        run_id = _query_uuid(request, "run_id")
        after = _last_event_id(request)
        caller = await self._identify(request)
        active_id = await self._active_run(caller, conversation_id, run_id)
        if active_id is None and caller.kind == "user":
            await store.require(self._services.pool, caller.id, conversation_id)
        followed = run_id or active_id
        frames = None
        if followed is not None:
            frames = await journal.follow(
                self._services.redis, followed, caller.id, after, active=followed == active_id
            )
        if followed is None or frames is None:
            return Response(status_code=204)
        return _stream(frames, followed, str(uuid7()))

    async def stop(self, request: Request) -> Response:
        """POST /api/chat/{conversation_id}/stop"""
        conversation_id = _conversation_id(request)
        body = await _read(request, _stop_decoder, optional=True) or _StopRequest()
        caller = await self._identify(request)
        run_id = body.run_id or await self._active_run(caller, conversation_id)
        if run_id is not None:
            asked = await request_stop(self._services, caller.id, conversation_id, run_id)
            run_id = asked[0] if asked else None
        if run_id is None:
            if caller.kind == "user":
                await store.require(self._services.pool, caller.id, conversation_id)
            return Response(status_code=204)
        return Response(
            msgspec.json.encode({"run_id": run_id, "status": "stopping"}),
            status_code=202,
            media_type="application/json",
        )

    async def _identify(self, request: Request) -> Caller:
        caller = await identify(self._services, request)
        require_scope(caller, "chat")
        return caller

    async def _start_user(
        self, caller: Caller, body: _ChatRequest, request_id: str
    ) -> Run | Repeated:
        if body.model is None:
            body.model = await store.find_model(self._services.pool, caller.id, body.id)
        if body.message_id is not None:
            if body.trigger != _REGENERATE:
                raise invalid("messageId", "An edited message is a new one, with an id of its own.")
            if body.message is None or body.message.id != body.message_id:
                return await self._regenerate(caller, body, body.message_id, request_id)
        field, message = _last_message(body)
        return await start_user_turn(
            self._services,
            caller,
            await self._asked(
                body, field, self._new_message(message, field, stored=True), request_id, caller.id
            ),
            client_message_id=message.id,
            again=body.trigger == _REGENERATE,
            below=None if body.parent_id is UNSET else store.Below(body.parent_id),
        )

    async def _regenerate(
        self, caller: Caller, body: _ChatRequest, message_id: str, request_id: str
    ) -> Run | Repeated:
        """Answer a message of the conversation again; what the body has of it is not looked at."""
        question = await store.find_question(self._services.pool, caller.id, body.id, message_id)
        return await start_user_turn(
            self._services,
            caller,
            await self._asked(body, "messageId", question["parts"], request_id, caller.id),
            client_message_id=str(question["id"]),
            again=True,
            known=True,
        )

    async def _start_guest(
        self, caller: Caller, body: _ChatRequest, address: str, request_id: str
    ) -> tuple[Run, dict[str, str]]:
        field, message = _last_message(body)
        parts = self._new_message(message, field)
        asked = await self._asked(body, field, parts, request_id)
        earlier = [
            {"role": earlier.role, "parts": self._parts_of(earlier, f"messages.{number}")}
            for number, earlier in enumerate((body.messages or [message])[:-1])
        ]
        # A guest has few messages: one that cannot be sent is none of them.
        rates = await self._services.limiter.take_message(caller, address)
        return await start_guest_turn(self._services, caller, asked, earlier=earlier), rates

    async def _asked(
        self,
        body: _ChatRequest,
        field: str,
        parts: list[dict[str, Any]],
        request_id: str,
        owner_id: UUID | None = None,
    ) -> Asked:
        """Choose the model and make sure that it can read the message.

        Parameters
        ----------
        owner_id
            The user whose files are kept in the store; ``None`` for a guest.
        """
        choice = await self._providers.choose(body.model)
        known: dict[UUID, dict[str, Any]] = {}
        if owner_id is None:
            attachments.require_all_readable(parts, field, choice.id, choice.info)
        else:
            files = self._services.files
            # A message that is answered again is written already.
            if field != "messageId":
                parts = await attachments.keep(
                    files, owner_id, parts, field, choice.id, choice.info
                )
            known = await attachments.find(files, owner_id, parts, field, choice.id, choice.info)
        asked = Asked(body.id, parts, choice, body.reasoning_effort, request_id, known)
        require_fits(self._services, asked, field if field == "messageId" else f"{field}.parts")
        return asked

    async def _repeat(self, caller: Caller, repeated: Repeated, request_id: str) -> Response:
        """Answer a request seen before with the answer that it got."""
        answer = repeated.answer
        if answer["status"] == "streaming":
            frames = await journal.follow(
                self._services.redis, repeated.run_id, caller.id, 0, active=True
            )
            if frames is None:
                raise Problem(
                    409,
                    "Already being answered",
                    "This message is being answered. Reload the conversation in a moment.",
                    field="message.id",
                    headers={"Retry-After": "2"},
                )
            return _stream(frames, repeated.run_id, request_id)
        stored = wire.stored_message(
            str(repeated.run_id), answer["status"], answer["parts"], answer["metadata"]
        )
        return _stream(_all_of(stored), repeated.run_id, request_id)

    async def _active_run(
        self, caller: Caller, conversation_id: UUID, run_id: UUID | None = None
    ) -> UUID | None:
        """Return the newest run under way, or the one that is named if it is."""
        async with connect(self._services.pool) as connection:
            cursor = await connection.execute(
                _sql["find_active_run"],
                {"conversation_id": conversation_id, "owner_id": caller.id, "run_id": run_id},
            )
            row = await cursor.fetchone()
        return row["id"] if row else None

    def _new_message(
        self, message: _UIMessage, field: str, *, stored: bool = False
    ) -> list[dict[str, Any]]:
        """Check the user's new message and return its parts as they are kept.

        Parameters
        ----------
        stored
            Whether it may name files in the store.
        """
        limit = self._services.settings.max_message_chars
        if message.role != "user":
            raise invalid(f"{field}.role", "The last message must be the user's.")
        for number, part in enumerate(message.parts):
            if part.type not in ("text", "file"):
                raise invalid(
                    f"{field}.parts.{number}.type", "Only text and file parts are accepted."
                )
        parts = self._parts_of(message, field, stored=stored)
        text = text_of(parts)
        if not text.strip() and not any(part["type"] == "file" for part in parts):
            raise invalid(f"{field}.parts", "The message is empty.")
        if len(text) > limit:
            raise invalid(
                f"{field}.parts",
                f"The message has {len(text):,} characters; {limit:,} are allowed.",
            )
        return parts

    def _parts_of(
        self, message: _UIMessage, field: str, *, stored: bool = False
    ) -> list[dict[str, Any]]:
        """Return the text, reasoning and files of a message; what else a client keeps is not."""
        settings = self._services.settings
        files = [part for part in message.parts if part.type == "file"]
        if len(files) > settings.max_attachments:
            raise invalid(
                f"{field}.parts",
                f"The message has {len(files)} files; {settings.max_attachments} are allowed.",
            )
        parts: list[dict[str, Any]] = []
        for number, part in enumerate(message.parts):
            where = f"{field}.parts.{number}"
            if part.type == "file":
                file = {"mediaType": part.media_type, "filename": part.filename, "url": part.url}
                parts.append(attachments.accept(file, where, settings, stored=stored))
            elif part.type in ("text", "reasoning"):
                text = part.text or ""
                if "\0" in text:
                    raise invalid(f"{where}.text", "Text must not contain NUL characters.")
                kept: dict[str, Any] = {"type": part.type, "text": text}
                if part.provider_metadata and message.role == "assistant":
                    kept["providerMetadata"] = part.provider_metadata
                parts.append(kept)
        return parts


def _last_message(body: _ChatRequest) -> tuple[str, _UIMessage]:
    if (body.message is None) == (body.messages is None):
        raise invalid("message", "Send either message or messages.")
    if body.message is not None:
        return "message", body.message
    if not body.messages:
        raise invalid("messages", "At least one message is required.")
    return f"messages.{len(body.messages) - 1}", body.messages[-1]


async def _read(request: Request, decoder: msgspec.json.Decoder, *, optional: bool = False) -> Any:
    """Read a JSON body of bounded size."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise Problem(413, "Body too large", f"A body has at most {_MAX_BODY:,} bytes.")
    if optional and not body:
        return None
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "Unsupported media type", "Send application/json.")
    try:
        return decoder.decode(bytes(body))
    except msgspec.ValidationError as error:
        raise problems.of_validation(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "Malformed JSON", "The body is not valid JSON.") from None


def _conversation_id(request: Request) -> UUID:
    conversation_id = parse_uuid(request.path_params["conversation_id"])
    if conversation_id is None:
        raise not_found("conversation")
    return conversation_id


def _query_uuid(request: Request, name: str) -> UUID | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    value = parse_uuid(text)
    if value is None:
        raise invalid(name, "Not a UUID.")
    return value


def _last_event_id(request: Request) -> int:
    text = request.headers.get("last-event-id", "0")
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise invalid("Last-Event-ID", "Not the id of an event of this stream.", status=400)
    return int(text)


async def _all_of(frames: list[bytes]) -> AsyncIterator[bytes]:
    yield b"".join(frames)


def _stream(frames: AsyncIterator[bytes], run_id: UUID, request_id: str) -> Response:
    return StreamingResponse(
        frames,
        headers={
            **wire.HEADERS,
            "x-tailrace-run-id": str(run_id),
            "x-tailrace-request-id": request_id,
        },
    )
