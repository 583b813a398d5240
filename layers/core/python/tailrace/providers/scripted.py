"""A provider that needs no model: fixed scripts for tests, demos and a first look at the page.

Each model is a script; its usage is honest (one token a word). Nothing here is random.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterator

from tailrace.providers.base import (
    Delta,
    Finish,
    ModelInfo,
    ModelRequest,
    ProviderError,
    ReasoningDelta,
    ResponseStart,
    TextDelta,
    Usage,
)
from tailrace.settings import ProviderSettings

_WORDS = re.compile(r"\S+\s*|\s+")

# Seconds between two words of the slow scripts: slow enough to reload or stop in mid-answer.
_PACE = 1 / 30

_STORY = """\
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

> What leaves the wheel can still be measured, and nothing of it is lost.

""" + "\n\n".join(
    f"Mile {mile}: the river widens, the banks grow quiet, and the water keeps its even pace "
    "between the willows on its way to the sea."
    for mile in range(1, 9)
)


class Scripted:
    """The scripts ``echo``, ``story``, ``reasoning``, ``error`` and ``broken``."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.name = settings.name

    async def stream(self, request: ModelRequest) -> AsyncGenerator[list[Delta]]:
        script = _SCRIPTS.get(request.model)
        if script is None:
            raise ProviderError("not_found", f"no script named {request.model}")
        said = 0
        for delta in script(request):
            if isinstance(delta, float | int):
                await asyncio.sleep(delta)
                continue
            if isinstance(delta, TextDelta | ReasoningDelta):
                said += 1
            if isinstance(delta, Finish):
                asked = sum(len(message.text.split()) for message in request.messages)
                yield [delta, Usage(input_tokens=asked, output_tokens=said)]
            else:
                yield [delta]
            # Like a network, hand over to others between two chunks.
            await asyncio.sleep(0)

    async def models(self) -> list[ModelInfo]:
        return [ModelInfo(name=name) for name in _SCRIPTS]

    async def count_tokens(self, request: ModelRequest) -> int | None:
        return None

    async def close(self) -> None:
        pass


def _start(request: ModelRequest) -> ResponseStart:
    return ResponseStart(response_id=None, response_model=request.model)


def _echo(request: ModelRequest) -> Iterator[Delta | float]:
    yield _start(request)
    for word in _WORDS.findall(request.messages[-1].text):
        yield TextDelta(word)
    yield Finish("stop")


def _story(request: ModelRequest) -> Iterator[Delta | float]:
    yield _start(request)
    for word in _WORDS.findall(_STORY):
        yield TextDelta(word)
        yield _PACE
    yield Finish("stop")


def _reasoning(request: ModelRequest) -> Iterator[Delta | float]:
    yield _start(request)
    for word in _WORDS.findall("The question is short, so the answer can be short as well."):
        yield ReasoningDelta(word)
        yield _PACE
    for word in _WORDS.findall("Forty-two."):
        yield TextDelta(word)
    yield Finish("stop")


def _error(request: ModelRequest) -> Iterator[Delta | float]:
    raise ProviderError("overloaded", "the script says so")
    yield _start(request)


def _broken(request: ModelRequest) -> Iterator[Delta | float]:
    yield _start(request)
    for word in _WORDS.findall("This answer ends before"):
        yield TextDelta(word)
    raise ProviderError("incomplete", "the script breaks here")


_SCRIPTS: dict[str, Callable[[ModelRequest], Iterator[Delta | float]]] = {
    "echo": _echo,
    "story": _story,
    "reasoning": _reasoning,
    "error": _error,
    "broken": _broken,
}
