"""Numbers read from the inference log: the overview, and the list of calls.

Called by the routes of `/api/metrics`, which decide whose calls may be seen. Nothing is written
here, and every call counts by when it started.
"""

from tailrace.metrics.calls import calls
from tailrace.metrics.overview import overview

__all__ = ["calls", "overview"]
