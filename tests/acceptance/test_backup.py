"""The backup of docs/operations.md: taken from a stack that runs, and brought into another."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.attachments import part_of, upload
from tests.support.chat_client import ChatClient, user_message
from tests.support.stack import CHECKOUT, SCRIPTED, Stack


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Stack]]:
    """Starts a stack over a data folder of this name."""
    started: list[Stack] = []

    def start(name: str) -> Stack:
        started.append(Stack(tmp_path / name, SCRIPTED))
        return started[-1]

    yield start
    for stack in started:
        stack.end()


async def test_what_was_said_and_sent_is_read_from_a_backup(
    start: Callable[[str], Stack], tmp_path: Path
) -> None:
    back_up, restore = documented("### make up")
    conversation_id = uuid4()
    stack = start("old")
    async with httpx.AsyncClient(base_url=stack.address, timeout=120) as http:
        user = ChatClient(http)
        await user.register()
        file = await upload(user, b"a note", "text/plain", "note.txt")
        message = user_message("What does it say?")
        message["parts"].append(part_of(file))
        await user.say(conversation_id, "", message=message)
        said = await user.conversation(conversation_id)
    run(back_up, tmp_path, "old")
    assert stack.stop() == 0

    stack = start("new")
    async with httpx.AsyncClient(base_url=stack.address, timeout=120) as http:
        # Somebody whom the backup does not know.
        await ChatClient(http).register("new@example.org")
    run(restore, tmp_path, "new")
    assert stack.stop() == 0

    stack = start("new")
    async with httpx.AsyncClient(base_url=stack.address, timeout=120) as http:
        body = {"email": "new@example.org", "password": "correct horse battery"}
        assert (await http.post("/api/auth/login", json=body)).status_code == 401
        body["email"] = "ada@example.org"
        assert (await http.post("/api/auth/login", json=body)).status_code == 200
        user = ChatClient(http)
        assert (await user.conversation(conversation_id))["messages"] == said["messages"]
        assert (await http.get(file["url"])).content == b"a note"
        # Nothing is missing that a chat needs.
        await user.say(conversation_id, "Going on")
    assert (tmp_path / "old/secret.key").read_text() == (tmp_path / "new/secret.key").read_text()


def documented(heading: str) -> list[str]:
    """Return the scripts below a heading of the runbook."""
    page = (CHECKOUT / "docs/operations.md").read_text()
    section = page.partition(f"\n{heading}\n")[2].partition("\n#")[0]
    return re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def run(script: str, folder: Path, data: str) -> None:
    """Run a script as in a checkout whose data is in this folder."""
    venv = folder / ".venv"
    if not venv.exists():
        venv.symlink_to(sys.prefix)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "TAILRACE_DATA_DIR": str(folder / data)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
