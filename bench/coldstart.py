"""A cold start of the chat function, from its process's first moment, beside a bare handler.

The chat function starts with one provider configured, each kind in turn, before the model server
of `bench.model_server`. Run by ``make bench`` or ``python -m bench.coldstart``. The function is the
packed one, built for this machine, with its layers; the Runtime API is the tests'. The request
waits before the process is started, as it does on Lambda. Lambda's own work (fetching and unpacking
the code, booting the sandbox) is outside of what can be measured here. Prints Markdown tables.
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

from bench.apps import CREDENTIALS, PATHS, provider_settings
from bench.streams import model_server
from localstack.embedded.postgres import Postgres
from localstack.embedded.valkey import Valkey
from tailrace.db.migrate import migrate
from tests.acceptance.aws.conftest import recorded
from tests.acceptance.aws.function import PYTHON, Function, build, stock_runtime
from tests.acceptance.aws.runtime_api import RuntimeApi
from tests.support.chat_client import user_message

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
_OFFENDERS = 16
_MODEL = "burst-20"
# The kind that needs no SDK.
_PLAIN = "openai_compatible"

# Own time, time with what it imports in turn, name: https://docs.python.org/3/using/cmdline.html
_IMPORT = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", re.MULTILINE)


class Case(NamedTuple):
    """One way to start: folders as in `Function`, and the kind of provider configured, if any."""

    name: str
    opt: Path
    task: Path
    stock: Path | None = None
    kind: str | None = None


class Start(NamedTuple):
    """Seconds from the start of the process to the end of its init, its first byte and word."""

    init: float
    first_byte: float
    first_word: float | None = None


async def start(case: Case, environment: dict[str, str], event: Any) -> Start:
    """Start a process with a request waiting for it, and see when it answers."""
    async with RuntimeApi() as api:
        invocation = api.invoke(event)
        began = time.perf_counter()
        log = case.task.parent / "log"
        async with Function(api, case.opt, case.task, log, environment, case.stock):
            await api.ready.wait()
            init = time.perf_counter() - began
            first_byte = None
            async for chunk in invocation.chunks():
                if case.kind is None and b"bare" in chunk:
                    return Start(init, time.perf_counter() - began)
                if first_byte is None and b'"type":"start"' in chunk:
                    first_byte = time.perf_counter() - began
                if first_byte is not None and b'"type":"text-delta"' in chunk:
                    return Start(init, first_byte, time.perf_counter() - began)
    raise RuntimeError(f"{case.name} never answered; see {log}")


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
    plain_opt, plain_chat = folder / "plain-opt", folder / "plain-chat"
    for packed, plain in ((opt, plain_opt), (chat, plain_chat)):
        shutil.copytree(packed, plain, ignore=shutil.ignore_patterns("__pycache__"))
    return [
        Case("bare handler, stock runtime", bare_opt, folder / "bare", stock),
        Case("bare handler, our runtime", bare_opt, folder / "streaming"),
        *(Case(f"chat, {kind}", opt, chat, kind=kind) for kind in PATHS),
        *(
            Case(f"chat, {kind}, packed without bytecode", plain_opt, plain_chat, kind=kind)
            for kind in (_PLAIN, "anthropic")
        ),
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
            **CREDENTIALS,
            "PYTHONDONTWRITEBYTECODE": "1",
            "TAILRACE_DATABASE_URL": postgres.url("bench"),
            "TAILRACE_REDIS_URL": valkey.url,
            "TAILRACE_SECRET_KEY": "a secret key for this benchmark alone",
            "TAILRACE_DEFAULT_MODEL": f"mock/{_MODEL}",
            "TAILRACE_GUEST_LIMIT": "1000000",
            "TAILRACE_GUEST_ADDRESS_LIMIT": "1000000",
        }
    finally:
        valkey.stop()
        postgres.stop()


def configured(kind: str | None, url: str) -> dict[str, str]:
    """Return the variable that configures one provider of a kind, or none."""
    if kind is None:
        return {}
    return {"TAILRACE_PROVIDERS": json.dumps([provider_settings(url, kind, [_MODEL])])}


async def measure(
    compared: list[Case], environment: dict[str, str], url: str, rounds: int
) -> dict[str, list[Start]]:
    """Start every case once a round, so that a slow moment of the machine hits all alike."""
    event = recorded("function_url_post")
    event["cookies"] = []
    results: dict[str, list[Start]] = {case.name: [] for case in compared}
    for number in range(rounds + 1):
        for case in compared:
            body = {"id": str(uuid4()), "messages": [user_message("Good morning")]}
            variables = environment | configured(case.kind, url)
            taken = await start(case, variables, {**event, "body": json.dumps(body)})
            # The first round only warms the disk's cache.
            if number:
                results[case.name].append(taken)
    return results


def imports(case: Case, environment: dict[str, str]) -> Counter[str]:
    """Return the microseconds that importing a handler spends in each package, and in all."""
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
    return spent


def table(results: dict[str, list[Start]]) -> str:
    """Return medians as a Markdown table, with the first byte's ratio to the first row's."""
    lines = [
        "| function | init | first byte | to the first row | model's first word |",
        "| --- | --- | --- | --- | --- |",
    ]
    bare = None
    for name, starts in results.items():
        init = statistics.median(taken.init for taken in starts)
        first_byte = statistics.median(taken.first_byte for taken in starts)
        bare = bare or first_byte
        cells = [name, f"{init * 1000:.0f} ms", f"{first_byte * 1000:.0f} ms"]
        cells.append(f"{first_byte / bare:.2f}")
        words = [taken.first_word for taken in starts if taken.first_word is not None]
        cells.append(f"{statistics.median(words) * 1000:.0f} ms" if words else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def imports_table(spent: dict[str, Counter[str]]) -> str:
    """Return as a Markdown table what takes longest to import with each kind, in milliseconds."""
    lines = [f"| imported by chat, ms | {' | '.join(spent)} |", f"| --- |{' ---: |' * len(spent)}"]
    longest: Counter[str] = Counter()
    for times in spent.values():
        longest |= times
    for package, _ in longest.most_common(_OFFENDERS):
        cells = (
            f"{times[package] / 1000:.0f}" if package in times else "" for times in spent.values()
        )
        lines.append(f"| {package} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark the cold start of the chat function.")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with (
        tempfile.TemporaryDirectory() as name,
        variables(Path(name)) as environment,
        model_server() as url,
    ):
        compared = cases(Path(name))
        print(table(asyncio.run(measure(compared, environment, url, rounds))))
        spent = {
            case.kind: imports(case, environment | configured(case.kind, url))
            for case in compared
            if case.kind is not None and case.name == f"chat, {case.kind}"
        }
        print(f"\n{imports_table(spent)}")


if __name__ == "__main__":
    main()
