"""The embedded servers themselves: data that stays, crashes survived, strangers kept out."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from localstack.embedded.postgres import Postgres
from localstack.embedded.process import StackError
from localstack.embedded.valkey import Valkey


def _write(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url("postgres")) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('here')")


def _read(postgres: Postgres) -> list[tuple[str]]:
    with psycopg.connect(postgres.url("postgres")) as connection:
        return connection.execute("SELECT word FROM kept").fetchall()


class TestPostgres:
    @pytest.mark.parametrize("end", ["stop", "kill"])
    def test_keeps_its_data_and_its_url(self, private_postgres: Postgres, end: str) -> None:
        url = private_postgres.url("postgres")
        _write(private_postgres)
        getattr(private_postgres, end)()
        private_postgres.start()
        assert private_postgres.url("postgres") == url
        assert _read(private_postgres) == [("here",)]

    def test_takes_over_from_one_that_was_left_behind(self, private_postgres: Postgres) -> None:
        _write(private_postgres)
        left = psutil.Process(private_postgres.pid)
        second = Postgres(private_postgres.folder, durable=False)
        second.start()
        try:
            assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE
            assert _read(second) == [("here",)]
        finally:
            second.stop()

    def test_a_lock_file_that_names_a_stranger_is_stale(self, private_postgres: Postgres) -> None:
        _write(private_postgres)
        lock = private_postgres.folder / "data" / "postmaster.pid"
        text = lock.read_text()
        private_postgres.stop()
        lock.write_text(text.replace(text.splitlines()[0], str(os.getpid()), 1))
        private_postgres.start()
        assert _read(private_postgres) == [("here",)]

    def test_a_cluster_half_made_is_made_again(self, tmp_path: Path) -> None:
        half = tmp_path / "postgres" / "data.new"
        half.mkdir(parents=True)
        (half / "PG_VERSION").write_text("18\n")
        server = Postgres(tmp_path / "postgres", durable=False)
        server.start()
        try:
            _write(server)
        finally:
            server.stop()

    def test_nobody_enters_without_the_password(self, private_postgres: Postgres) -> None:
        head, _, tail = private_postgres.url("postgres").partition("@")
        stranger = f"{head.rpartition(':')[0]}:guess@{tail}"
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(stranger)

    def test_the_users_environment_does_not_bend_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {
            "PGDATA": "/nowhere",
            "PGPORT": "1",
            "PGSSLMODE": "require",
            "PGTZ": "America/Lima",
            "LC_ALL": "xx_YY.UTF-8",
            "TZ": "America/Lima",
        }.items():
            monkeypatch.setenv(name, value)
        server = Postgres(tmp_path / "postgres", durable=False)
        server.start()
        try:
            with psycopg.connect(server.url("postgres")) as connection:
                assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
                assert connection.execute("SHOW log_timezone").fetchone() == ("UTC",)
        finally:
            server.stop()

    def test_what_it_says_of_its_end_is_in_the_error(self, private_postgres: Postgres) -> None:
        private_postgres.stop()
        (private_postgres.folder / "data" / "postgresql.conf").write_text("no_such_setting = 1\n")
        with pytest.raises(StackError, match=r"^PostgreSQL did not start: .+ \(log: .+\)$"):
            private_postgres.start()


class TestValkey:
    @pytest.mark.parametrize("end", ["stop", "kill"])
    def test_keeps_its_data_and_its_url(self, private_valkey: Valkey, end: str) -> None:
        url = private_valkey.url
        with redis.Redis.from_url(url) as client:
            client.set("kept", "here")
            # What is on its way to the disk counts as written after a second at most.
            client.execute_command("WAITAOF", 1, 0, 5000)
        getattr(private_valkey, end)()
        private_valkey.start()
        assert private_valkey.url == url
        with redis.Redis.from_url(url) as client:
            assert client.get("kept") == b"here"

    def test_wiped_it_is_empty(self, private_valkey: Valkey) -> None:
        with redis.Redis.from_url(private_valkey.url) as client:
            client.set("lost", "1")
            private_valkey.wipe()
            assert client.dbsize() == 0

    def test_nobody_enters_without_the_password(self, private_valkey: Valkey) -> None:
        stranger = f"redis://{private_valkey.url.partition('@')[2]}"
        with redis.Redis.from_url(stranger) as client, pytest.raises(redis.AuthenticationError):
            client.ping()

    def test_a_folder_with_blanks_in_its_name(self, tmp_path: Path) -> None:
        server = Valkey(tmp_path / "my own folder")
        server.start()
        server.stop()
        assert (tmp_path / "my own folder" / "data" / "appendonlydir").is_dir()

    def test_somebody_elses_process_in_its_folder_is_left_alone(
        self, private_valkey: Valkey
    ) -> None:
        private_valkey.stop()
        visitor = subprocess.Popen(
            [sys.executable, "-c", "input()"],
            cwd=private_valkey.folder / "data",
            stdin=subprocess.PIPE,
        )
        try:
            private_valkey.start()
            assert visitor.poll() is None
        finally:
            visitor.communicate(b"\n")


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for server in (Postgres(tmp_path / "file"), Valkey(tmp_path / "file" / "below")):
        with pytest.raises(StackError) as refused:
            server.start()
        assert "\n" not in str(refused.value)
        assert str(tmp_path / "file") in str(refused.value)
