"""What a place for archives must do; the modules beside this one do it, each for another.

Everything here waits for disks and servers: call it in a thread.
"""

from typing import Protocol


class ArchiveError(Exception):
    """The archive was not written or could not be read back; the text holds no secret."""


class Draft(Protocol):
    """A file being written, which is nowhere to be seen until it is kept."""

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises
        ------
        ArchiveError
            When they cannot be written.
        """
        ...

    def keep(self) -> None:
        """Put the file in its place, over an earlier one of this name.

        Raises
        ------
        ArchiveError
            When it is not there.
        """
        ...

    def discard(self) -> None:
        """Forget what was written; never raises."""
        ...


class Shelf(Protocol):
    """A place for archives; names are paths of letters, digits and ``/=-._``."""

    #: Where archives go, without credentials.
    location: str

    def write(self, name: str) -> Draft:
        """Begin a file.

        Raises
        ------
        ArchiveError
            When nothing can be written.
        """
        ...

    def size(self, name: str) -> int:
        """Return the bytes that a file has.

        Raises
        ------
        ArchiveError
            When there is none, or it cannot be read.
        """
        ...

    def read(self, name: str, start: int, size: int) -> bytes:
        """Return a part of a file.

        Raises
        ------
        ArchiveError
            When it cannot be read.
        """
        ...
