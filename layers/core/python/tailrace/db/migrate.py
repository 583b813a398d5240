"""Schema migrations: numbered SQL files applied in order, each in a transaction of its own.

Called by `functions/migrate`, by ``make up`` and by ``python -m tailrace migrate``. Two runners
at once are safe: an advisory lock lets one work and the other find nothing left to do.
"""

import hashlib
import re
from importlib.resources import files

from psycopg import AsyncConnection

# Any constant does, as long as nothing else in the database takes the same lock.
_LOCK = 0x7461_696C_7261_6365

_FILE = re.compile(r"^(\d{4})_\w+\.sql$")


class MigrationError(Exception):
    """The database holds a migration that this version of Tailrace does not know as it is."""


async def migrate(database_url: str) -> list[str]:
    """Apply the migrations that are missing.

    Parameters
    ----------
    database_url
        Connection string of a role that may create tables.

    Returns
    -------
    list of str
        File names applied now, in order; empty when the schema was current.

    Raises
    ------
    MigrationError
        When an applied file was changed since, or is unknown here.
    psycopg.OperationalError
        When the database cannot be reached.
    """
    available = _available()
    async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            " name text PRIMARY KEY,"
            " checksum text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        cursor = await connection.execute("SELECT name, checksum FROM schema_migrations")
        applied = dict(await cursor.fetchall())
        for name, checksum in applied.items():
            if name not in available:
                raise MigrationError(f"{name} was applied by a newer version of Tailrace")
            if _checksum(available[name]) != checksum:
                raise MigrationError(f"{name} was changed after it had been applied")
        missing = [name for name in available if name not in applied]
        for name in missing:
            async with connection.transaction():
                await connection.execute(available[name].encode())
                await connection.execute(
                    "INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)",
                    (name, _checksum(available[name])),
                )
        return missing


def _available() -> dict[str, str]:
    folder = files("tailrace.db").joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if _FILE.match(entry.name))
    return {name: folder.joinpath(name).read_text("utf-8") for name in names}


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
