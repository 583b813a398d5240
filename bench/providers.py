"""How fast each adapter passes an answer on, beside its provider's own SDK and LiteLLM's proxy.

All of them relay the same model server in the same run, each in a process of its own: ours and the
SDK's typed stream under uvicorn, LiteLLM as it comes (one worker; it fetches no prices and reports
to nobody). LiteLLM and OpenAI's SDK have environments of their own, which ``make bench``
installs. Run with ``python -m bench.providers``; prints a Markdown table.
"""

import argparse
import asyncio
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.apps import CREDENTIALS, KEY, PATHS, REGION
from bench.streams import (
    HOST,
    MAX_TOKENS,
    PACED,
    Figures,
    Target,
    app,
    app_request,
    free_port,
    measure_all,
    model_server,
    process,
)

ENVIRONMENTS = Path(__file__).parents[1] / ".venv-bench"
# What is slow gets shorter answers; each of them takes long against its start.
CHUNKS = {
    "passthrough": {1: 20_000, 50: 1_000},
    "adapter": {1: 20_000, 50: 1_000},
    "sdk": {1: 5_000, 50: 200},
    "litellm": {1: 2_000, 50: 200},
}
WAITS = {50: 3}
# What LiteLLM calls a kind, and the setting that takes the model server's URL.
LITELLM = {
    "anthropic": ("anthropic/", "api_base"),
    "openai": ("openai/", "api_base"),
    "openai_compatible": ("openai/", "api_base"),
    "gemini": ("gemini/", "api_base"),
    "bedrock": ("bedrock/converse/", "aws_bedrock_runtime_endpoint"),
}
# It does not start without one.
LITELLM_KEY = f"sk-{secrets.token_hex(32)}"
LITELLM_HEADER = f"authorization: Bearer {LITELLM_KEY}"
# All that the processes have of the environment, so that nothing else of it bends a client.
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    **CREDENTIALS,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def start(stack: ExitStack, kinds: list[str]) -> dict[tuple[str, str], Target]:
    """Start everything; return the applications by what relays and which kind."""
    url = stack.enter_context(model_server())

    def relay(name: str, *kind: str, **options: Any) -> Target:
        port = stack.enter_context(app(url, name, *kind, env=ENVIRONMENT, **options))
        return Target(port, app_request, CHUNKS[name])

    targets = {("passthrough", ""): relay("passthrough")}
    proxy = stack.enter_context(litellm(url, kinds))
    for kind in kinds:
        targets["adapter", kind] = relay("adapter", kind)
        own = {"python": ENVIRONMENTS / "openai/bin/python"} if kind.startswith("openai") else {}
        targets["sdk", kind] = relay("sdk", kind, **own)
        asked = partial(litellm_request, kind)
        targets["litellm", kind] = Target(proxy, asked, CHUNKS["litellm"], LITELLM_HEADER)
    return targets


@contextmanager
def litellm(url: str, kinds: list[str]) -> Iterator[int]:
    """Run LiteLLM's proxy with every model of every kind; yield its port."""
    names = [*(f"burst-{chunks}" for chunks in CHUNKS["litellm"].values()), PACED]
    models = [litellm_model(url, kind, name) for kind in kinds for name in names]
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as folder:
        config = Path(folder, "config.json")
        config.write_text(json.dumps({"model_list": models}))
        port = free_port()
        command = [ENVIRONMENTS / "litellm/bin/litellm", "--config", config, "--host", HOST]
        command += ["--port", str(port), "--num_workers", "1", "--telemetry", "False"]
        own = {
            "HOME": folder,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MASTER_KEY": LITELLM_KEY,
        }
        with process(port, command, {**ENVIRONMENT, **own}):
            yield port


def litellm_model(url: str, kind: str, name: str) -> dict[str, Any]:
    """Return a model of its configuration."""
    prefix, address = LITELLM[kind]
    parameters = {"model": f"{prefix}{name}", address: url + PATHS[kind]}
    if kind == "bedrock":
        parameters["aws_region_name"] = REGION
    else:
        parameters["api_key"] = KEY
    return {"model_name": f"{kind}-{name}", "litellm_params": parameters}


def litellm_request(kind: str, model: str) -> tuple[str, bytes]:
    """Return path and body: the API that a kind itself has, else chat completions."""
    body: dict[str, Any] = {"model": f"{kind}-{model}", "stream": True}
    if kind == "openai":
        return "/v1/responses", json.dumps({**body, "input": "Hi"}).encode()
    body |= {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": MAX_TOKENS}
    return "/v1/chat/completions", json.dumps(body).encode()


def table(results: dict[tuple[str, str], Figures], kinds: list[str]) -> str:
    """Return the results as a Markdown table; in brackets: ours is so many times that."""
    lines = [
        "| provider | relayed by | chunks/s, 1 stream | chunks/s, 50 streams |"
        " added to the first chunk, 50 streams |",
        "| --- | --- | --- | --- | --- |",
    ]
    limit = results["passthrough", ""]
    wait = f"{limit.wait[50] * 1000:.1f} ms in all"
    lines.append(f"| | passthrough | {limit.speed[1]:,.0f} | {limit.speed[50]:,.0f} | {wait} |")
    for kind in kinds:
        ours = results["adapter", kind]
        for name, label in (("adapter", "Tailrace"), ("sdk", "its SDK"), ("litellm", "LiteLLM")):
            row = results[name, kind]
            cells = [kind, label]
            for streams, speed in row.speed.items():
                ratio = (
                    f" (ours: {ours.speed[streams] / speed:.1f} times)" if row is not ours else ""
                )
                cells.append(f"{speed:,.0f}{ratio}")
            added = (row.wait[50] - limit.wait[50]) * 1000
            cells.append(f"{added:+.1f} ms")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark the adapters beside SDKs and LiteLLM.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", default=list(PATHS), choices=list(PATHS))
    arguments = parser.parse_args()
    with ExitStack() as stack:
        targets = start(stack, arguments.kinds)
        results = asyncio.run(measure_all(targets, arguments.rounds, WAITS))
    print(table(results, arguments.kinds))


if __name__ == "__main__":
    main()
