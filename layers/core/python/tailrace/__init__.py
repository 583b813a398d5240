"""Tailrace: serverless LLM chat with inference observability built in."""
