"""A model server for the benchmarks: every provider's wire, prepared beforehand, at any pace.

Started by ``bench.streams`` as a process of its own. The model's name says how the answer comes:
``burst-20000`` as fast as it is read, ``paced-20`` one chunk every `PACE` seconds. It looks at
nothing else of a request but ``max_tokens``.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any, NamedTuple

import uvloop

from bench.streams import HOST, PACE
from tests.support.transcripts import frame

# They differ, since LiteLLM takes an answer that repeats itself for one without an end.
TEXTS = tuple(f" token{number}" for number in range(10))

_MODEL_IN_PATH = re.compile(r"/models?/([^/:]+)")


class Wire(NamedTuple):
    """An answer as HTTP chunks, the way a server sends it that flushes every token by itself."""

    media_type: str
    begin: bytes
    chunks: Sequence[bytes]
    end: bytes

    @property
    def head(self) -> bytes:
        """The response's head."""
        lines = [
            "HTTP/1.1 200 OK",
            f"content-type: {self.media_type}",
            "transfer-encoding: chunked",
        ]
        return "\r\n".join([*lines, "", ""]).encode()


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _sse(*values: dict[str, Any], named: bool = False, newline: str = "\n") -> bytes:
    """Return server-sent events, with the name each has in its ``type`` if they are named."""
    events = (
        (f"event: {value['type']}{newline}" if named else "")
        + f"data: {json.dumps(value)}{newline}{newline}"
        for value in values
    )
    return b"".join(_http_chunk(event.encode()) for event in events)


# https://platform.openai.com/docs/api-reference/chat-streaming
def _chat_completions() -> Wire:
    def chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "id": "chatcmpl-bench",
            "object": "chat.completion.chunk",
            "created": 1_760_000_000,
            "model": "mock",
            "choices": [{"index": 0, "delta": delta, "finish_reason": None, **more}],
        }

    usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    last = {**chunk({}, finish_reason="stop"), "usage": usage}
    end = _sse(last) + _http_chunk(b"data: [DONE]\n\n")
    chunks = [_sse(chunk({"content": text})) for text in TEXTS]
    return Wire("text/event-stream", b"", chunks, end)


# https://platform.openai.com/docs/api-reference/responses-streaming
def _responses() -> Wire:
    place = {"item_id": "msg_bench", "output_index": 0, "content_index": 0}
    item = {"id": "msg_bench", "type": "message", "role": "assistant", "status": "completed"}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 20,
    }

    def event(name: str, number: int, **more: Any) -> dict[str, Any]:
        return {"type": f"response.{name}", "sequence_number": number, **more}

    def response(status: str, **more: Any) -> dict[str, Any]:
        return {
            "id": "resp_bench",
            "object": "response",
            "created_at": 1_760_000_000,
            "status": status,
            "model": "mock",
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            **more,
        }

    begin = _sse(
        event("created", 0, response=response("in_progress")),
        event("in_progress", 1, response=response("in_progress")),
        event("output_item.added", 2, output_index=0, item={**item, "content": []}),
        event("content_part.added", 3, **place, part=part),
        named=True,
    )
    chunks = [
        _sse(
            event(
                "output_text.delta", 4, **place, delta=text, logprobs=[], obfuscation="Zb2kQmXwL"
            ),
            named=True,
        )
        for text in TEXTS
    ]
    end = _sse(
        event("output_text.done", 5, **place, text="", logprobs=[]),
        event("content_part.done", 6, **place, part=part),
        event("output_item.done", 7, output_index=0, item={**item, "content": [part]}),
        event("completed", 8, response=response("completed", usage=usage)),
        named=True,
    )
    return Wire("text/event-stream", begin, chunks, end)


# https://platform.claude.com/docs/en/build-with-claude/streaming
def _messages() -> Wire:
    message = {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": "mock",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }
    block = {"type": "text", "text": ""}
    begin = _sse(
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "ping"},
        named=True,
    )
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    end = _sse(
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 10}},
        {"type": "message_stop"},
        named=True,
    )
    chunks = [
        _sse(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": text},
            },
            named=True,
        )
        for text in TEXTS
    ]
    return Wire("text/event-stream", begin, chunks, end)


# https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
def _generate_content() -> Wire:
    def chunk(text: str, **more: Any) -> bytes:
        content = {"parts": [{"text": text}], "role": "model"}
        usage = {"promptTokenCount": 10, "candidatesTokenCount": 10, "totalTokenCount": 20}
        value = {
            "candidates": [{"content": content, "index": 0, **more}],
            "usageMetadata": usage,
            "modelVersion": "mock",
            "responseId": "bench",
        }
        return _sse(value, newline="\r\n")

    chunks = [chunk(text) for text in TEXTS]
    return Wire("text/event-stream", b"", chunks, chunk("", finishReason="STOP"))


# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
def _converse() -> Wire:
    def event(name: str, payload: dict[str, Any]) -> bytes:
        return _http_chunk(frame({":message-type": "event", ":event-type": name}, payload))

    usage = {"inputTokens": 10, "outputTokens": 10, "totalTokens": 20}
    chunks = [
        event(
            "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}, "p": "abcdefghi"}
        )
        for text in TEXTS
    ]
    end = (
        event("contentBlockStop", {"contentBlockIndex": 0}),
        event("messageStop", {"stopReason": "end_turn"}),
        event("metadata", {"usage": usage, "metrics": {"latencyMs": 10}}),
    )
    return Wire(
        "application/vnd.amazon.eventstream",
        event("messageStart", {"role": "assistant"}),
        chunks,
        b"".join(end),
    )


# By the last step of a request's path.
WIRES = {
    "completions": _chat_completions(),
    "responses": _responses(),
    "messages": _messages(),
    "streamGenerateContent": _generate_content(),
    "converse-stream": _converse(),
}


class ModelServer:
    """Answers POST with a stream; GET with when a client last left one (monotonic seconds)."""

    def __init__(self) -> None:
        self._left_at = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        answering = False
        try:
            while True:
                answering = False
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET"):
                    body = json.dumps(self._left_at).encode()
                    told = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
                    writer.write(told + body)
                    continue
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                answering = True
                await _answer(head.split(b" ", 2)[1].decode(), body, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            if answering:
                self._left_at = time.monotonic()
            writer.close()


async def _answer(path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    path = path.partition("?")[0]
    in_path = _MODEL_IN_PATH.search(path)
    wire = WIRES[re.split("[/:]", path)[-1]]
    kind, _, count = (in_path[1] if in_path else body["model"]).partition("-")
    pause = PACE if kind == "paced" else 0
    writer.write(wire.head + wire.begin)
    number = min(int(count), body.get("max_tokens", sys.maxsize))
    for chunk in islice(cycle(wire.chunks), number):
        # uvloop's writer raises RuntimeError where asyncio's says the connection went.
        if writer.is_closing():
            raise ConnectionResetError
        writer.write(chunk)
        await writer.drain()
        await asyncio.sleep(pause)
    writer.write(wire.end + b"0\r\n\r\n")
    await writer.drain()


async def _main(port: int) -> None:
    server = await asyncio.start_server(ModelServer().serve, HOST, port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
