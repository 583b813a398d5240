"""Plays a transcript of a model API to whoever connects: bytes as the API documents them.

A transcript is one HTTP response as text: status line, headers, an empty line, the body. Framing is
added here (chunked, so that a cut is seen as one), and nothing else. A line of the body that stands
alone as one of these is obeyed and never sent:

``#! pause 0.2``  send nothing for so many seconds
``#! cut``        drop the connection without ending the body
``#! hang``       send nothing more until the client leaves

A body of ``application/vnd.amazon.eventstream`` has one JSON object a line, ``{"<type>": payload}``
or ``{"exception": "<name>", "message": "…"}``, and is sent as that format's binary frames; a line
that is no JSON is sent as it stands.
"""

import asyncio
import binascii
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.model_server import Exchange, Script

FOLDER = Path(__file__).parents[1] / "events" / "providers"

_EVENT_STREAM = "application/vnd.amazon.eventstream"
_CONTROL = "#! "


class Transcript(NamedTuple):
    """One response: its head, and its body as pieces of bytes and control words."""

    head: bytes
    body: list[bytes | str]

    @classmethod
    def read(cls, path: Path) -> "Transcript":
        """Read a transcript file."""
        head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
        binary = _EVENT_STREAM in head.lower()
        lines = [*head.split("\n"), "transfer-encoding: chunked", "connection: close", "", ""]
        return cls("\r\n".join(lines).encode(), list(_pieces(body, binary=binary)))

    async def play(self, exchange: Exchange) -> None:
        """Answer a request with this transcript."""
        await exchange.send(self.head)
        for piece in self.body:
            if isinstance(piece, bytes):
                await exchange.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                continue
            word, _, argument = piece.partition(" ")
            if word == "pause":
                await asyncio.sleep(float(argument))
            elif word == "cut":
                return exchange.reset()
            elif word == "hang":
                await exchange.client_closed.wait()
                return None
            else:
                raise ValueError(f"a transcript knows no control word {word!r}")
        await exchange.send(b"0\r\n\r\n")


def play(kind: str, case: str) -> Script:
    """Return the script that answers every request with a case of a kind of provider.

    Parameters
    ----------
    kind
        A folder of ``tests/events/providers``.
    case
        A file of that folder, without its ending; for a case of several requests there is one for
        each, named ``<case>.<last step of the request's path>``.
    """

    async def script(exchange: Exchange) -> None:
        step = exchange.path.partition("?")[0].rpartition("/")[2]
        for name in (f"{case}.{step}", case):
            for ending in ("sse", "events"):
                path = FOLDER / kind / f"{name}.{ending}"
                if path.exists():
                    return await Transcript.read(path).play(exchange)
        raise FileNotFoundError(f"{kind} has no transcript {case}")

    return script


async def hang(exchange: Exchange) -> None:
    """Answer nothing at all, and leave it to the client to go."""
    await exchange.client_closed.wait()


def _pieces(body: str, *, binary: bool) -> Iterator[bytes | str]:
    """Yield what stands between two control lines as one piece."""
    piece = b""
    for line in body.splitlines(keepends=True):
        if line.startswith(_CONTROL):
            if piece:
                yield piece
            piece = b""
            yield line.removeprefix(_CONTROL).strip()
        elif binary:
            piece += _frame_of(line)
        else:
            piece += line.encode()
    if piece:
        yield piece


def _frame_of(line: str) -> bytes:
    try:
        event = json.loads(line)
    except ValueError:
        return line.strip().encode()
    if "exception" in event:
        name = event.pop("exception")
        return frame({":message-type": "exception", ":exception-type": name}, event)
    ((name, payload),) = event.items()
    return frame({":message-type": "event", ":event-type": name}, payload)


def frame(headers: dict[str, str], payload: object) -> bytes:
    """Return one message of Amazon's event stream.

    https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html
    """
    packed = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value
        for name, text in {**headers, ":content-type": "application/json"}.items()
        for value in [text.encode()]
    )
    data = json.dumps(payload, ensure_ascii=False).encode()
    prelude = struct.pack("!II", 16 + len(packed) + len(data), len(packed))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + packed + data
    return message + struct.pack("!I", binascii.crc32(message))
