"""The built page into its bucket, so that nobody ever gets half of a new one."""

import mimetypes
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# Where template.yaml has API Gateway find the policy, which a template cannot quote.
_POLICY = "content-security-policy"

# The build puts a hash of the content into the names under assets/.
_HASHED = "assets/"
_FOREVER = "public, max-age=31536000, immutable"
_ASK_EACH_TIME = "no-cache"

# Who has had the page open for so long is asked to reload by a missing file.
_KEPT = timedelta(days=30)

# Not what a machine's own tables say of them.
_TYPES = {".js": "text/javascript", ".svg": "image/svg+xml", ".woff2": "font/woff2"}


def upload(s3: Any, bucket: str, folder: Path, policy: str) -> int:
    """Upload a built page and return how many files it has.

    What `index.html` names is there before it is; what an earlier page named stays for a month.

    Parameters
    ----------
    policy
        The page's content security policy.
    """
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for name in sorted(names, key=lambda name: (name == "index.html", name)):
        suffix = Path(name).suffix
        s3.upload_file(
            str(folder / name),
            bucket,
            name,
            ExtraArgs={
                "CacheControl": _FOREVER if name.startswith(_HASHED) else _ASK_EACH_TIME,
                "ContentType": _TYPES.get(suffix)
                or mimetypes.guess_type(name)[0]
                or "application/octet-stream",
                "Metadata": {_POLICY: policy},
            },
        )
    old = datetime.now(UTC) - _KEPT
    _delete(
        s3,
        bucket,
        (
            each["Key"]
            for each in _objects(s3, bucket, _HASHED)
            if each["Key"] not in names and each["LastModified"] < old
        ),
    )
    return len(names)


def empty(s3: Any, bucket: str) -> None:
    """Delete everything in a bucket, which CloudFormation cannot delete otherwise."""
    _delete(s3, bucket, (each["Key"] for each in _objects(s3, bucket, "")))


def _objects(s3: Any, bucket: str, prefix: str) -> Iterable[dict[str, Any]]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Contents", [])


def _delete(s3: Any, bucket: str, keys: Iterable[str]) -> None:
    for key in list(keys):
        s3.delete_object(Bucket=bucket, Key=key)
