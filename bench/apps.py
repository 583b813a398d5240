"""The applications that the benchmarks of streaming compare, each a server of its own.

- ``passthrough``: raw ASGI and aiohttp, bytes in, bytes out: the limit;
- ``adapter <kind>``: one of our adapters alone, decoded and encoded again;
- ``sdk <kind>``: the same with the typed stream of the provider's own SDK, used plainly;
- ``full``: the whole chat path of a signed-in user, with the settings of the environment.

Started by ``bench.relay`` and ``bench.providers``, in an environment that has what it imports:
``python -m bench.apps <port> <model server's URL> <application> [<kind>]``.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import uvicorn

from bench.streams import HOST, MAX_TOKENS

# Nothing is signed in or paid with these.
KEY = "bench"
REGION = "eu-central-1"
# As a function's role has them.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": KEY}
# What follows the server's address in the ``base_url`` of each kind.
PATHS = {
    "anthropic": "",
    "openai": "/v1",
    "openai_compatible": "/v1",
    "gemini": "",
    "bedrock": "",
}


def provider_settings(url: str, kind: str, models: Sequence[str] = ()) -> dict[str, Any]:
    """Return the settings of a provider that calls the model server at a URL."""
    return {
        "name": "mock",
        "kind": kind,
        "base_url": url + PATHS[kind],
        **({"region": REGION} if kind == "bedrock" else {"api_key": KEY}),
        # All is told, so that the model server is asked for answers alone.
        "models": [
            {"name": model, "context_window": 2 * MAX_TOKENS, "capabilities": []}
            for model in models
        ],
    }


# --- The limit, and all of Tailrace --------------------------------------------------------------


def passthrough(url: str) -> Any:
    import aiohttp

    session: aiohttp.ClientSession | None = None

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal session
        if scope["type"] != "http":
            return
        if session is None:
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), read_bufsize=1 << 18
            )
        body = await _body(receive)
        async with session.post(f"{url}/v1/chat/completions", data=body) as response:
            await _start(send)
            async for data in response.content.iter_any():
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def full(url: str) -> Any:
    from tailrace.http.site import create_app
    from tailrace.services import Services
    from tailrace.settings import Settings

    return create_app(Services(Settings.load()), Path(tempfile.gettempdir()))


# --- Adapters and SDKs ---------------------------------------------------------------------------


def adapter(url: str, kind: str) -> Any:
    from tailrace.providers.base import ModelRequest, PromptMessage, TextDelta
    from tailrace.providers.registry import KINDS
    from tailrace.runs.wire import delta_frame
    from tailrace.settings import ProviderSettings

    module, _, name = KINDS[kind].adapter.partition(":")
    settings = ProviderSettings.model_validate(provider_settings(url, kind))
    provider = getattr(import_module(module), name)(settings)

    async def frames(model: str, max_tokens: int) -> AsyncIterator[bytes]:
        request = ModelRequest(model, [PromptMessage.of_text("user", "Hi")], max_tokens)
        number = 0
        async for deltas in provider.stream(request):
            pieces = []
            for delta in deltas:
                if isinstance(delta, TextDelta):
                    number += 1
                    pieces.append(delta_frame(number, "text", "0", delta.text))
            yield b"".join(pieces)

    return _relay(frames)


def sdk(url: str, kind: str) -> Any:
    texts = SDKS[kind](url + PATHS[kind])

    async def frames(model: str, max_tokens: int) -> AsyncIterator[bytes]:
        number = 0
        async for text in texts(model, max_tokens):
            number += 1
            delta = json.dumps(text)
            frame = f'id: {number}\ndata: {{"type":"text-delta","id":"0","delta":{delta}}}\n\n'
            yield frame.encode()

    return _relay(frames)


Texts = Callable[[str, int], AsyncIterator[str]]


def _anthropic(base_url: str) -> Texts:
    from anthropic import AsyncAnthropic

    client = AsyncAnthropic(api_key=KEY, base_url=base_url)

    async def texts(model: str, max_tokens: int) -> AsyncIterator[str]:
        events = await client.messages.create(
            model=model,
            max_tokens=max_tokens,
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
        )
        async for event in events:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                yield event.delta.text

    return texts


def _openai(base_url: str) -> Texts:
    from openai import AsyncOpenAI  # pyright: ignore[reportMissingImports]

    client = AsyncOpenAI(api_key=KEY, base_url=base_url)

    async def texts(model: str, max_tokens: int) -> AsyncIterator[str]:
        events = await client.responses.create(
            model=model, max_output_tokens=max_tokens, input="Hi", stream=True
        )
        async for event in events:
            if event.type == "response.output_text.delta":
                yield event.delta

    return texts


def _openai_compatible(base_url: str) -> Texts:
    from openai import AsyncOpenAI  # pyright: ignore[reportMissingImports]

    client = AsyncOpenAI(api_key=KEY, base_url=base_url)

    async def texts(model: str, max_tokens: int) -> AsyncIterator[str]:
        chunks = await client.chat.completions.create(
            model=model,
            max_tokens=max_tokens,
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
        )
        async for chunk in chunks:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content

    return texts


def _gemini(base_url: str) -> Texts:
    from google import genai
    from google.genai import types

    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=base_url))

    async def texts(model: str, max_tokens: int) -> AsyncIterator[str]:
        chunks = await client.aio.models.generate_content_stream(
            model=model,
            contents="Hi",
            config=types.GenerateContentConfig(max_output_tokens=max_tokens),
        )
        async for chunk in chunks:
            if chunk.text:
                yield chunk.text

    return texts


def _bedrock(base_url: str) -> Texts:
    import boto3
    from botocore.config import Config

    # As many threads and connections as there are streams, which is not what one has by default.
    threads = ThreadPoolExecutor(64)
    client = boto3.client(
        "bedrock-runtime",
        region_name=REGION,
        endpoint_url=base_url,
        config=Config(max_pool_connections=64),
    )

    def call(model: str, max_tokens: int) -> Any:
        return iter(
            client.converse_stream(
                modelId=model,
                messages=[{"role": "user", "content": [{"text": "Hi"}]}],
                inferenceConfig={"maxTokens": max_tokens},
            )["stream"]
        )

    async def texts(model: str, max_tokens: int) -> AsyncIterator[str]:
        # The way Starlette iterates what blocks: every event from a thread.
        loop = asyncio.get_running_loop()
        events = await loop.run_in_executor(threads, call, model, max_tokens)
        while (event := await loop.run_in_executor(threads, next, events, None)) is not None:
            if "contentBlockDelta" in event:
                yield event["contentBlockDelta"]["delta"]["text"]

    return texts


SDKS: dict[str, Callable[[str], Texts]] = {
    "anthropic": _anthropic,
    "openai": _openai,
    "openai_compatible": _openai_compatible,
    "gemini": _gemini,
    "bedrock": _bedrock,
}


# --- ASGI ----------------------------------------------------------------------------------------


def _relay(frames: Callable[[str, int], AsyncIterator[bytes]]) -> Any:
    """Return the application that sends the frames of an answer as they come."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = json.loads(await _body(receive))
        await _start(send)
        async for frame in frames(body["model"], body["max_tokens"]):
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


async def _body(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _start(send: Any) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


APPS: dict[str, Callable[..., Any]] = {
    "passthrough": passthrough,
    "adapter": adapter,
    "sdk": sdk,
    "full": full,
}

if __name__ == "__main__":
    port, url, name, *kind = sys.argv[1:]
    uvicorn.run(
        APPS[name](url, *kind),
        host=HOST,
        port=int(port),
        log_level="error",
        access_log=False,
        backlog=512,
    )
