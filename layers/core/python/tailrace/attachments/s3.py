"""A store in a bucket of Amazon S3, or of anything that speaks its API.

Browsers write and read the bucket themselves, with requests signed here: the signature covers type,
length and SHA-256 of what is written.
"""

import asyncio
import threading
from base64 import b64encode
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote
from uuid import UUID

from tailrace.attachments.base import Missing, StoreError, Upload

_T = TypeVar("_T")

# Seconds for which a signed request can be used.
_UPLOAD_TTL = 900
_DOWNLOAD_TTL = 300


class S3Store:
    """Keeps each file as one object.

    Parameters
    ----------
    url
        ``s3://bucket`` or ``s3://bucket/prefix``. Region and credentials are the process's own.
    endpoint_url
        Where the API is, if not at Amazon's.
    """

    def __init__(self, url: SplitResult, endpoint_url: str | None) -> None:
        self._bucket = url.netloc
        self._prefix = unquote(url.path).strip("/")
        self._endpoint_url = endpoint_url
        self._made: Any = None
        self._making = threading.Lock()

    async def put(self, id: UUID, data: bytes, media_type: str) -> None:
        await self._call(
            lambda client: client.put_object(
                **self._place(id), Body=data, ContentType=media_type, ContentLength=len(data)
            )
        )

    async def get(self, id: UUID, limit: int) -> bytes:
        def read(client: Any) -> bytes:
            with client.get_object(**self._place(id))["Body"] as body:
                return body.read(limit + 1)

        return await self._call(read)

    async def delete(self, id: UUID) -> None:
        await self._call(lambda client: client.delete_object(**self._place(id)))

    async def presign_upload(
        self, id: UUID, media_type: str, size: int, sha256: bytes
    ) -> Upload | None:
        checksum = b64encode(sha256).decode()
        url = await self._call(
            lambda client: client.generate_presigned_url(
                "put_object",
                Params={
                    **self._place(id),
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
                    **self._place(id),
                    "ResponseContentType": media_type,
                    "ResponseContentDisposition": disposition,
                },
                ExpiresIn=_DOWNLOAD_TTL,
            )
        )

    def _place(self, id: UUID) -> dict[str, str]:
        key = f"{self._prefix}/{id}" if self._prefix else str(id)
        return {"Bucket": self._bucket, "Key": key}

    async def _call(self, act: Callable[[Any], _T]) -> _T:
        return await asyncio.to_thread(self._do, act)

    def _do(self, act: Callable[[Any], _T]) -> _T:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        try:
            return act(self._client())
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in ("NoSuchKey", "404"):
                raise Missing("the bucket has no such file") from None
            raise StoreError(f"S3 answered {code}") from error
        except (BotoCoreError, HTTPClientError, OSError) as error:
            raise StoreError(f"S3: {type(error).__name__}") from error

    def _client(self) -> Any:
        # Making one is not safe in two threads at once, and takes long enough to be worth waiting.
        with self._making:
            if self._made is None:
                import boto3
                from botocore.config import Config

                config = Config(
                    connect_timeout=5,
                    read_timeout=20,
                    retries={"total_max_attempts": 3},
                    signature_version="s3v4",
                    max_pool_connections=16,
                    # Few servers but Amazon's have a name for each bucket.
                    s3={"addressing_style": "path" if self._endpoint_url else "virtual"},
                    # What a signed request covers is decided here alone.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                )
                self._made = boto3.Session().client(
                    "s3", endpoint_url=self._endpoint_url, config=config
                )
            return self._made
