"""The stack behind ``make up``: PostgreSQL, Valkey, a local model and Tailrace, all from wheels."""
