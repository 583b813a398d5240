"""How a file reaches a browser: never such that it runs as a page of ours.

Pictures may be shown; anything else is saved, and text is plain text. A store that browsers read by
themselves is pointed to.
"""

import asyncio
from base64 import b64decode
from typing import Any
from uuid import UUID

from starlette.responses import Response

from tailrace.attachments import kinds, library
from tailrace.attachments.base import Missing, StoreError
from tailrace.problems import not_found, unavailable
from tailrace.services import Services

_GUARDED = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
}


async def send_part(
    services: Services, owner_id: UUID, part: dict[str, Any], headers: dict[str, str]
) -> Response:
    """Send the file of a message's part, which is its reader's to see.

    Raises
    ------
    Problem
        404 when its bytes are gone, 503 when the store cannot be reached.
    """
    id = library.id_of(part["url"])
    if id is not None:
        known = await services.files.describe(owner_id, [id])
        if id not in known:
            raise not_found("file")
        return await send_stored(services, known[id] | {"filename": part.get("filename")}, headers)
    _, _, encoded = part["url"].partition(",")
    data = await asyncio.to_thread(b64decode, encoded)
    return _send(data, part["mediaType"], part.get("filename"), headers)


async def send_stored(services: Services, row: dict[str, Any], headers: dict[str, str]) -> Response:
    """Send a file that is in the store.

    Parameters
    ----------
    row
        Its ``id``, ``media_type``, ``filename`` and ``size``.

    Raises
    ------
    Problem
        404 when its bytes are gone, 503 when the store cannot be reached.
    """
    media_type, filename = row["media_type"], row["filename"]
    try:
        url = await services.files.store.presign_download(
            row["id"], kinds.served_type(media_type), kinds.disposition(media_type, filename)
        )
        if url is not None:
            return Response(status_code=302, headers={**headers, "location": url})
        data = await services.files.read(row["id"], row["size"])
    except Missing:
        raise not_found("file") from None
    except StoreError as error:
        raise unavailable("The store of files cannot be reached.") from error
    return _send(data, media_type, filename, headers)


def _send(data: bytes, media_type: str, filename: str | None, headers: dict[str, str]) -> Response:
    disposition = {"content-disposition": kinds.disposition(media_type, filename)}
    return Response(
        data,
        media_type=kinds.served_type(media_type),
        headers={**headers, **_GUARDED, **disposition},
    )
