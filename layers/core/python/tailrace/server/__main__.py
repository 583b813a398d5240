"""``python -m tailrace.server --page FOLDER``: serve until a signal to stop comes.

What the image runs. The schema is not its business: ``python -m tailrace migrate`` comes first. A
start that cannot be is one line on standard error and exit code 2.
"""

import logging
import signal
import socket
import sys
from pathlib import Path

from tailrace.commands.parser import Parser
from tailrace.server.serving import serve_until
from tailrace.settings import Settings, SettingsError

_PORT = 8787


def main(arguments: list[str] | None = None) -> int:
    """Serve, and return the exit code."""
    parser = Parser(prog="python -m tailrace.server")
    parser.add_argument("--page", type=Path, required=True, help="folder of the built page")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")  # noqa: S104
    parser.add_argument("--port", type=int, default=_PORT, help=f"default: {_PORT}")
    parser.add_argument(
        "--without-schedules",
        action="store_true",
        help="leave ingestion and maintenance to another process, or to a scheduler",
    )
    told = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    # What the pool says of a database that is down, the schedules say in one line.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    if not (told.page / "index.html").is_file():
        return _refuse(f"--page: there is no page in {told.page}")
    try:
        with socket.create_server((told.host, told.port)) as listener:
            address = "http://{}:{}".format(*listener.getsockname())
            serve_until(
                (signal.SIGINT, signal.SIGTERM),
                Settings.load(),
                told.page,
                [listener],
                lambda: print(f"Tailrace listens at {address}", flush=True),
                schedules=not told.without_schedules,
            )
    except SettingsError as error:
        return _refuse(str(error))
    except (OSError, OverflowError) as error:
        return _refuse(f"cannot listen on {told.host}, port {told.port}: {error}")
    return 0


def _refuse(why: str) -> int:
    print(f"tailrace: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
