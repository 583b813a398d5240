"""``make up``: starts every server, migrates, and serves page, API and streams until Ctrl-C.

Whatever it needs and the environment does not name (``TAILRACE_DATABASE_URL``,
``TAILRACE_REDIS_URL``, ``TAILRACE_PROVIDERS``), it runs itself. A start that cannot be is one line
on standard error and exit code 2, and leaves nothing running.
"""

import argparse
import asyncio
import errno
import importlib
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from pydantic import SecretStr

from localstack.embedded import model
from localstack.embedded.folder import DataFolder, hold
from localstack.embedded.postgres import Postgres
from localstack.embedded.process import StackError, end_with_parent
from localstack.embedded.progress import run_together
from localstack.embedded.valkey import Valkey
from tailrace.db.migrate import MigrationError, migrate
from tailrace.services import Services
from tailrace.settings import Settings, SettingsError

_CHECKOUT = Path(__file__).parents[2]
_WEB_ROOT = _CHECKOUT / "web" / "dist"

_PORT = 8787
_DATABASE = "tailrace"
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Stand in for what is started here, until it is.
_TO_COME = {
    "TAILRACE_DATABASE_URL": "postgresql:///embedded",
    "TAILRACE_REDIS_URL": "redis://embedded",
}


def main() -> int:
    """Run until a signal ends it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make up", description="Run Tailrace on this machine.")
    parser.add_argument(
        "--end-with-parent",
        action="store_true",
        help="stop when the process that started this one dies",
    )
    if parser.parse_args().end_with_parent:
        end_with_parent(signal.SIGTERM)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    # What the pool says of a database that is down, the schedule says in one line.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    try:
        _interrupt_on_signals()
        _up(os.environ)
    except (StackError, SettingsError, MigrationError) as error:
        print(f"tailrace: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    print("Tailrace has stopped.")
    return 0


def _interrupt_on_signals() -> None:
    """Turn the first signal to stop into KeyboardInterrupt: what follows it is stopping."""

    def interrupt(number: int, frame: object) -> None:
        for each in _STOP_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in _STOP_SIGNALS:
        signal.signal(each, interrupt)


def _up(environment: Mapping[str, str]) -> None:
    port = _read_port(environment.get("TAILRACE_PORT", ""))
    path = Path(environment.get("TAILRACE_DATA_DIR") or _CHECKOUT / ".tailrace").absolute()
    if not (_WEB_ROOT / "index.html").is_file():
        raise StackError(f"the page is not built: {_WEB_ROOT} is missing; run make up")
    with ExitStack() as stack:
        folder = stack.enter_context(hold(path, f"process {os.getpid()}, port {port}"))
        given_url = os.environ.get("TAILRACE_PUBLIC_URL")
        settings = _read_settings(folder, port)
        listeners = stack.enter_context(_listening(port))
        # Children die with the thread that started them, so the threads stay to the end.
        executor = stack.enter_context(ThreadPoolExecutor(max_workers=4))
        settings, origin = _start_servers(settings, folder, executor, stack, environment)
        address = f"http://localhost:{listeners[0].getsockname()[1]}"
        if not given_url:
            settings = settings.model_copy(update={"public_url": address})
        _serve(settings, listeners, lambda: _announce(address, settings, origin, path))


def _read_port(text: str) -> int:
    if not text:
        return _PORT
    # 0 takes any free port.
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65_535:
        shape = "a number" if re.fullmatch(r"-?[0-9]+", text) else f"text of {len(text)} characters"
        raise StackError(f"TAILRACE_PORT: must be a whole number from 0 to 65535 (got {shape})")
    return int(text)


def _read_settings(folder: DataFolder, port: int) -> Settings:
    """Check the settings before anything is started."""
    defaults = _TO_COME | {
        "TAILRACE_SECRET_KEY": folder.secret_key,
        # The address is http, where browsers keep no Secure cookie.
        "TAILRACE_SECURE_COOKIES": "false",
        "TAILRACE_PUBLIC_URL": f"http://localhost:{port}",
        "TAILRACE_MAIL_URL": (folder.path / "outbox").as_uri(),
        "TAILRACE_ATTACHMENTS_URL": (folder.path / "attachments").as_uri(),
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    settings = Settings.load()
    # Refuses a provider that cannot be.
    _ = Services(settings).providers
    return settings


@contextmanager
def _listening(port: int) -> Iterator[list[socket.socket]]:
    """Take the port on both loopback addresses, since a browser tries either for localhost."""
    with ExitStack() as stack:
        listeners: list[socket.socket] = []
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            try:
                listener = stack.enter_context(socket.create_server((host, port), family=family))
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    why = "is in use" if error.errno == errno.EADDRINUSE else "is not permitted"
                    raise StackError(
                        f"port {port} {why}; choose another: TAILRACE_PORT=8788 make up"
                    ) from None
                if listeners:
                    break  # A machine without IPv6.
                raise StackError(f"cannot listen on {host}: {error.strerror}") from None
            listeners.append(listener)
            port = listener.getsockname()[1]
        yield listeners


def _start_servers(
    settings: Settings,
    folder: DataFolder,
    executor: ThreadPoolExecutor,
    stack: ExitStack,
    environment: Mapping[str, str],
) -> tuple[Settings, str]:
    """Start what the settings do not name; return them completed, and the model's origin."""
    found = None if settings.providers else model.find(environment)
    postgres = Postgres(folder.path / "postgres")
    valkey = Valkey(folder.path / "valkey")
    local = model.LocalModel(folder.path / "model")
    steps: dict[str, Callable[[], None]] = {}
    if _is_to_come(settings.database_url):
        stack.callback(postgres.stop)
        steps["PostgreSQL"] = lambda: _start_postgres(postgres)
    else:
        steps["the schema"] = lambda: _migrate(settings.database_url.get_secret_value())
    if _is_to_come(settings.redis_url):
        stack.callback(valkey.stop)
        steps["Valkey"] = valkey.start
    if not settings.providers and found is None:
        stack.callback(local.stop)
        steps["the local model"] = local.start
    steps["Tailrace"] = _import_application
    run_together(executor, steps)
    changes: dict[str, object] = {}
    if "PostgreSQL" in steps:
        changes["database_url"] = SecretStr(postgres.url(_DATABASE))
    if "Valkey" in steps:
        changes["redis_url"] = SecretStr(valkey.url)
    origin = "TAILRACE_PROVIDERS"
    if not settings.providers:
        found = found or local.found()
        origin = found.origin
        changes["providers"] = found.providers
        changes["default_model"] = settings.default_model or found.default
    return settings.model_copy(update=changes), origin


def _is_to_come(url: SecretStr) -> bool:
    return url.get_secret_value() in _TO_COME.values()


def _import_application() -> None:
    """Load the application while the servers start; its frameworks take a second."""
    importlib.import_module("tailrace.server.serving")


def _serve(
    settings: Settings, listeners: list[socket.socket], announce: Callable[[], None]
) -> None:
    from tailrace.server.serving import serve_until

    serve_until(_STOP_SIGNALS, settings, _WEB_ROOT, listeners, announce)


def _start_postgres(postgres: Postgres) -> None:
    postgres.start()
    postgres.create_database(_DATABASE)
    _migrate(postgres.url(_DATABASE))


def _migrate(url: str) -> None:
    try:
        asyncio.run(migrate(url))
    except psycopg.OperationalError as error:
        raise StackError(f"the database cannot be used: {str(error).splitlines()[0]}") from None


def _announce(address: str, settings: Settings, origin: str, path: Path) -> None:
    chosen = settings.default_model or ", ".join(each.name for each in settings.providers)
    print(
        f"Tailrace is up: {address}\n"
        f"  model  {chosen} ({origin})\n"
        f"  data   {path}\n"
        "Ctrl-C stops it.",
        flush=True,
    )
