"""A bucket of Amazon S3, or of anything that speaks its API.

Under `tailrace.attachments.s3` and `tailrace.maintenance.archive.s3`, which keep different things
in different ways. `Bucket.call` waits for the server: it belongs in a thread.
"""

import threading
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote

_T = TypeVar("_T")


class BucketError(Exception):
    """S3 refused, or did not answer; the text holds no secret.

    Attributes
    ----------
    is_missing
        There is no such object.
    """

    def __init__(self, text: str, *, is_missing: bool = False) -> None:
        super().__init__(text)
        self.is_missing = is_missing


class Bucket:
    """A bucket, or what stands in it under a prefix.

    Parameters
    ----------
    url
        ``s3://bucket`` or ``s3://bucket/prefix``. Region and credentials are the process's own.
    endpoint_url
        Where the API is, if not at Amazon's.
    read_timeout
        Seconds to wait for an answer.
    attempts
        How often a request is sent at the most.
    """

    def __init__(
        self, url: SplitResult, endpoint_url: str | None, *, read_timeout: int, attempts: int
    ) -> None:
        self._name = url.netloc
        self._prefix = unquote(url.path).strip("/")
        self._endpoint_url = endpoint_url
        self._read_timeout = read_timeout
        self._attempts = attempts
        self._made: Any = None
        self._making = threading.Lock()

    @property
    def location(self) -> str:
        """The address of the bucket, or of the prefix."""
        return f"s3://{self._name}/{self._prefix}".rstrip("/")

    def place(self, name: str) -> dict[str, str]:
        """Return ``Bucket`` and ``Key`` of an object."""
        key = f"{self._prefix}/{name}" if self._prefix else name
        return {"Bucket": self._name, "Key": key}

    def call(self, act: Callable[[Any], _T]) -> _T:
        """Do something with boto3's client of S3, and return what it returns.

        Raises
        ------
        BucketError
            When that fails.
        """
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        try:
            return act(self._client())
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            raise BucketError(
                f"S3 answered {code}", is_missing=code in ("NoSuchKey", "404")
            ) from error
        except (BotoCoreError, HTTPClientError, OSError) as error:
            raise BucketError(f"S3: {type(error).__name__}") from error

    def _client(self) -> Any:
        # Making one is not safe in two threads at once, and takes long enough to be worth waiting.
        with self._making:
            if self._made is None:
                import boto3
                from botocore.config import Config

                config = Config(
                    connect_timeout=5,
                    read_timeout=self._read_timeout,
                    retries={"total_max_attempts": self._attempts},
                    signature_version="s3v4",
                    max_pool_connections=16,
                    # Few servers but Amazon's have a name for each bucket.
                    s3={"addressing_style": "path" if self._endpoint_url else "virtual"},
                    # Newer checksums are not every server's, and a signed request covers its own.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                )
                self._made = boto3.Session().client(
                    "s3", endpoint_url=self._endpoint_url, config=config
                )
            return self._made
