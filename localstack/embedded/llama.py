"""The local model's process: llama.cpp's OpenAI-compatible server over one .gguf file.

Started by `model` as a script of its own, so that a crash of native code or its memory never
touches Tailrace. Reads its configuration as JSON from standard input, serves until it is killed.
"""

# pyright: reportAttributeAccessIssue=false
# xllamacpp's names come out of its compiled module, which has no stubs.

import json
import os
import signal
import sys

import xllamacpp

# A token's keys and values take 22 KiB in SmolLM2-135M: 4 slots of 4096 tokens take 360 MiB.
_SLOTS = 4
_TOKENS_PER_SLOT = 4096
_PROMPT_CACHE_MIB = 256

# A model this small says the same again and again unless it is kept from it, until its context is
# full; and at llama.cpp's usual 0.8 it wanders off.
_TEMPERATURE = 0.4
_REPEAT_PENALTY = 1.1
_DRY_MULTIPLIER = 0.8


def main() -> None:
    """Serve what standard input describes: ``path``, ``port``, ``alias``, ``api_key``."""
    config = json.load(sys.stdin)
    # Generation keeps every core busy; the page and its streams come first.
    os.nice(5)
    params = xllamacpp.CommonParams()
    params.model.path = config["path"]
    params.model_alias = {config["alias"]}
    params.hostnames = ["127.0.0.1"]
    params.port = config["port"]
    # Without a key every page in the user's browser could call the model.
    params.api_keys = [config["api_key"]]
    params.n_parallel = _SLOTS
    params.n_ctx = _SLOTS * _TOKENS_PER_SLOT
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.ui = False
    params.sampling.temp = _TEMPERATURE
    params.sampling.penalty_repeat = _REPEAT_PENALTY
    params.sampling.dry_multiplier = _DRY_MULTIPLIER
    server = xllamacpp.Server(params)
    print(f"serving {config['path']} at {server.listening_address}", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
