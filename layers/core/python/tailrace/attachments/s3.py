"""A store in a bucket of Amazon S3, or of anything that speaks its API.

Browsers write and read the bucket themselves, with requests signed here: the signature covers type,
length and SHA-256 of what is written.
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import SplitResult
from uuid import UUID

from tailrace.attachments.base import Missing, StoreError, Upload
from tailrace.bucket import Bucket, BucketError

_T = TypeVar("_T")

# Seconds for which a signed request can be used.
_UPLOAD_TTL = 900
_DOWNLOAD_TTL = 300


class S3Store:
    """Keeps each file as one object.

    Parameters
    ----------
    url, endpoint_url
        As `tailrace.bucket.Bucket` takes them.
    """

    def __init__(self, url: SplitResult, endpoint_url: str | None) -> None:
        self._bucket = Bucket(url, endpoint_url, read_timeout=20, attempts=3)

    async def put(self, id: UUID, data: bytes, media_type: str) -> None:
        await self._call(
            lambda client: client.put_object(
                **self._bucket.place(str(id)),
                Body=data,
                ContentType=media_type,
                ContentLength=len(data),
            )
        )

    async def get(self, id: UUID, limit: int) -> bytes:
        def read(client: Any) -> bytes:
            with client.get_object(**self._bucket.place(str(id)))["Body"] as body:
                return body.read(limit + 1)

        return await self._call(read)

    async def delete(self, id: UUID) -> None:
        await self._call(lambda client: client.delete_object(**self._bucket.place(str(id))))

    async def presign_upload(
        self, id: UUID, media_type: str, size: int, sha256: bytes
    ) -> Upload | None:
        checksum = b64encode(sha256).decode()
        url = await self._call(
            lambda client: client.generate_presigned_url(
                "put_object",
                Params={
                    **self._bucket.place(str(id)),
                    "ContentType": media_type,
                    "ContentLength": size,
                    "ChecksumSHA256": checksum,
                },
                ExpiresIn=_UPLOAD_TTL,
            )
        )
        # A browser sends the length by itself.
        return Upload("PUT", url, {"content-type": media_type, "x-amz-checksum-sha256": checksum})

    async def presign_download(self, id: UUID, media_type: str, disposition: str) -> str | None:
        return await self._call(
            lambda client: client.generate_presigned_url(
                "get_object",
                Params={
                    **self._bucket.place(str(id)),
                    "ResponseContentType": media_type,
                    "ResponseContentDisposition": disposition,
                },
                ExpiresIn=_DOWNLOAD_TTL,
            )
        )

    async def _call(self, act: Callable[[Any], _T]) -> _T:
        try:
            return await asyncio.to_thread(self._bucket.call, act)
        except BucketError as error:
            if error.is_missing:
                raise Missing("the bucket has no such file") from None
            raise StoreError(str(error)) from error
