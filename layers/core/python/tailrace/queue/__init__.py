"""Queues that carry inference events from capture to ingestion.

`create` chooses by the setting ``TAILRACE_QUEUE_URL``. A further queue is a module with a function
``create`` beside those here, and a line in `KINDS`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tailrace.queue.base import Queue
    from tailrace.services import Services

__all__ = ["KINDS", "create"]

#: The module of each URL scheme, imported only where it is the one in use.
KINDS = {
    "redis": "tailrace.queue.redis_streams",
    "rediss": "tailrace.queue.redis_streams",
    "https": "tailrace.queue.sqs",
    # As emulators of AWS serve it.
    "http": "tailrace.queue.sqs",
}


def create(services: "Services") -> "Queue":
    """Return the queue of the settings: the stream in Valkey when these name none."""
    url = services.settings.queue_url
    scheme = url.get_secret_value().partition(":")[0] if url else "redis"
    return import_module(KINDS[scheme]).create(services, url)
