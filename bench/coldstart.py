"""A cold start of the chat function, from its process's first moment, beside a bare handler.

Run by ``make bench`` or ``python -m bench.coldstart``. The function is the packed one, built for
this machine, with its layers; the Runtime API is the tests'. The request waits before the process
is started, as it does on Lambda. Lambda's own work (fetching and unpacking the code, booting the
sandbox) is outside of what can be measured here. Prints Markdown tables.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from localstack.embedded.postgres import Postgres
from localstack.embedded.valkey import Valkey
from tailrace.db.migrate import migrate
from tests.acceptance.aws.conftest import recorded
from tests.acceptance.aws.function import PYTHON, Function, build, stock_runtime
from tests.acceptance.aws.runtime_api import RuntimeApi
from tests.support.chat_client import user_message
from tests.support.model_server import ModelServer

_BARE = """
def handler(event, context):
    return {"statusCode": 200, "headers": {}, "body": "bare"}
"""
_BARE_STREAMING = """
from tailrace_runtime.asgi import StreamingHandler

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"bare"})

handler = StreamingHandler(app)
"""
_OFFENDERS = 12

# Own time, time with what it imports in turn, name: https://docs.python.org/3/using/cmdline.html
_IMPORT = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", re.MULTILINE)


class Case(NamedTuple):
    """One way to start: folders as in `Function`, and the bytes that end the measurement."""

    name: str
    opt: Path
    task: Path
    stock: Path | None
    until: bytes


class Start(NamedTuple):
    """Seconds from the start of the process to the end of its init, and to its first byte."""

    init: float
    first_byte: float


async def start(case: Case, environment: dict[str, str], event: Any) -> Start:
    """Start a process with a request waiting for it, and see when it answers."""
    async with RuntimeApi() as api:
        invocation = api.invoke(event)
        began = time.perf_counter()
        log = case.task.parent / "log"
        async with Function(api, case.opt, case.task, log, environment, case.stock):
            await api.ready.wait()
            init = time.perf_counter() - began
            async for chunk in invocation.chunks():
                if case.until in chunk:
                    return Start(init, time.perf_counter() - began)
    raise RuntimeError(f"{case.name} never sent {case.until!r}; see {log}")


def cases(folder: Path) -> list[Case]:
    """Build everything into a folder and return what is compared."""
    opt, chat = folder / "opt", folder / "chat"
    for name in ("RuntimeLayer", "CoreLayer"):
        build(name, opt)
    build("ChatFunction", chat)
    stock = folder / "stock"
    stock.mkdir()
    stock_runtime(stock)
    for name, source in (("bare", _BARE), ("streaming", _BARE_STREAMING)):
        (folder / name).mkdir()
        (folder / name / "handler.py").write_text(source)
    bare_opt = folder / "bare-opt"
    build("RuntimeLayer", bare_opt)
    plain = shutil.copytree(opt, folder / "plain-opt")
    for cache in plain.rglob("__pycache__"):
        shutil.rmtree(cache)
    return [
        Case("bare handler, stock runtime", bare_opt, folder / "bare", stock, b"bare"),
        Case("bare handler, our runtime", bare_opt, folder / "streaming", None, b"bare"),
        Case("chat", opt, chat, None, b'"type":"start"'),
        Case("chat, to the model's first word", opt, chat, None, b'"type":"text-delta"'),
        Case("the same, packed without bytecode", plain, chat, None, b'"type":"text-delta"'),
    ]


@contextmanager
def variables(folder: Path) -> Iterator[dict[str, str]]:
    """Run the servers and yield the function's environment."""
    postgres = Postgres(folder / "postgres", durable=False)
    valkey = Valkey(folder / "valkey", durable=False)
    postgres.start()
    valkey.start()
    try:
        postgres.create_database("bench")
        asyncio.run(migrate(postgres.url("bench")))
        yield {
            "PYTHONDONTWRITEBYTECODE": "1",
            "TAILRACE_DATABASE_URL": postgres.url("bench"),
            "TAILRACE_REDIS_URL": valkey.url,
            "TAILRACE_SECRET_KEY": "a secret key for this benchmark alone",
            # Nobody answers at this address; `measure` puts a model server's in its place.
            "TAILRACE_PROVIDERS": _providers("http://127.0.0.1:9/v1"),
            "TAILRACE_DEFAULT_MODEL": "local/m",
            "TAILRACE_GUEST_LIMIT": "1000000",
            "TAILRACE_GUEST_ADDRESS_LIMIT": "1000000",
        }
    finally:
        valkey.stop()
        postgres.stop()


def _providers(base_url: str) -> str:
    provider = {"name": "local", "kind": "openai_compatible", "models": ["m"]}
    return json.dumps([{**provider, "base_url": base_url}])


async def measure(
    compared: list[Case], environment: dict[str, str], rounds: int
) -> dict[str, list[Start]]:
    """Start every case once a round, so that a slow moment of the machine hits all alike."""
    event = recorded("function_url_post")
    event["cookies"] = []
    model = ModelServer()
    await model.start()
    environment = {**environment, "TAILRACE_PROVIDERS": _providers(model.base_url)}
    results: dict[str, list[Start]] = {case.name: [] for case in compared}
    for number in range(rounds + 1):
        for case in compared:
            body = {"id": str(uuid4()), "messages": [user_message("Good morning")]}
            taken = await start(case, environment, {**event, "body": json.dumps(body)})
            # The first round only warms the disk's cache.
            if number:
                results[case.name].append(taken)
    await model.stop()
    return results


def offenders(case: Case, environment: dict[str, str]) -> list[tuple[str, float]]:
    """Return the packages that importing a handler spends longest in, with milliseconds each."""
    path = f"{case.task}:{case.opt / 'python'}"
    done = subprocess.run(
        [PYTHON, "-X", "importtime", "-c", "import handler"],
        env={"PATH": os.environ["PATH"], **environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    spent: Counter[str] = Counter()
    for microseconds, name in _IMPORT.findall(done.stderr):
        spent[name.partition(".")[0]] += int(microseconds)
    spent["all"] = spent.total()
    return [(name, amount / 1000) for name, amount in spent.most_common(_OFFENDERS + 1)]


def table(results: dict[str, list[Start]]) -> str:
    """Return medians as a Markdown table, with the ratio to the first row."""
    lines = ["| function | init | first byte | to the first row |", "| --- | --- | --- | --- |"]
    bare = None
    for name, starts in results.items():
        init = statistics.median(taken.init for taken in starts)
        first_byte = statistics.median(taken.first_byte for taken in starts)
        bare = bare or first_byte
        cells = [name, f"{init * 1000:.0f} ms", f"{first_byte * 1000:.0f} ms"]
        lines.append(f"| {' | '.join(cells)} | {first_byte / bare:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark the cold start of the chat function.")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name, variables(Path(name)) as environment:
        compared = cases(Path(name))
        print(table(asyncio.run(measure(compared, environment, rounds))))
        chat = next(case for case in compared if case.name == "chat")
        print("\n| imported by chat | ms |\n| --- | --- |")
        for package, milliseconds in offenders(chat, environment):
            print(f"| {package} | {milliseconds:.0f} |")


if __name__ == "__main__":
    main()
