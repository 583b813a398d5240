"""Runs: one generation of one assistant message, from start to its last byte."""
