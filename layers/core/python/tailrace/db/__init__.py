"""PostgreSQL: the pool, the named statements of `sql/`, and the migrations."""
