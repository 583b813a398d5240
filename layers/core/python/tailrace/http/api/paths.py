"""Ids in paths, as named types: what cannot be the id of anything of the caller's is not found."""

import re
from typing import Annotated
from uuid import UUID

from fastapi import Depends

from tailrace.http.api.deps import CurrentCaller
from tailrace.ids import parse_uuid
from tailrace.problems import must_find, not_found

# What a client may call its message; so it is asked for in tailrace.http.chat.
_MESSAGE_ID = re.compile(r"[\x21-\x7e]{1,64}")


def id_of(what: str, text: str) -> UUID:
    """Return the id that stands in a path.

    Raises
    ------
    Problem
        404 when it cannot be one.
    """
    return must_find(what, parse_uuid(text))


def _conversation_id(conversation_id: str, caller: CurrentCaller) -> UUID:
    id = parse_uuid(conversation_id)
    # A guest's conversations live in the browser.
    if id is None or caller.kind == "guest":
        raise not_found("conversation")
    return id


def _message_id(message_id: str) -> str:
    if not _MESSAGE_ID.fullmatch(message_id):
        raise not_found("message")
    return message_id


def _answer_id(message_id: str) -> UUID:
    return id_of("answer", message_id)


def _call_id(call_id: str) -> UUID:
    return id_of("call", call_id)


ConversationId = Annotated[UUID, Depends(_conversation_id)]
MessageId = Annotated[str, Depends(_message_id)]
AnswerId = Annotated[UUID, Depends(_answer_id)]
CallId = Annotated[UUID, Depends(_call_id)]
