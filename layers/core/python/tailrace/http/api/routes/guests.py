"""What a guest had in the browser, taken over by the account that was signed in to."""

from typing import Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel

from tailrace.http import problems
from tailrace.http.api.deps import CurrentServices, Limited, Writer
from tailrace.problems import Problem
from tailrace.transfer.guests import MAX_CONVERSATIONS, GuestImport, decode, take_over

router = APIRouter(prefix="/api/guests", tags=["guests"])

# Lambda takes no larger request.
_MAX_BODY = 6 << 20


class ImportedConversation(BaseModel):
    """What became of a conversation; `messages` counts those that were written."""

    id: UUID
    status: Literal["imported", "updated", "unchanged", "refused"]
    messages: int
    reason: str | None


class GuestImportReport(BaseModel):
    """What became of an import, in the order in which it was sent.

    `left_out` counts the files and other parts of messages that could not be kept.
    """

    items: list[ImportedConversation]
    left_out: dict[str, int]


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["conversations"],
                    "additionalProperties": False,
                    "properties": {
                        "conversations": {
                            "type": "array",
                            "maxItems": MAX_CONVERSATIONS,
                            "items": {
                                "type": "object",
                                "required": ["id", "messages"],
                                "additionalProperties": False,
                                "properties": {
                                    "id": {"type": "string", "format": "uuid"},
                                    "title": {"type": ["string", "null"]},
                                    "model": {"type": ["string", "null"]},
                                    "created_at": {"type": ["string", "null"]},
                                    "updated_at": {"type": ["string", "null"]},
                                    "messages": {
                                        "description": "UI messages of AI SDK, oldest first",
                                        "type": "array",
                                        "items": {"type": "object"},
                                    },
                                },
                            },
                        }
                    },
                }
            }
        },
    }
}


@router.post("/import", openapi_extra=_BODY, dependencies=[Limited])
async def import_conversations(
    request: Request, services: CurrentServices, caller: Writer
) -> GuestImportReport:
    """Take over the conversations of a guest who has signed in; all of them, or none.

    They keep their ids, and so do their messages: what is here already stays as it is.
    """
    sent = await _read(request)
    report = await take_over(
        services.pool, services.providers, services.settings, services.files, caller.id, sent
    )
    return GuestImportReport.model_validate(report, from_attributes=True)


async def _read(request: Request) -> GuestImport:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "Unsupported media type", "Send application/json.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise Problem(413, "Body too large", f"A body has at most {_MAX_BODY:,} bytes.")
    try:
        return decode(bytes(body))
    except msgspec.ValidationError as error:
        raise problems.of_validation(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "Malformed JSON", "The body is not valid JSON.") from None
