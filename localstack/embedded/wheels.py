"""Where the files of a wheel lie, found without running the wheel's own code.

Called by `postgres`, `valkey` and `model`: importing these packages would write lock files, load
clients that are not needed, or ask for dependencies that are deliberately left out.
"""

from importlib.util import find_spec
from pathlib import Path

from localstack.embedded.process import StackError


def wheel_file(package: str, pattern: str) -> Path:
    """Return the one file of an installed package that matches a glob pattern.

    Raises
    ------
    StackError
        When the package or the file is missing: the wheel is for another platform, or the
        environment is incomplete.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise StackError(f"the Python package {package} is not installed; run make up again")
    found = sorted(Path(spec.submodule_search_locations[0]).glob(pattern))
    if not found:
        raise StackError(f"the Python package {package} holds no {pattern} for this platform")
    return found[0]
