"""A store in a folder of this machine: for the embedded stack, and a server with a disk."""

import asyncio
import os
from pathlib import Path
from urllib.parse import SplitResult, unquote
from uuid import UUID

from tailrace.attachments.base import Missing, StoreError, Upload
from tailrace.ids import uuid7


class FolderStore:
    """Keeps each file in one of 256 folders.

    Parameters
    ----------
    url
        ``file:///folder``; made when missing, and readable by its owner alone.
    """

    def __init__(self, url: SplitResult) -> None:
        self._folder = Path(unquote(url.path))

    async def put(self, id: UUID, data: bytes, media_type: str) -> None:
        await asyncio.to_thread(self._put, self._path(id), data)

    async def get(self, id: UUID, limit: int) -> bytes:
        return await asyncio.to_thread(self._get, self._path(id), limit)

    async def delete(self, id: UUID) -> None:
        await asyncio.to_thread(self._delete, self._path(id))

    async def presign_upload(
        self, id: UUID, media_type: str, size: int, sha256: bytes
    ) -> Upload | None:
        return None

    async def presign_download(self, id: UUID, media_type: str, disposition: str) -> str | None:
        return None

    def _path(self, id: UUID) -> Path:
        # The end of a UUIDv7 is random.
        return self._folder / id.hex[-2:] / str(id)

    def _put(self, path: Path, data: bytes) -> None:
        # Two may write the same file at once. What a crash leaves of it goes with the file.
        part = path.with_name(f"{path.name}.{uuid7()}.part")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                with part.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise StoreError(f"the folder cannot be written: {error.strerror}") from error

    def _get(self, path: Path, limit: int) -> bytes:
        try:
            with path.open("rb") as file:
                return file.read(limit + 1)
        except FileNotFoundError:
            raise Missing("the folder has no such file") from None
        except OSError as error:
            raise StoreError(f"the folder cannot be read: {error.strerror}") from error

    def _delete(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
            for part in path.parent.glob(f"{path.name}.*.part"):
                part.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"the folder cannot be written: {error.strerror}") from error
