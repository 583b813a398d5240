"""What the tests of this folder share: built layers and functions, and a Runtime API for them."""

import json
import sysconfig
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.aws.function import ROOT, Function, build
from tests.acceptance.aws.runtime_api import RuntimeApi


@pytest.fixture(scope="session")
def opt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both layers, laid over each other as Lambda does."""
    folder = tmp_path_factory.mktemp("opt")
    build("RuntimeLayer", folder)
    build("CoreLayer", folder)
    return folder


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds a function of template.yaml by its logical name, once."""
    built: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in built:
            built[name] = tmp_path_factory.mktemp(name)
            build(name, built[name])
        return built[name]

    return folder


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stock runtime alone, as it lies in Lambda's own image."""
    folder = tmp_path_factory.mktemp("stock")
    packages = Path(sysconfig.get_path("platlib"))
    for name in ("awslambdaric", "runtime_client*", "simplejson", "snapshot_restore_py.py"):
        for path in packages.glob(name):
            (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture
async def api() -> AsyncIterator[RuntimeApi]:
    async with RuntimeApi() as api:
        yield api


@pytest.fixture
def function(api: RuntimeApi, opt: Path, tmp_path: Path) -> Callable[..., Function]:
    """Makes an instance of a function that lies in a folder, not started yet."""

    def make(task: Path, environment: dict[str, str] | None = None, **options: Any) -> Function:
        log = tmp_path / "function.log"
        return Function(api, opt, task, log, environment or {}, **options)

    return make


@pytest.fixture
def app(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a function around an ASGI app given as source text."""

    def write(source: str) -> Path:
        folder = tmp_path / "task"
        folder.mkdir(exist_ok=True)
        wrapped = "from tailrace_runtime.asgi import StreamingHandler\n"
        (folder / "handler.py").write_text(f"{wrapped}{source}\nhandler = StreamingHandler(app)\n")
        return folder

    return write


def recorded(name: str) -> Any:
    """Return an event of tests/events/ by its file name without suffix."""
    return json.loads((ROOT / "tests" / "events" / f"{name}.json").read_text())
