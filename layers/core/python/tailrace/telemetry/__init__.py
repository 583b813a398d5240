"""Telemetry: one inference event of every model call, from capture to its row."""
