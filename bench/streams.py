"""What the benchmarks of streaming share: processes, a client that reads streams, and the rounds.

Every application that is compared runs in a process of its own, before the same model server
(`bench.model_server`), and all of them are measured in turn, so that they see the same machine.
"""

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

HOST = "127.0.0.1"
# Seconds between chunks of an answer that is paced as models give them, so that the wait for its
# first chunk is not the wait for a busy processor.
PACE = 0.02
PACED = "paced-20"
# More than any answer has.
MAX_TOKENS = 1_000_000
# How often the waits of so many streams at once are measured in a round.
WAITS = {1: 10, 50: 3}
# How the text of every chunk begins, as JSON and so as every application passes it on.
_MARK = b'" token'
_START_TIMEOUT = 90.0

K = TypeVar("K")


class Target(NamedTuple):
    """An application to measure.

    Attributes
    ----------
    port
        Where it listens.
    request
        Returns path and body that ask it for the answer of a model.
    chunks
        Of each answer, by the number of streams at once: enough to hide their start.
    header
        Sent along, a whole line.
    """

    port: int
    request: Callable[[str], tuple[str, bytes]]
    chunks: Mapping[int, int]
    header: str = "accept: */*"


class Figures(NamedTuple):
    """Medians by the number of streams: chunks a second, and seconds to the first chunk."""

    speed: dict[int, float]
    wait: dict[int, float]


async def measure_all(
    targets: Mapping[K, Target], rounds: int, waits: Mapping[int, int] = WAITS
) -> dict[K, Figures]:
    """Measure the applications in turn, round by round; a round before the first warms up."""
    speeds: dict[tuple[K, int], list[float]] = {}
    firsts: dict[tuple[K, int], list[float]] = {}
    for number in range(rounds + 1):
        for name, target in targets.items():
            for streams, chunks in target.chunks.items():
                _, speed = await burst(target, f"burst-{chunks}", streams)
                if number:
                    speeds.setdefault((name, streams), []).append(speed)
            for streams, times in waits.items():
                for _ in range(times if number else 1):
                    first, _ = await burst(target, PACED, streams)
                    if number:
                        firsts.setdefault((name, streams), []).extend(first)
    return {
        name: Figures(
            {n: statistics.median(speeds[name, n]) for n in target.chunks},
            {n: statistics.median(firsts[name, n]) for n in waits},
        )
        for name, target in targets.items()
    }


async def burst(target: Target, model: str, streams: int) -> tuple[list[float], float]:
    """Start so many streams at once; return their waits and the chunks per second of all.

    Raises
    ------
    RuntimeError
        When chunks are missing.
    """
    requests = [target.request(model) for _ in range(streams)]
    began = time.perf_counter()
    results = await asyncio.gather(*(_read(target, path, body) for path, body in requests))
    took = time.perf_counter() - began
    counted = sum(_content(response).count(_MARK) for _, response in results)
    expected = int(model.split("-")[1]) * streams
    if counted != expected:
        raise RuntimeError(f"port {target.port}: {counted} chunks of {expected}")
    return [first for first, _ in results], counted / took


async def _read(target: Target, path: str, body: bytes) -> tuple[float, bytes]:
    """Read one stream; return seconds to the first chunk, and the whole response."""
    reader, writer = await asyncio.open_connection(HOST, target.port, limit=1 << 20)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n"
        f"{target.header}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    began = time.perf_counter()
    writer.write(head.encode() + body)
    first = None
    pieces = []
    while data := await reader.read(1 << 18):
        if first is None and _MARK in data:
            first = time.perf_counter() - began
        pieces.append(data)
    writer.close()
    whole = b"".join(pieces)
    if first is None:
        raise RuntimeError(f"port {target.port}: no chunk came: {whole[:2000]!r}")
    return first, whole


def _content(response: bytes) -> bytes:
    """Return a response's body, put together: a piece may end within a chunk's text."""
    pieces = []
    at = response.index(b"\r\n\r\n") + 4
    while True:
        begin = response.index(b"\r\n", at) + 2
        end = begin + int(response[at : begin - 2], 16)
        if begin == end:
            return b"".join(pieces)
        pieces.append(response[begin:end])
        at = end + 2


@contextmanager
def model_server() -> Iterator[str]:
    """Run the model server; yield its URL."""
    port = free_port()
    with process(port, [sys.executable, "-m", "bench.model_server", str(port)]):
        yield f"http://{HOST}:{port}"


@contextmanager
def app(
    url: str,
    *arguments: str,
    python: str | Path = sys.executable,
    env: Mapping[str, str] = os.environ,
) -> Iterator[int]:
    """Run an application of `bench.apps` before the model server at a URL; yield its port."""
    port = free_port()
    with process(port, [python, "-m", "bench.apps", str(port), url, *arguments], env):
        yield port


def app_request(model: str) -> tuple[str, bytes]:
    """Return path and body of a request to an application that is no chat."""
    return "/", json.dumps({"model": model, "max_tokens": MAX_TOKENS}).encode()


@contextmanager
def process(
    port: int, command: Sequence[str | Path], env: Mapping[str, str] = os.environ
) -> Iterator[None]:
    """Run a server in a process of its own, from when it listens on its port."""
    # Only tables go to our own output.
    child = subprocess.Popen(command, env=env, stdout=sys.stderr)
    try:
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            try:
                socket.create_connection((HOST, port), timeout=1).close()
                break
            except OSError:
                if child.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command} did not start") from None
                time.sleep(0.05)
        yield
    finally:
        child.terminate()
        child.wait()


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.create_server((HOST, 0)) as listener:
        return listener.getsockname()[1]
