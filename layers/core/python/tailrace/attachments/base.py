"""What a store of files must do: keep bytes under an id, and give them back."""

from typing import NamedTuple, Protocol
from uuid import UUID


class StoreError(Exception):
    """The store did not do it, and may later; the text holds no secret."""


class Missing(StoreError):
    """The store has no such file."""


class Upload(NamedTuple):
    """A request with which anybody may write one file, and that alone.

    Attributes
    ----------
    headers
        To be sent as they are.
    """

    method: str
    url: str
    headers: dict[str, str]


class Store(Protocol):
    """Keeps files by their id; what it is asked to keep under an id is always the same."""

    async def put(self, id: UUID, data: bytes, media_type: str) -> None:
        """Keep a file, whole or not at all.

        Raises
        ------
        StoreError
            When it is not kept.
        """
        ...

    async def get(self, id: UUID, limit: int) -> bytes:
        """Return a file; of one that has more than `limit` bytes, one byte more than that.

        Raises
        ------
        Missing
            When there is none.
        StoreError
            When the store cannot tell.
        """
        ...

    async def delete(self, id: UUID) -> None:
        """Delete a file; one that is not there is no error.

        Raises
        ------
        StoreError
            When it may still be there.
        """
        ...

    async def presign_upload(
        self, id: UUID, media_type: str, size: int, sha256: bytes
    ) -> Upload | None:
        """Return a request that writes exactly these bytes; ``None`` where we take them ourselves.

        Raises
        ------
        StoreError
            When none can be made.
        """
        ...

    async def presign_download(self, id: UUID, media_type: str, disposition: str) -> str | None:
        """Return an address at which a browser gets the file, for some minutes.

        Parameters
        ----------
        media_type, disposition
            What the browser is told of it: ``Content-Type`` and ``Content-Disposition``.

        Returns
        -------
        str or None
            ``None`` where we send it ourselves.

        Raises
        ------
        StoreError
            When none can be made.
        """
        ...
