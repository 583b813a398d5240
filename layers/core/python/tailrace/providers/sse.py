"""Server-sent events as model APIs use them: one JSON value on one ``data:`` line.

Called by adapters with the bytes as they arrive. What a payload means is theirs to say; nothing
here raises.
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import msgspec

from tailrace.providers.base import Delta, ProviderError

# The longest line is the one that repeats a whole answer at its end.
_MAX_LINE = 1 << 22


class Payloads:
    """Bytes in, payloads of ``data:`` lines out; keeps the incomplete last line.

    An error that stands as plain JSON where an event was due is a payload as well. A `failure` is
    kept rather than raised, so that what came before it in the same bytes is not lost.
    """

    def __init__(self) -> None:
        self.failure: ProviderError | None = None
        self._rest = b""
        self._stray = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that are complete, without the space around them."""
        if self._stray:
            return self._read_stray(data)
        lines = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        self._rest = lines.pop()
        payloads: list[bytes] = []
        for at, line in enumerate(lines):
            if line.startswith(b"data:"):
                payloads.append(line[5:].strip())
            elif line.startswith((b"{", b"<")):
                return payloads + self._read_stray(b"\n".join([*lines[at:], self._rest]))
        if self._rest.startswith((b"{", b"<")):
            return payloads + self._read_stray(self._rest)
        if len(self._rest) > _MAX_LINE:
            self._fail("a line of the stream is too long")
        return payloads

    def _read_stray(self, data: bytes) -> list[bytes]:
        self._stray += data
        if self._stray.startswith(b"<") or len(self._stray) > _MAX_LINE:
            self._fail("the answer is not an event stream")
            return []
        try:
            value = msgspec.json.decode(self._stray)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return []
        if isinstance(value, dict) and "error" in value:
            return [self._stray]
        self._fail("the answer is not an event stream")
        return []

    def _fail(self, message: str) -> None:
        self.failure = ProviderError("protocol", message)


class EventDecoder:
    """Bytes of an event stream in, deltas out; an adapter says how one payload is read.

    A `failure` is kept rather than raised, so that what came before it in the same bytes is not
    lost. ``finished`` tells that the model has ended.
    """

    def __init__(self) -> None:
        self.failure: ProviderError | None = None
        self.finished = False
        self._payloads = Payloads()

    def feed(self, data: bytes) -> list[Delta]:
        """Return the deltas of the payloads that are complete."""
        deltas: list[Delta] = []
        try:
            for payload in self._payloads.feed(data):
                self._read(payload, deltas)
            self.failure = self._payloads.failure
        except ProviderError as error:
            self.failure = error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.failure = ProviderError("protocol", str(error))
        return deltas

    def _read(self, payload: bytes, deltas: list[Delta]) -> None:
        """Append what a payload says; raise `ProviderError` or msgspec's `DecodeError`."""
        raise NotImplementedError
