"""What copies of one process make up: a snapshot of SnapStart is copied with all its memory."""

import subprocess
import sys

COPIES = """
import os, secrets
from tailrace.auth import keys, sessions
from tailrace.http import chat
from tailrace.ids import uuid7

uuid7()
for _ in range(8):
    if os.fork() == 0:
        for _ in range(200):
            os.write(1, b"%s %s " % (str(uuid7()).encode(), secrets.token_hex(16).encode()))
        os._exit(0)
for _ in range(8):
    os.wait()
"""


def test_copies_of_a_process_make_up_different_ids_and_tokens() -> None:
    done = subprocess.run([sys.executable, "-c", COPIES], check=True, stdout=subprocess.PIPE)
    made = done.stdout.split()
    assert len(made) == 8 * 200 * 2
    assert len(set(made)) == len(made)
