"""The AI SDK UI message stream, protocol v1, as Server-Sent Events with ids.

A frame is ``id: <n>`` and one JSON part; n counts from 1 within a run, so that a reader can say
with ``Last-Event-ID`` what it has. https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol
"""

from typing import Any

import msgspec

HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache, no-transform",
    "x-vercel-ai-ui-message-stream": "v1",
    # A buffering proxy in front would hold tokens back.
    "x-accel-buffering": "no",
}

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"

_encode = msgspec.json.Encoder().encode

# The protocol's finish reasons, by the words that providers use for them.
_FINISH_REASONS = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content-filter",
    "tool_calls": "tool-calls",
}


def frame(number: int, part: dict[str, Any]) -> bytes:
    """Return a part as one event."""
    return b"id: %d\ndata: %b\n\n" % (number, _encode(part))


def delta_frame(number: int, kind: str, part_id: str, text: str) -> bytes:
    """Return a ``text-delta`` or ``reasoning-delta``; the hot path, so without a dict."""
    return b'id: %d\ndata: {"type":"%b-delta","id":"%b","delta":%b}\n\n' % (
        number,
        kind.encode(),
        part_id.encode(),
        _encode(text),
    )


def finish_reason(word: str | None) -> str:
    """Translate a provider's finish reason into one that the protocol knows."""
    return _FINISH_REASONS.get(word or "", "other")


def ending(status: str, metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parts that close a message of this status."""
    parts: list[dict[str, Any]] = [{"type": "message-metadata", "messageMetadata": metadata}]
    if status == "complete":
        reason = finish_reason(metadata.get("finish_reason"))
        parts += [{"type": "finish-step"}, {"type": "finish", "finishReason": reason}]
    elif status == "error":
        error = metadata["error"]
        parts.append({"type": "error", "errorText": error["message"], "errorType": error["type"]})
    else:
        parts.append({"type": "abort", "reason": status})
    return parts


def stored_message(
    message_id: str, status: str, parts: list[dict[str, Any]], metadata: dict[str, Any]
) -> list[bytes]:
    """Return the frames of a message that was finished before."""
    sent: list[dict[str, Any]] = [
        {"type": "start", "messageId": message_id, "messageMetadata": metadata},
        {"type": "start-step"},
    ]
    for number, part in enumerate(parts):
        kind, key = part["type"], {"id": str(number)}
        told = {k: v for k, v in part.items() if k == "providerMetadata"}
        sent.append({"type": f"{kind}-start", **key})
        sent.append({"type": f"{kind}-delta", **key, "delta": part["text"]})
        sent.append({"type": f"{kind}-end", **key, **told})
    sent += ending(status, metadata)
    return [*(frame(number, part) for number, part in enumerate(sent, start=1)), DONE]


def split(data: bytes) -> list[bytes]:
    """Split what several frames were joined into."""
    return [piece + b"\n\n" for piece in data.split(b"\n\n")[:-1]]


def parts_of(frames: list[bytes]) -> list[dict[str, Any]]:
    """Rebuild a message's parts from its frames; what was never closed counts as it stands."""
    parts: dict[str, dict[str, Any]] = {}
    for piece in frames:
        _, _, data = piece.partition(b"data: ")
        if not data or data == DONE[6:]:
            continue
        part = msgspec.json.decode(data)
        kind, _, step = part["type"].partition("-")
        if kind in ("text", "reasoning") and step in ("delta", "end"):
            found = parts.setdefault(part["id"], {"type": kind, "text": ""})
            found["text"] += part.get("delta", "")
            if "providerMetadata" in part:
                found["providerMetadata"] = part["providerMetadata"]
    return list(parts.values())
