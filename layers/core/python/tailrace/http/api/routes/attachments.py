"""Files that go with messages: announced, uploaded, looked at, then named by a message.

Announcing answers with the request that uploads the bytes, to the store itself or to us; completing
has them looked at. What no message uses is deleted after a while.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from tailrace.attachments import pdf
from tailrace.attachments.library import reference
from tailrace.auth.identity import Caller
from tailrace.http.api.deps import CurrentCaller, CurrentServices, Limited, Reader, require
from tailrace.http.api.files import send_stored
from tailrace.ids import parse_uuid
from tailrace.problems import Problem, not_found

router = APIRouter(prefix="/api/attachments", tags=["attachments"])

#: A user whose key, if it is one that calls, may chat, and so send files.
Chatter = Annotated[Caller, require("chat")]

# The bytes of an id never change; the way to them, where it is signed, lasts some minutes.
_KEPT = {"cache-control": "private, max-age=240", "vary": "cookie, authorization"}


def _attachment_id(attachment_id: str, caller: CurrentCaller) -> UUID:
    id = parse_uuid(attachment_id)
    # A guest's files live in the browser.
    if id is None or caller.kind == "guest":
        raise not_found("attachment")
    return id


AttachmentId = Annotated[UUID, Depends(_attachment_id)]


class NewAttachment(BaseModel):
    """A file that is about to be sent; `sha256` of its bytes, in hexadecimal."""

    model_config = ConfigDict(extra="forbid")

    filename: str = Field(max_length=1024)
    media_type: str = Field(max_length=128, pattern=r"^[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+_-]*$")
    size: int = Field(ge=1, le=1 << 40)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Attachment(BaseModel):
    """A file; `url` is what a message names it by.

    `text_problem` says, of a PDF that was looked at, why models that read no documents cannot be
    given its text.
    """

    id: UUID
    state: Literal["pending", "ready"]
    filename: str | None
    media_type: str
    size: int
    sha256: str
    url: str
    text_problem: str | None
    created_at: datetime


class Upload(BaseModel):
    """The request that sends the bytes: as it is, with them as its body."""

    method: str
    url: str
    headers: dict[str, str]


class BegunAttachment(Attachment):
    """A file that was announced; without `upload` its owner has the same bytes here already."""

    upload: Upload | None


@router.post("", status_code=201, dependencies=[Limited])
async def begin_attachment(
    new: NewAttachment, services: CurrentServices, caller: Chatter
) -> BegunAttachment:
    """Announce a file: the answer tells how to send it, or that it is here already."""
    begun = await services.files.begin(
        caller.id,
        filename=new.filename,
        media_type=new.media_type,
        size=new.size,
        sha256=bytes.fromhex(new.sha256),
    )
    upload = None
    if begun.row["state"] == "pending":
        to = begun.upload
        if to is not None:
            upload = Upload(method=to.method, url=to.url, headers=to.headers)
        else:
            upload = Upload(
                method="PUT",
                url=f"/api/attachments/{begun.row['id']}/upload",
                headers={"content-type": new.media_type},
            )
    return BegunAttachment(**_told(begun.row), upload=upload)


@router.put("/{attachment_id}/upload", status_code=204, dependencies=[Limited])
async def upload_attachment(
    id: AttachmentId, request: Request, services: CurrentServices, caller: Chatter
) -> None:
    """Send the bytes of a file that was announced, where no other address was given for them."""
    row = await services.files.find(caller.id, id)
    await services.files.receive(caller.id, id, await _read(request, row["size"]))


@router.post("/{attachment_id}/complete", dependencies=[Limited])
async def complete_attachment(
    id: AttachmentId, services: CurrentServices, caller: Chatter
) -> Attachment:
    """Have the bytes looked at; a file that is not what it was said to be is deleted."""
    return Attachment(**_told(await services.files.complete(caller.id, id)))


@router.get("/{attachment_id}")
async def get_attachment(id: AttachmentId, services: CurrentServices, caller: Reader) -> Attachment:
    """Tell what is known of a file."""
    return Attachment(**_told(await services.files.find(caller.id, id)))


@router.get("/{attachment_id}/content", response_class=Response)
async def get_attachment_content(
    id: AttachmentId, services: CurrentServices, caller: Reader
) -> Response:
    """Send the bytes of a file, or a browser on to where they are."""
    row = await services.files.find(caller.id, id)
    if row["state"] != "ready":
        raise not_found("attachment")
    return await send_stored(services, row, _KEPT)


@router.delete("/{attachment_id}", status_code=204)
async def delete_attachment(id: AttachmentId, services: CurrentServices, caller: Chatter) -> None:
    """Delete a file that no message uses."""
    await services.files.delete(caller.id, id)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    problem = row["text_problem"]
    return {
        **row,
        "sha256": row["sha256"].hex(),
        "url": reference(row["id"]),
        "text_problem": problem and f"{row['filename'] or 'The file'} {pdf.SENTENCES[problem]}.",
    }


async def _read(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Problem(413, "Body too large", f"A body has at most {limit:,} bytes here.")
    return bytes(body)
