"""What the tests of this folder share: built layers and functions, and a Runtime API for them."""

import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tailrace.settings import Settings
from tests.acceptance.aws.function import ROOT, Function, build, make, stock_runtime
from tests.acceptance.aws.function_url import FunctionUrl
from tests.acceptance.aws.runtime_api import RuntimeApi
from tests.support.model_server import ModelServer
from tests.support.patience import PATIENT


class Deployed(NamedTuple):
    """A function that runs: its Runtime API, its process, and a client of its URL."""

    api: RuntimeApi
    process: Function
    http: httpx.AsyncClient


Deploy = Callable[..., AbstractAsyncContextManager[Deployed]]


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
    folder = tmp_path_factory.mktemp("stock")
    stock_runtime(folder)
    return folder


@pytest.fixture(scope="session")
def sam_environment() -> Path:
    """The environment of AWS SAM's command line, installed where it is missing."""
    make(".venv-sam/bin/sam")
    return ROOT / ".venv-sam"


@pytest.fixture(scope="session")
def translated(sam_environment: Path) -> dict[str, Any]:
    """template.yaml as CloudFormation gets it."""
    script = Path(__file__).with_name("expand.py")
    command = [sam_environment / "bin" / "python", script, ROOT / "template.yaml"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


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


@pytest.fixture
def environment(settings: Settings, model_server: ModelServer) -> dict[str, str]:
    """The variables that template.yaml sets, over this test's data and a model it scripts."""
    local = {
        "name": "local",
        "kind": "openai_compatible",
        "base_url": model_server.base_url,
        # Told here, so that the first request it gets is the call.
        "models": [{"name": "m", "context_window": 100_000, "capabilities": []}],
    }
    return {
        **PATIENT,
        "TAILRACE_DATABASE_URL": settings.database_url.get_secret_value(),
        "TAILRACE_REDIS_URL": settings.redis_url.get_secret_value(),
        "TAILRACE_SECRET_KEY": settings.secret_key.get_secret_value(),
        "TAILRACE_PROVIDERS": json.dumps([local, {"name": "scripted", "kind": "scripted"}]),
        "TAILRACE_DEFAULT_MODEL": "local/m",
        "TAILRACE_DATABASE_POOL_SIZE": "2",
        # The function URL of these tests has no TLS.
        "TAILRACE_SECURE_COOKIES": "false",
    }


@pytest.fixture
def deploy(
    opt: Path,
    task: Callable[[str], Path],
    stock: Path,
    environment: dict[str, str],
    tmp_path: Path,
) -> Deploy:
    """Runs a built function of template.yaml behind a function URL."""

    @asynccontextmanager
    async def run(
        name: str, *, on_stock_runtime: bool | None = None, **overrides: str
    ) -> AsyncIterator[Deployed]:
        streams = name == "ChatFunction"
        if on_stock_runtime is None:
            on_stock_runtime = not streams
        variables = {**environment, **overrides}
        log = tmp_path / f"{name}.log"
        async with (
            RuntimeApi() as api,
            Function(
                api, opt, task(name), log, variables, stock if on_stock_runtime else None
            ) as process,
            FunctionUrl(api, streaming=streams and not on_stock_runtime) as url,
            httpx.AsyncClient(base_url=url, timeout=120) as http,
        ):
            yield Deployed(api, process, http)

    return run


def recorded(name: str) -> Any:
    """Return an event of tests/events/ by its file name without suffix."""
    return json.loads((ROOT / "tests" / "events" / f"{name}.json").read_text())
