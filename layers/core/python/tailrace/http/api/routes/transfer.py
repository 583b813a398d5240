"""Import of conversations; `tailrace.http.exports` has the way out."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel

from tailrace.http.api.deps import CurrentServices, Limited, Writer
from tailrace.problems import Problem
from tailrace.transfer import unpack
from tailrace.transfer.draft import Source
from tailrace.transfer.load import load

router = APIRouter(prefix="/api/import", tags=["transfer"])

# What systems call a JSON file or a zip that somebody picked.
_TYPES = (
    "application/json",
    "application/octet-stream",
    "application/x-zip-compressed",
    "application/zip",
)


class ImportedConversation(BaseModel):
    """A conversation that was taken; `source_id` is its id where it came from."""

    id: UUID
    source: Source
    source_id: str
    title: str
    messages: int


class SkippedConversation(BaseModel):
    """A conversation that was not taken, and why; `id` and `title` as far as it has them."""

    id: str | None
    title: str | None
    reason: str


class ImportReport(BaseModel):
    """What was taken, and what was not.

    `left_out` counts, by kind, what was left out of conversations that were taken. When `complete`
    is false, time ran out: the same import sent again goes on.
    """

    found: int
    imported: int
    messages: int
    complete: bool
    items: list[ImportedConversation]
    skipped: list[SkippedConversation]
    left_out: dict[str, int]


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {}},
            "application/zip": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post("", openapi_extra=_BODY, dependencies=[Limited])
async def import_conversations(
    request: Request, services: CurrentServices, caller: Writer
) -> ImportReport:
    """Import conversations: our own export, ChatGPT's or Claude's, as JSON or as their zip.

    What was imported before is left as it is.
    """
    body = await _read(request, services.settings.max_import_bytes)
    report = await load(
        services.pool, services.providers, services.settings, services.files, caller.id, body
    )
    return ImportReport.model_validate(report, from_attributes=True)


async def _read(request: Request, limit: int) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _TYPES:
        raise Problem(415, "Unsupported media type", "Send application/json or application/zip.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise unpack.too_large(limit)
    return bytes(body)
