"""Uploading a file as the page does."""

import hashlib
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.support.chat_client import ChatClient


def announcement(data: bytes, media_type: str, filename: str = "f") -> dict[str, Any]:
    """Return what announces a file."""
    return {
        "filename": filename,
        "media_type": media_type,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


async def begin(user: ChatClient, *args: Any, **changes: Any) -> dict[str, Any]:
    """Announce a file and return the answer."""
    body = announcement(*args) | changes
    response = await user.http.post("/api/attachments", json=body)
    assert response.status_code == 201, response.text
    return response.json()


async def send(user: ChatClient, upload: dict[str, Any], data: bytes) -> httpx.Response:
    """Send the bytes where they are to go."""
    if urlsplit(upload["url"]).netloc:
        async with httpx.AsyncClient() as stranger:
            return await stranger.request(
                upload["method"], upload["url"], headers=upload["headers"], content=data
            )
    return await user.http.request(
        upload["method"], upload["url"], headers=upload["headers"], content=data
    )


async def upload(
    user: ChatClient, data: bytes, media_type: str, filename: str = "f"
) -> dict[str, Any]:
    """Upload a file and return it."""
    begun = await begin(user, data, media_type, filename)
    if begun["upload"] is not None:
        sent = await send(user, begun["upload"], data)
        assert sent.is_success, sent.text
    done = await user.http.post(f"/api/attachments/{begun['id']}/complete")
    assert done.status_code == 200, done.text
    return done.json()


def part_of(attachment: dict[str, Any]) -> dict[str, Any]:
    """Return the part with which a message names a file."""
    return {
        "type": "file",
        "mediaType": attachment["media_type"],
        "filename": attachment["filename"],
        "url": attachment["url"],
    }
