"""Server-sent events as model APIs use them: one JSON value on one ``data:`` line.

Called by adapters with the bytes as they arrive. It never decodes a payload and never raises.
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from tailrace.providers.base import ProviderError

# A line longer than this is no event of a model API, but for one that carries a whole answer.
_MAX_LINE = 1 << 22


class Payloads:
    """Bytes in, payloads of ``data:`` lines out; keeps the incomplete last line.

    A `failure` is kept rather than raised, so that what came before it in the same bytes is not
    lost.
    """

    def __init__(self) -> None:
        self.failure: ProviderError | None = None
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that are complete, without the space around them."""
        lines = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        self._rest = lines.pop()
        payloads: list[bytes] = []
        for line in lines:
            if line.startswith(b"data:"):
                payloads.append(line[5:].strip())
            elif line.startswith((b"{", b"<")):
                return self._fail(payloads, "the answer is not an event stream")
        if self._rest.startswith((b"{", b"<")):
            return self._fail(payloads, "the answer is not an event stream")
        if len(self._rest) > _MAX_LINE:
            return self._fail(payloads, "a line of the stream is too long")
        return payloads

    def _fail(self, payloads: list[bytes], message: str) -> list[bytes]:
        self.failure = ProviderError("protocol", message)
        return payloads
