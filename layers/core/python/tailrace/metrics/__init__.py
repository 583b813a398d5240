"""Numbers: what was called, how fast, how often wrong, for how much.

Called by the routes of `/api/metrics`, which decide whose calls may be seen. Sums and percentiles
come from the rollups, which PostgreSQL keeps in the transactions that write the log; single calls
come from the log. Nothing is written here but by `rebuild`, and every call counts by when it
started.
"""
