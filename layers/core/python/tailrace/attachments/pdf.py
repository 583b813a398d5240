"""The text of a PDF, for models that read no documents.

A PDF is a program of a kind, and may be made to take for ever: it is read by a process of its own
(`tailrace.attachments.pdf_reader`), with bounds to its time and memory.
"""

import asyncio
import os
import subprocess
import sys
from typing import Literal

import msgspec

Problem = Literal["encrypted", "broken", "empty", "slow"]

#: Why a PDF has no text that can be read, to stand after its name.
SENTENCES: dict[Problem, str] = {
    "encrypted": "is encrypted, so that its text cannot be read",
    "broken": "is damaged, so that its text cannot be read",
    "empty": "holds no text, only pictures",
    "slow": "is too complicated for its text to be read",
}

# Seconds; most take less than one.
_PATIENCE = 10.0


class Extracted(msgspec.Struct, frozen=True):
    """The text of a PDF, or why there is none."""

    text: str | None = None
    problem: Problem | None = None


_decoder = msgspec.json.Decoder(Extracted)


async def extract(data: bytes) -> Extracted:
    """Return the text of a PDF, of one that is long the beginning."""
    return await asyncio.to_thread(_extract, data)


def _extract(data: bytes) -> Extracted:
    # Nothing of our environment, which holds secrets, but where Python finds its modules.
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": os.defpath}
    command = [sys.executable, "-m", "tailrace.attachments.pdf_reader"]
    try:
        done = subprocess.run(  # noqa: S603
            command, input=data, capture_output=True, timeout=_PATIENCE, env=environment
        )
    except subprocess.TimeoutExpired:
        return Extracted(problem="slow")
    try:
        return _decoder.decode(done.stdout)
    except msgspec.DecodeError:
        # It ran out of memory, or its reader has a defect.
        return Extracted(problem="broken")
