"""Files that people attach to messages: rows in PostgreSQL, bytes in a store.

`create_store` chooses the store by the setting ``TAILRACE_ATTACHMENTS_URL``; without it files stay
inside the messages, as ``data:`` URLs. `library` is what the rest of Tailrace calls.
"""

from urllib.parse import urlsplit

from tailrace.attachments.base import Store
from tailrace.settings import Settings

__all__ = ["create_store"]


def create_store(settings: Settings) -> Store | None:
    """Return the store of the settings, ``None`` when these name none.

    Each kind is imported only where it is the one in use.
    """
    if settings.attachments_url is None:
        return None
    url = urlsplit(settings.attachments_url)
    if url.scheme == "file":
        from tailrace.attachments.folder import FolderStore

        return FolderStore(url)
    from tailrace.attachments.s3 import S3Store

    return S3Store(url, settings.attachments_endpoint_url)
