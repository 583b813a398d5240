"""A provider that needs no model: fixed scripts for tests, demos and a first look at the page.

Each model is a script; its usage is honest (one token a word). Nothing here is random.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

from tailrace.providers.base import (
    Delta,
    Finish,
    ModelInfo,
    ModelRequest,
    PromptMessage,
    ProviderError,
    ReasoningDelta,
    ResponseStart,
    TextDelta,
    Usage,
)
from tailrace.settings import Capability, ProviderSettings

_WORDS = re.compile(r"\S+\s*|\s+")

# Seconds between two words of the slow scripts: slow enough to reload or stop in mid-answer.
_PACE = 1 / 30

# Tokens.
_WINDOW = 32_768
_SMALL_WINDOW = 256

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
    """The scripts of `_SCRIPTS`, each a model of its own."""

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
                cached = _words(request.messages[:-1]) if request.model == "cached" else None
                asked = _words(request.messages)
                yield [delta, Usage(asked, said, cache_read_input_tokens=cached)]
            else:
                yield [delta]
            # Like a network, hand over to others between two chunks.
            await asyncio.sleep(0)

    async def models(self) -> list[ModelInfo]:
        return [_info(name) for name in _SCRIPTS]

    async def count_tokens(self, request: ModelRequest) -> int | None:
        return None

    async def close(self) -> None:
        pass


def _info(name: str) -> ModelInfo:
    capabilities: set[Capability] = {"vision", "documents"}
    if name in ("reasoning", "settings"):
        capabilities.add("reasoning")
    if name == "text":
        capabilities.clear()
    return ModelInfo(
        name=name,
        context_window=_SMALL_WINDOW if name == "small" else _WINDOW,
        capabilities=frozenset(capabilities),
    )


def _words(messages: Sequence[PromptMessage]) -> int:
    return sum(len(message.text.split()) for message in messages)


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


def _settings(request: ModelRequest) -> Iterator[Delta | float]:
    yield _start(request)
    lines = {
        "System prompt": request.system or "none",
        "Temperature": "the model's" if request.temperature is None else f"{request.temperature:g}",
        "Longest answer": f"{request.max_output_tokens} tokens",
        "Reasoning effort": request.reasoning_effort or "the model's",
    }
    for name, value in lines.items():
        yield TextDelta(f"- {name}: {value}\n")
    yield Finish("stop")


def _error(request: ModelRequest) -> Iterator[Delta | float]:
    raise ProviderError("overloaded", "the script says so")
    yield _start(request)


def _broken(request: ModelRequest) -> Iterator[Delta | float]:
    yield _start(request)
    for word in _WORDS.findall("This answer ends before"):
        yield TextDelta(word)
    raise ProviderError("incomplete", "the script breaks here")


def _ending_with(reason: str) -> Callable[[ModelRequest], Iterator[Delta | float]]:
    def script(request: ModelRequest) -> Iterator[Delta | float]:
        yield _start(request)
        for word in _WORDS.findall("This is all there is."):
            yield TextDelta(word)
        yield Finish(reason)

    return script


def _rate_limited(request: ModelRequest) -> Iterator[Delta | float]:
    raise ProviderError("rate_limited", "the script says so", retry_after=0.5)
    yield _start(request)


def _too_long(request: ModelRequest) -> Iterator[Delta | float]:
    raise ProviderError("context_length", "the script says so")
    yield _start(request)


_SCRIPTS: dict[str, Callable[[ModelRequest], Iterator[Delta | float]]] = {
    "echo": _echo,
    "story": _story,
    "reasoning": _reasoning,
    # Tells how it was asked.
    "settings": _settings,
    "error": _error,
    "broken": _broken,
    # Echoes within a context window of a few sentences, and one that reads text alone.
    "small": _echo,
    "text": _echo,
    "cached": _echo,
    "refusal": _ending_with("content_filter"),
    "length": _ending_with("length"),
    "tool-stop": _ending_with("tool_calls"),
    "rate-limited": _rate_limited,
    "too-long": _too_long,
}
