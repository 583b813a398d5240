"""A client of the chat API: what the page does, without the page."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx


@dataclass
class Frame:
    """One Server-Sent Event; ``part`` is empty for ``[DONE]``."""

    id: int | None
    part: dict[str, Any]

    @property
    def type(self) -> str:
        return self.part.get("type", "[DONE]")


class Stream:
    """An open event stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.frames: list[Frame] = []
        self._lines = response.aiter_lines()

    async def next(self) -> Frame | None:
        """Return the next frame, ``None`` at the end of the stream."""
        number = None
        async for line in self._lines:
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                data = line[6:]
                frame = Frame(number, {} if data == "[DONE]" else json.loads(data))
                self.frames.append(frame)
                return frame
        return None

    async def until(self, kind: str) -> Frame:
        """Read on to the first frame of this type."""
        while (frame := await self.next()) is not None:
            if frame.type == kind:
                return frame
        raise AssertionError(f"no {kind} in {[f.type for f in self.frames]}")

    async def rest(self) -> list[Frame]:
        """Read to the end and return every frame of the stream."""
        while await self.next() is not None:
            pass
        return self.frames

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(f.part["delta"] for f in self.frames if f.type == "text-delta")

    @property
    def types(self) -> list[str]:
        return [frame.type for frame in self.frames]


class ChatClient:
    """A browser's worth of state: cookies, and the API behind them."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def register(self, email: str = "ada@example.org") -> dict[str, Any]:
        """Make an account and stay signed in."""
        body = {"email": email, "password": "correct horse battery"}
        response = await self.http.post("/api/auth/register", json=body)
        assert response.status_code == 201, response.text
        return response.json()

    @asynccontextmanager
    async def chat(
        self,
        text: str = "Hi",
        *,
        conversation_id: UUID | None = None,
        message_id: str | None = None,
        guest: bool = False,
        **body: Any,
    ) -> AsyncIterator[Stream]:
        """Send a message and read the answer's stream."""
        message = user_message(text, message_id)
        sent = {"messages": [message]} if guest else {"message": message}
        body = {"id": str(conversation_id or uuid4()), **sent, **body}
        async with self.http.stream("POST", "/api/chat", json=body) as response:
            if response.status_code != 200:
                await response.aread()
            yield Stream(response)

    async def say(self, conversation_id: UUID, text: str, **body: Any) -> str:
        """Send a message, read its answer to the end and return the answer's id."""
        async with self.chat(text, conversation_id=conversation_id, **body) as stream:
            await stream.rest()
        assert stream.types[-1:] == ["[DONE]"], stream.response.text
        return stream.response.headers["x-tailrace-run-id"]

    async def regenerate(self, conversation_id: UUID, message_id: str, **body: Any) -> str:
        """Ask for another answer and return its id."""
        body = {
            "id": str(conversation_id),
            "trigger": "regenerate-message",
            "messageId": message_id,
            **body,
        }
        response = await self.http.post("/api/chat", json=body)
        assert response.status_code == 200, response.text
        return response.headers["x-tailrace-run-id"]

    @asynccontextmanager
    async def follow(
        self, conversation_id: UUID, *, last_event_id: int | None = None, run_id: str | None = None
    ) -> AsyncIterator[Stream]:
        """Read the stream of the run under way."""
        headers = {} if last_event_id is None else {"last-event-id": str(last_event_id)}
        params = {} if run_id is None else {"run_id": run_id}
        path = f"/api/chat/{conversation_id}/stream"
        async with self.http.stream("GET", path, headers=headers, params=params) as response:
            yield Stream(response)

    async def stop(self, conversation_id: UUID, **body: Any) -> httpx.Response:
        """Ask for the run under way to stop."""
        return await self.http.post(f"/api/chat/{conversation_id}/stop", json=body)

    async def conversation(self, conversation_id: UUID) -> dict[str, Any]:
        """Read a conversation back."""
        response = await self.http.get(f"/api/conversations/{conversation_id}")
        assert response.status_code == 200, response.text
        return response.json()


def user_message(text: str, message_id: str | None = None) -> dict[str, Any]:
    """Return a UI message of the user."""
    return {
        "id": message_id or str(uuid4()),
        "role": "user",
        "parts": [{"type": "text", "text": text}],
    }
