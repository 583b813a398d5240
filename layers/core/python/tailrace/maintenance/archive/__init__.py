"""Archives: a partition of the inference log as one Parquet file, before it is dropped.

`create` chooses where to by the setting ``TAILRACE_ARCHIVE_URL``. Called by
`tailrace.maintenance.retention`. Needs the extra ``archive``, which no other function has.
"""

from urllib.parse import urlsplit

from tailrace.maintenance.archive.base import ArchiveError, Shelf
from tailrace.settings import Settings

__all__ = ["ArchiveError", "Shelf", "create"]


def create(settings: Settings) -> Shelf | None:
    """Return where archives are kept by the settings, ``None`` when these name no place.

    Each kind is imported only where it is the one in use.
    """
    if settings.archive_url is None:
        return None
    url = urlsplit(settings.archive_url)
    if url.scheme == "file":
        from tailrace.maintenance.archive.folder import FolderShelf

        return FolderShelf(url)
    from tailrace.maintenance.archive.s3 import S3Shelf

    return S3Shelf(url, settings.archive_endpoint_url)
