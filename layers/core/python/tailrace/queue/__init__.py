"""Queues that carry inference events from capture to ingestion."""
