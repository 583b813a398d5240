"""The data folder of the embedded stack: made private, held by one process at a time.

Called by `up`. Its lock is the kernel's, so it ends with the process that held it, however that
ended.
"""

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from localstack.embedded.process import StackError, read_or_create_secret


class DataFolder:
    """An open data folder.

    Attributes
    ----------
    path
        Where it is; the servers keep their data in folders below it.
    secret_key
        What cookies are signed with: made at the first start and kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.secret_key = read_or_create_secret(path / "secret.key", secrets.token_urlsafe(48))


@contextmanager
def hold(path: Path, holder: str) -> Iterator[DataFolder]:
    """Open the folder for this process alone, making it when it is missing.

    Parameters
    ----------
    path
        The folder.
    holder
        What another process is told that finds it held, such as ``process 42``.

    Raises
    ------
    StackError
        When it cannot be written, or another process holds it.
    """
    with ExitStack() as stack:
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = stack.enter_context((path / "lock").open("a+"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise StackError(
                    f"Tailrace is running on {path} already: {lock.read().strip()}"
                ) from None
            lock.truncate(0)
            lock.write(f"{holder}\n")
            lock.flush()
            folder = DataFolder(path)
        except OSError as error:
            raise StackError(f"the data folder {path} cannot be used: {error.strerror}") from None
        yield folder
