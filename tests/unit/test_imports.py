"""Imports point one way: functions → http → core → drivers; and the chat function's are few."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = ROOT / "layers/core/python"

# What stands at the bottom: adapters to what is outside, and what they stand on themselves.
DRIVERS = ("db", "mail", "providers", "queue", "secret_store", "valkey")
GROUND = ("alerts.rules", "alerts.targets", "ids", "limits.rate", "problems", "settings")

# Each takes long to import, and every cold start of a chat would pay for it.
HEAVY = ("anthropic", "boto3", "botocore", "fastapi", "google", "httpx", "openai", "pwdlib")


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module imports when it runs, wherever it does."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from imports_of(node)


def imports_in(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield a file and a name it imports, for every file below a folder."""
    for path in sorted(folder.rglob("*.py")):
        for name in imports_of(ast.parse(path.read_text())):
            yield str(path.relative_to(ROOT)), name


def is_in(name: str, *packages: str) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def test_what_is_below_knows_nothing_of_what_is_above() -> None:
    http = str((CORE / "tailrace/http").relative_to(ROOT))
    server = str((CORE / "tailrace/server").relative_to(ROOT))
    assert not [
        (file, name)
        for file, name in imports_in(ROOT / "layers")
        if is_in(name, "functions", "handler", "localstack", "tests")
        or (is_in(name, "tailrace.http") and not file.startswith((http, server)))
    ]


def test_drivers_stand_on_each_other_and_the_ground_alone() -> None:
    allowed = [f"tailrace.{name}" for name in (*DRIVERS, *GROUND)]
    assert not [
        (file, name)
        for driver in DRIVERS
        for file, name in imports_in(CORE / "tailrace")
        if is_in(
            file.removesuffix(".py").replace("/", "."), f"layers.core.python.tailrace.{driver}"
        )
        and is_in(name, "tailrace")
        and not is_in(name, *allowed)
    ]


def test_functions_know_the_layers_alone() -> None:
    assert not [
        (file, name)
        for file, name in imports_in(ROOT / "functions")
        if is_in(name, "functions", "handler", "localstack", "tests")
    ]


def test_a_chat_imports_little() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, tailrace.http.chat;"
            f"print(*({set(HEAVY)} & {{name.partition('.')[0] for name in sys.modules}}))",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == []
