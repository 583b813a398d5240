"""Archives in a bucket of Amazon S3, or of anything that speaks its API.

A file is sent in parts while it is written and appears when the last one is there, so that neither
memory nor a disk has to hold it.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import SplitResult

from tailrace.bucket import Bucket, BucketError
from tailrace.maintenance.archive.base import ArchiveError

_T = TypeVar("_T")

# Bytes; S3 takes parts of 5 MiB to 5 GiB, 10,000 of a file.
_PART = 8 << 20


class S3Shelf:
    """Keeps each archive as an object.

    Parameters
    ----------
    url, endpoint_url
        As `tailrace.bucket.Bucket` takes them.
    """

    def __init__(self, url: SplitResult, endpoint_url: str | None) -> None:
        # Parts are large, and what archives has time.
        self._bucket = Bucket(url, endpoint_url, read_timeout=60, attempts=4)
        self.location = self._bucket.location

    def write(self, name: str) -> "_S3Draft":
        place = self._bucket.place(name)
        self._abort_left(place)
        begun = self.call(lambda client: client.create_multipart_upload(**place))
        return _S3Draft(self, place | {"UploadId": begun["UploadId"]})

    def size(self, name: str) -> int:
        head = self.call(lambda client: client.head_object(**self._bucket.place(name)))
        return head["ContentLength"]

    def read(self, name: str, start: int, size: int) -> bytes:
        span = f"bytes={start}-{start + size - 1}"

        def get(client: Any) -> bytes:
            with client.get_object(**self._bucket.place(name), Range=span)["Body"] as body:
                return body.read()

        return self.call(get)

    def call(self, act: Callable[[Any], _T]) -> _T:
        """Do something with the client of S3, and raise `ArchiveError` when that fails."""
        try:
            return self._bucket.call(act)
        except BucketError as error:
            raise ArchiveError(str(error)) from error

    def _abort_left(self, place: dict[str, str]) -> None:
        """End what somebody began and died over: its parts would be paid for."""
        listed = self.call(
            lambda client: client.list_multipart_uploads(
                Bucket=place["Bucket"], Prefix=place["Key"]
            )
        )
        for upload in listed.get("Uploads", []):
            ended = place | {"UploadId": upload["UploadId"]}
            self.call(lambda client, ended=ended: client.abort_multipart_upload(**ended))


class _S3Draft:
    def __init__(self, shelf: S3Shelf, upload: dict[str, str]) -> None:
        self._shelf = shelf
        self._upload = upload
        self._waiting = bytearray()
        self._parts: list[dict[str, Any]] = []

    def write(self, data: bytes) -> None:
        self._waiting += data
        while len(self._waiting) >= _PART:
            self._send(_PART)

    def keep(self) -> None:
        # Every part but the last has the same size, as some servers ask for.
        if self._waiting or not self._parts:
            self._send(len(self._waiting))
        self._shelf.call(
            lambda client: client.complete_multipart_upload(
                **self._upload, MultipartUpload={"Parts": self._parts}
            )
        )

    def discard(self) -> None:
        with suppress(ArchiveError):
            self._shelf.call(lambda client: client.abort_multipart_upload(**self._upload))

    def _send(self, size: int) -> None:
        number = len(self._parts) + 1
        body = bytes(self._waiting[:size])
        sent = self._shelf.call(
            lambda client: client.upload_part(**self._upload, PartNumber=number, Body=body)
        )
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        del self._waiting[:size]
