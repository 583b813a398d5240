"""The api application: everything that is not a stream. Served by `functions/api`."""

from tailrace.http.api.main import create_app

__all__ = ["create_app"]
