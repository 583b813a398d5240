"""Archives in a folder of this machine."""

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, unquote

from tailrace.ids import uuid7
from tailrace.maintenance.archive.base import ArchiveError


class FolderShelf:
    """Keeps each archive as a file.

    Parameters
    ----------
    url
        ``file:///folder``; made when missing, and readable by its owner alone.
    """

    def __init__(self, url: SplitResult) -> None:
        self._folder = Path(unquote(url.path))
        self.location = self._folder.as_uri()

    def write(self, name: str) -> "_FolderDraft":
        path = self._folder / name
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            # Drafts of whoever died while writing this one.
            for left in path.parent.glob(f"{path.name}.*.part"):
                left.unlink(missing_ok=True)
            part = path.with_name(f"{path.name}.{uuid7()}.part")
            return _FolderDraft(part.open("xb"), part, path)
        except OSError as error:
            raise _failure(error) from error

    def size(self, name: str) -> int:
        try:
            return (self._folder / name).stat().st_size
        except OSError as error:
            raise _failure(error) from error

    def read(self, name: str, start: int, size: int) -> bytes:
        try:
            with (self._folder / name).open("rb") as file:
                file.seek(start)
                return file.read(size)
        except OSError as error:
            raise _failure(error) from error


class _FolderDraft:
    def __init__(self, file: BinaryIO, part: Path, path: Path) -> None:
        self._file = file
        self._part = part
        self._path = path

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise _failure(error) from error

    def keep(self) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self._path)
            # The name is safe only once its folder is.
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise _failure(error) from error

    def discard(self) -> None:
        with suppress(OSError):
            self._file.close()
            self._part.unlink(missing_ok=True)


def _failure(error: OSError) -> ArchiveError:
    return ArchiveError(f"the folder for archives: {error.strerror}")
