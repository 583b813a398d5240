"""How fast an answer passes through Tailrace, beside a plain passthrough of the same model server.

Compares the applications ``passthrough``, ``adapter openai_compatible`` and ``full`` of
`bench.apps`, the last with PostgreSQL and Valkey. Run with ``python -m bench.relay``; prints a
Markdown table.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import httpx

from bench.apps import provider_settings
from bench.streams import (
    HOST,
    MAX_TOKENS,
    PACE,
    PACED,
    Figures,
    Target,
    app,
    app_request,
    measure_all,
    model_server,
)
from localstack.embedded.postgres import Postgres
from localstack.embedded.valkey import Valkey
from tailrace.db.migrate import migrate

CHUNKS = {1: 20_000, 50: 1_000}
# An answer that is long enough to be stopped.
LONG = "paced-1000"
STOPS = 20


def full_environment(stack: ExitStack, url: str) -> dict[str, str]:
    """Start PostgreSQL and Valkey and return the settings of the full path."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tailrace-bench-")))
    postgres, valkey = Postgres(folder / "postgres"), Valkey(folder / "valkey")
    postgres.start()
    stack.callback(postgres.stop)
    valkey.start()
    stack.callback(valkey.stop)
    postgres.create_database("bench")
    asyncio.run(migrate(postgres.url("bench")))
    names = [*(f"burst-{chunks}" for chunks in CHUNKS.values()), PACED, LONG]
    provider = provider_settings(url, "openai_compatible", names)
    return {
        "TAILRACE_DATABASE_URL": postgres.url("bench"),
        "TAILRACE_REDIS_URL": valkey.url,
        "TAILRACE_SECRET_KEY": "x" * 32,
        "TAILRACE_PROVIDERS": json.dumps([provider]),
        "TAILRACE_MAX_OUTPUT_TOKENS": str(MAX_TOKENS),
        "TAILRACE_SECURE_COOKIES": "false",
        # Counted like any, refused never.
        "TAILRACE_USER_RATE": "1000000/second",
        "TAILRACE_ADDRESS_RATE": "1000000/second",
    }


def chat_request(model: str) -> tuple[str, bytes]:
    """Return path and body of a request to the full path, in a conversation of its own."""
    message = {"id": str(uuid4()), "role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    body = {"id": str(uuid4()), "message": message, "model": f"mock/{model}"}
    return "/api/chat", json.dumps(body).encode()


def sign_in(port: int) -> str:
    """Register a user with the full path and return the session cookie."""
    credentials = {"email": "bench@example.org", "password": "correct horse battery"}
    with httpx.Client(base_url=f"http://{HOST}:{port}", timeout=30) as client:
        client.post("/api/auth/register", json=credentials).raise_for_status()
        return f"tailrace_session={client.cookies['tailrace_session']}"


async def measure_stops(port: int, cookie: str, mock_url: str) -> list[float]:
    """Return seconds from a request to stop until the model server saw its client leave."""
    async with (
        httpx.AsyncClient(base_url=f"http://{HOST}:{port}", headers={"cookie": cookie}) as client,
        httpx.AsyncClient(base_url=mock_url) as mock,
    ):
        waits = []
        for _ in range(STOPS):
            path, body = chat_request(LONG)
            headers = {"content-type": "application/json"}
            async with client.stream("POST", path, content=body, headers=headers) as response:
                lines = response.aiter_lines()
                while "text-delta" not in await anext(lines):
                    pass
                asked_at = time.monotonic()
                await client.post(f"{path}/{json.loads(body)['id']}/stop")
                left_at = 0.0
                while left_at < asked_at:
                    left_at = (await mock.get("/")).json()
                waits.append(left_at - asked_at)
                async for _ in lines:
                    pass
        return waits


def table(results: dict[str, Figures]) -> str:
    """Return the results as a Markdown table, with the ratios to the passthrough."""
    lines = [
        "| path | chunks/s, 1 stream | chunks/s, 50 streams | first chunk p50, 1 stream |"
        " first chunk p50, 50 streams |",
        "| --- | --- | --- | --- | --- |",
    ]
    limit = results["passthrough"]
    for name, row in results.items():
        cells = [name]
        for streams, speed in row.speed.items():
            cells.append(f"{speed:,.0f} ({speed / limit.speed[streams]:.2f})")
        for streams, wait in row.wait.items():
            added = wait - limit.wait[streams]
            cells.append(f"{wait * 1000:.1f} ms ({added * 1000:+.1f})")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark the relay of a streamed answer.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with ExitStack() as stack:
        url = stack.enter_context(model_server())
        environment = {**os.environ, **full_environment(stack, url)}
        passthrough = stack.enter_context(app(url, "passthrough"))
        adapter = stack.enter_context(app(url, "adapter", "openai_compatible"))
        full = stack.enter_context(app(url, "full", env=environment))
        cookie = sign_in(full)
        targets = {
            "passthrough": Target(passthrough, app_request, CHUNKS),
            "adapter": Target(adapter, app_request, CHUNKS),
            "full": Target(full, chat_request, CHUNKS, f"cookie: {cookie}"),
        }
        results = asyncio.run(measure_all(targets, rounds))
        stops = asyncio.run(measure_stops(full, cookie, url))
    print(table(results))
    print(
        f"\nFrom a request to stop to the provider's closed connection: median"
        f" {statistics.median(stops) * 1000:.0f} ms, longest {max(stops) * 1000:.0f} ms"
        f" of {STOPS}; the mock notices within {PACE * 1000:.0f} ms."
    )


if __name__ == "__main__":
    main()
