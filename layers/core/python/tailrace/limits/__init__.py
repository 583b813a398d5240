"""Limits: how often, and how much, before somebody has to wait."""
