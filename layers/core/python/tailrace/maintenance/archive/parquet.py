"""The inference log as Parquet: written row group by row group, and read back.

Needs PyArrow, which takes long to import and much room: only what archives imports this module.
"""

import hashlib
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tailrace.maintenance.archive.base import ArchiveError, Draft, Shelf

#: Rows of a row group, which is what memory holds at a time.
ROWS = 10_000

_TEXT = pa.string()
_TIME = pa.timestamp("us", tz="UTC")
_COUNT = pa.int64()
_SECONDS = pa.float64()
_FLAG = pa.bool_()

# By column: how it is stored.
_NUMBERS: dict[str, pa.DataType] = {
    "id": _TEXT,
    "started_at": _TIME,
    "ingested_at": _TIME,
    "kind": _TEXT,
    "status": _TEXT,
    "operation_name": _TEXT,
    "provider_name": _TEXT,
    "request_model": _TEXT,
    "response_model": _TEXT,
    "response_id": _TEXT,
    "finish_reasons": pa.list_(_TEXT),
    "error_type": _TEXT,
    "duration": _SECONDS,
    "time_to_first_chunk": _SECONDS,
    "time_per_output_chunk": _SECONDS,
    "input_tokens": _COUNT,
    "cache_read_input_tokens": _COUNT,
    "cache_write_input_tokens": _COUNT,
    "output_tokens": _COUNT,
    "reasoning_output_tokens": _COUNT,
    "usage_estimated": _FLAG,
    "cost_usd": pa.decimal128(20, 12),
    "unpriced": _FLAG,
    "price_version": _TEXT,
    "attempts": pa.int32(),
    "fallback_from": _TEXT,
    "cold_start": _FLAG,
}
# What tells of a person; deleting an account takes it from the log, and could not from an archive.
_PERSONAL: dict[str, pa.DataType] = {
    "owner_id": _TEXT,
    "conversation_id": _TEXT,
    "request_id": _TEXT,
    "error_message": _TEXT,
    "input_preview": _TEXT,
    "output_preview": _TEXT,
    "metadata": _TEXT,
}
_AS_TEXT = ("id", "owner_id", "conversation_id", "metadata")


class Written(NamedTuple):
    """What a file holds."""

    row_count: int
    byte_count: int
    sha256: bytes


class Table:
    """The columns of an archive.

    Parameters
    ----------
    is_personal
        Whether they include what tells of a person.
    """

    def __init__(self, is_personal: bool) -> None:
        types = _NUMBERS | _PERSONAL if is_personal else _NUMBERS
        self.schema = pa.schema(list(types.items()))

    @property
    def columns(self) -> list[tuple[str, bool]]:
        """The columns to select, and whether each is to be selected as text."""
        return [(name, name in _AS_TEXT) for name in self.schema.names]


class Writer:
    """Writes rows to a draft."""

    def __init__(self, draft: Draft, table: Table) -> None:
        self._file = _Hashed(draft)
        self._schema = table.schema
        self._rows = 0
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._file, mode="w"),
            table.schema,
            compression="zstd",
            write_page_checksum=True,
        )

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows as one group, their columns in the order of the table."""
        arrays = [
            pa.array(values, field.type)
            for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._rows += len(rows)

    def finish(self) -> Written:
        """Write the end of the file; the draft is to be kept then."""
        self._writer.close()
        return Written(self._rows, self._file.size, self._file.hash.digest())


def verify(shelf: Shelf, name: str, written: Written) -> None:
    """Read a file back, all of it, and raise unless it holds what was written.

    Raises
    ------
    ArchiveError
        When it does not, or cannot be read.
    """
    size = shelf.size(name)
    if size != written.byte_count:
        raise ArchiveError(f"{size} bytes are there, where {written.byte_count} were written")
    rows = 0
    try:
        file = pq.ParquetFile(
            pa.PythonFile(_Parts(shelf, name, size), mode="r"), page_checksum_verification=True
        )
        for group in range(file.num_row_groups):
            rows += file.read_row_group(group, use_threads=False).num_rows
    except (pa.ArrowException, OSError) as error:
        raise ArchiveError(f"what was written cannot be read: {type(error).__name__}") from error
    if rows != written.row_count:
        raise ArchiveError(f"{rows} rows are there, where {written.row_count} were written")


class _Hashed:
    """A draft as a file, whose bytes are counted and hashed as they pass."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self.size = 0
        self.hash = hashlib.sha256()
        self.closed = False

    def write(self, data: bytes) -> int:
        data = bytes(data)
        self._draft.write(data)
        self.hash.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        pass

    def tell(self) -> int:
        return self.size

    def close(self) -> None:
        # Whoever drops the writer closes the file; whether it is kept is decided elsewhere.
        self.closed = True


class _Parts(io.RawIOBase):
    """A file on a shelf, read part by part."""

    def __init__(self, shelf: Shelf, name: str, size: int) -> None:
        self._shelf = shelf
        self._name = name
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = origin + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = max(self._size - self._position, 0)
        size = left if size is None or size < 0 else min(size, left)
        if not size:
            return b""
        data = self._shelf.read(self._name, self._position, size)
        self._position += len(data)
        return data
