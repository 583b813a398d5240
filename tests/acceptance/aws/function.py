"""A function as a process: what Lambda has under /opt and /var/task, run the way Lambda runs it.

`conftest` builds the folders with the rules of `build.mk`, for this machine and this interpreter
instead of arm64 and Python 3.13; that, and the folders' names, is all in which they differ from
what is deployed. Nothing of the checkout or its virtual environment is on the process's path.
"""

import asyncio
import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.aws.runtime_api import RuntimeApi

ROOT = Path(__file__).parents[3]
# The one that made the virtual environment, with nothing of the machine's own packages.
PYTHON = ROOT / ".tools" / "bin" / "python"


@dataclass
class Function:
    """One instance of a function, from its start to its end.

    Parameters
    ----------
    api
        Where it asks for events.
    opt
        Folder that stands for /opt, the layers.
    task
        Folder that stands for /var/task, the function.
    log
        File that takes what it writes.
    environment
        The function's own variables.
    stock
        Run under the stock runtime (awslambdaric, from this folder) instead of ours.
    """

    api: RuntimeApi
    opt: Path
    task: Path
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    stock: Path | None = None

    async def __aenter__(self) -> "Function":
        environment = {
            "PATH": os.environ["PATH"],
            "TZ": ":UTC",
            "LANG": "en_US.UTF-8",
            "AWS_REGION": "eu-central-1",
            "AWS_LAMBDA_FUNCTION_NAME": "tailrace",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_RUNTIME_API": self.api.address,
            "LAMBDA_TASK_ROOT": str(self.task),
            "_HANDLER": "handler.handler",
            **self.environment,
        }
        if self.stock is None:
            command = [self.opt / "tailrace-runtime", PYTHON, "/var/runtime/bootstrap.py"]
        else:
            command = [PYTHON, "-m", "awslambdaric", "handler.handler"]
            environment["PYTHONPATH"] = f"{self.opt / 'python'}:{self.stock}"
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, cwd=self.task, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        self._watch = asyncio.create_task(self._end())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def kill(self) -> None:
        """End the process as Lambda would: without a word."""
        if self.process.returncode is None:
            self.process.kill()
        await self._watch

    async def exit_code(self) -> int:
        """Wait for a process that ends by itself."""
        return await self.process.wait()

    def logged(self) -> list[dict[str, Any]]:
        """The JSON lines written so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    async def _end(self) -> None:
        exit_code = await self.process.wait()
        self.api.runtime_exited(killed=exit_code < 0)


def stock_runtime(folder: Path) -> None:
    """Fill a folder with the stock runtime alone, as it lies in Lambda's own image."""
    packages = Path(sysconfig.get_path("platlib"))
    for name in ("awslambdaric", "runtime_client*", "simplejson", "snapshot_restore_py.py"):
        for path in packages.glob(name):
            (folder / path.name).symlink_to(path)


def build(name: str, folder: Path) -> None:
    """Build a layer or function of template.yaml for this machine."""
    make(
        f"build-{name}",
        f"ARTIFACTS_DIR={folder}",
        f"LAMBDA_PLATFORM={sysconfig.get_platform().partition('-')[2]}-manylinux_2_28",
        f"LAMBDA_PYTHON={sys.version_info.major}.{sys.version_info.minor}",
    )


def make(*arguments: str) -> None:
    """Run a rule of build.mk, with make's output in the exception where it fails."""
    tools = ROOT / ".tools" / "bin"
    done = subprocess.run(
        ["make", "--silent", "--makefile=build.mk", *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
