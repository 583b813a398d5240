"""Conversations and their messages, as rows of PostgreSQL."""
