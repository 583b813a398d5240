"""A model whose answers wait for the test: each begins, and goes on when it is told to.

So what a page shows in mid-answer is looked at for as long as it takes, however slow the machine.
"""

import asyncio

from tests.support.model_server import Exchange, ModelServer

#: What a person chooses.
MODEL = "told/story"

#: How every answer begins; it has words enough to fill a low window.
BEGINNING = """\
## How a tailrace works

A **tailrace** carries water away from a mill or a turbine once its work is done.

1. Water gathers behind a dam, in the *headrace*.
2. It falls through the wheel and gives up its energy.
3. The tailrace returns it to the river, calm and measured.

```python
def power(flow: float, head: float, efficiency: float = 0.9) -> float:
    \"\"\"Watts of a turbine: density x gravity x flow x head x efficiency.\"\"\"
    return 1000 * 9.81 * flow * head * efficiency
```

| part | carries | speed |
| --- | --- | --- |
| headrace | water in | slow |
| penstock | water down | fast |
| tailrace | water out | slow again |

> What leaves the wheel can still be measured, and nothing of it is lost."""

#: The last words of `BEGINNING`: where they are shown, nothing more comes until it is told.
BEGUN = "nothing of it is lost."

#: Paragraphs to go on with.
MILES = tuple(
    f"\n\nMile {mile}: the river widens, the banks grow quiet, and the water keeps its even pace "
    "between the willows on its way to the sea."
    for mile in range(1, 9)
)


class Storyteller:
    """The model; it runs for as long as it is entered."""

    def __init__(self) -> None:
        self._server = ModelServer()
        self._server.script = self._answer
        self._told: dict[str, asyncio.Queue[str | None]] = {}

    async def __aenter__(self) -> "Storyteller":
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop()

    @property
    def provider(self) -> dict[str, object]:
        """What the stack's settings say of it."""
        return {
            "name": "told",
            "kind": "openai_compatible",
            "base_url": self._server.base_url,
            # A test may take its time.
            "first_chunk_timeout": 600,
            "chunk_timeout": 600,
            "models": [{"name": "story", "context_window": 100_000, "capabilities": []}],
        }

    def tell(self, question: str, *paragraphs: str) -> None:
        """Go on with the answer to a question, which must have begun."""
        for paragraph in paragraphs:
            self._told[question].put_nowait(paragraph)

    def end(self, question: str) -> None:
        """End the answer to a question."""
        self._told[question].put_nowait(None)

    async def _answer(self, exchange: Exchange) -> None:
        if exchange.method == "GET":
            # There is no list: the settings tell of the model.
            await exchange.respond(404, b"{}")
            return
        await exchange.begin_stream()
        if exchange.body["max_tokens"] < 100:
            await exchange.send_text("A title")
            await exchange.finish()
            return
        told = self._told[exchange.body["messages"][-1]["content"]] = asyncio.Queue()
        await _say(exchange, BEGINNING)
        while (paragraph := await told.get()) is not None:
            await _say(exchange, paragraph)
        await exchange.finish()


async def _say(exchange: Exchange, text: str) -> None:
    """Send a text as models do: in many small pieces."""
    for start in range(0, len(text), 8):
        await exchange.send_text(text[start : start + 8])
