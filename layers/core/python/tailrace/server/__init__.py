"""Tailrace as one process: page, API and streams at one address, and the schedules beside them.

For places that run containers rather than functions; ``python -m tailrace.server`` starts it, and
the embedded stack uses it too. No function imports it.
"""
