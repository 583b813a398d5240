"""Archives: a day is dropped only once its file was read back, whole, from where it is kept."""

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import psycopg
import pyarrow.parquet as pq
import pytest

from tailrace.db.pool import connect, create_pool
from tailrace.maintenance.archive import ArchiveError, parquet
from tailrace.maintenance.archive.partition import archive_partition
from tailrace.maintenance.archive.s3 import S3Shelf
from tailrace.maintenance.partitions import partitions, sweep
from tailrace.maintenance.retention import apply_retention
from tailrace.services import Services
from tailrace.telemetry.ingest import ingest
from tests.support import s3
from tests.support.events import make_event, publish_all, rows, value

NOW = datetime(2027, 2, 27, 12, tzinfo=UTC)
OLD = NOW - timedelta(days=9)
DAY = "inference_log_20270218"


class Place:
    """Where archives go, and how a test looks there."""

    def __init__(self, url: str, endpoint_url: str | None, folder: Path) -> None:
        self.url = url
        self._prefix = url.rpartition("/")[2] + "/"
        self.endpoint_url = endpoint_url
        self._folder = folder

    def files(self) -> list[str]:
        """Names of what is kept; what is half-written is not."""
        if self.endpoint_url is None:
            return sorted(str(p.relative_to(self._folder)) for p in self._folder.rglob("*.parquet"))
        listed = self.client.list_objects_v2(Bucket=s3.BUCKET, Prefix=self._prefix)
        return sorted(each["Key"].removeprefix(self._prefix) for each in listed.get("Contents", []))

    def leftovers(self) -> int:
        """How much was begun and not ended."""
        if self.endpoint_url is None:
            return len(list(self._folder.rglob("*.part")))
        listed = self.client.list_multipart_uploads(Bucket=s3.BUCKET)
        return len(listed.get("Uploads", []))

    def bytes(self, name: str) -> bytes:
        if self.endpoint_url is None:
            return (self._folder / name).read_bytes()
        return self.client.get_object(Bucket=s3.BUCKET, Key=self._prefix + name)["Body"].read()

    @property
    def client(self) -> Any:
        return boto3.Session().client("s3", endpoint_url=self.endpoint_url)


@pytest.fixture(params=["folder", "nanio", "moto"])
async def place(
    request: pytest.FixtureRequest,
    services: Services,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Place]:
    # It remembers credentials.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    folder = tmp_path / "archives"
    if request.param == "folder":
        made = Place(folder.as_uri(), None, folder)
        _keep(services, made)
        yield made
        return
    server = s3.nanio(folder) if request.param == "nanio" else s3.moto()
    # What moto keeps outlives its server.
    async with server as address:
        made = Place(f"s3://{s3.BUCKET}/{uuid4()}", address, folder)
        _keep(services, made)
        yield made


def _keep(services: Services, place: Place, **changes: Any) -> None:
    services.settings.__dict__.update(
        {
            "events_kept_for": 2 * 86_400.0,
            "archive_url": place.url,
            "archive_endpoint_url": place.endpoint_url,
            **changes,
        }
    )


async def _land(services: Services, count: int, **fields: Any) -> list[Any]:
    events = [
        make_event(started_at=OLD + timedelta(seconds=number), **fields) for number in range(count)
    ]
    await publish_all(services.queue, events)
    assert (await ingest(services)).inserted == count
    await sweep(services.pool, 7, NOW.date())
    return events


def _read(place: Place, name: str, tmp_path: Path) -> Any:
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(place.bytes(name))
    return pq.ParquetFile(copy)


async def test_a_day_is_written_read_back_and_dropped(
    services: Services, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROWS", 30)
    owner = make_event().id
    events = await _land(
        services, 100, owner_id=owner, input_preview="asked", metadata={"a": 1}, request_id="r"
    )

    report = await apply_retention(services, NOW)

    assert (report.archived, report.dropped) == ([DAY], [DAY])
    assert await value(services, "SELECT count(*) FROM inference_log") == 0
    (name,) = await asyncio.to_thread(place.files)
    assert name.startswith(f"inference_log/day=2027-02-18/{DAY}-")
    file = await asyncio.to_thread(_read, place, name, tmp_path)
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [
        30, 30, 30, 10,
    ]  # fmt: skip
    stored = file.read().to_pylist()
    assert [row["id"] for row in stored] == [str(event.id) for event in events]
    assert [row["started_at"] for row in stored] == [event.started_at for event in events]
    first = stored[0]
    assert (first["finish_reasons"], first["input_tokens"]) == (["stop"], 1000)
    assert first["cost_usd"] > Decimal(0)
    # Nothing in it is anybody's.
    assert not {"owner_id", "conversation_id", "input_preview", "metadata"} & set(first)
    (kept,) = await rows(services, "SELECT * FROM inference_archives")
    assert kept["row_count"] == 100
    content = await asyncio.to_thread(place.bytes, name)
    assert kept["sha256"] == hashlib.sha256(content).digest()
    assert kept["byte_count"] == len(content)
    assert kept["dropped_at"] is not None
    assert await asyncio.to_thread(place.leftovers) == 0


async def test_everything_is_archived_where_that_is_asked_for(
    services: Services, place: Place, tmp_path: Path
) -> None:
    _keep(services, place, archive_contents="everything")
    await _land(services, 3, input_preview="asked", metadata={"a": [1]})

    await apply_retention(services, NOW)

    (name,) = await asyncio.to_thread(place.files)
    row = (await asyncio.to_thread(_read, place, name, tmp_path)).read().to_pylist()[0]
    assert (row["input_preview"], row["metadata"]) == ("asked", '{"a": [1]}')
    columns = await rows(
        services,
        "SELECT attname FROM pg_attribute WHERE attrelid = 'inference_log'::regclass"
        " AND attnum > 0 AND NOT attisdropped",
    )
    assert set(row) == {column["attname"] for column in columns}


async def test_a_place_that_cannot_be_written_keeps_the_day(
    services: Services, place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await _land(services, 3)
    if place.endpoint_url:
        _keep(services, place, archive_url="s3://nobodys/calls")
    else:
        (tmp_path / "file").touch()
        _keep(services, place, archive_url=(tmp_path / "file" / "x").as_uri())

    assert (await apply_retention(services, NOW)).dropped == []

    assert await value(services, "SELECT count(*) FROM inference_log") == 3
    assert "could not be archived" in caplog.text
    assert s3.SECRET not in caplog.text
    del services.__dict__["shelf"]
    _keep(services, place)
    assert (await apply_retention(services, NOW)).dropped == [DAY]


async def test_an_archive_that_is_damaged_keeps_the_day(
    services: Services, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _land(services, 50)
    shelf = services.shelf
    assert shelf is not None
    read = type(shelf).read

    def damaged(self: Any, name: str, start: int, size: int) -> bytes:
        data = read(self, name, start, size)
        # Somewhere among the pages.
        return data if start < 4 or size < 200 else data[:50] + b"\xff" * 20 + data[70:]

    with monkeypatch.context() as patch:
        patch.setattr(type(shelf), "read", damaged)
        assert (await apply_retention(services, NOW)).dropped == []
        patch.setattr(type(shelf), "size", lambda *_: 12)
        assert (await apply_retention(services, NOW)).dropped == []
    assert await value(services, "SELECT count(*) FROM inference_log") == 50

    assert (await apply_retention(services, NOW)).dropped == [DAY]
    assert len(await asyncio.to_thread(place.files)) == 1


@pytest.mark.parametrize("step", ["rows", "finish", "keep", "verify", "drop"])
async def test_whoever_dies_on_the_way_is_followed_by_another(
    services: Services, place: Place, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _land(services, 50)
    monkeypatch.setattr(parquet, "ROWS", 20)

    class Died(BaseException):
        pass

    calls = iter(range(10))

    def die(*_: Any, **__: Any) -> Any:
        if step == "rows" and next(calls) == 0:
            return None
        raise Died

    draft = type(await asyncio.to_thread(_draft, services))
    target, name = {
        "rows": (parquet.Writer, "write"),
        "finish": (parquet.Writer, "finish"),
        "keep": (draft, "keep"),
        "verify": (parquet, "verify"),
        "drop": (sys.modules["tailrace.maintenance.retention"], "_drop"),
    }[step]
    with monkeypatch.context() as patch:
        patch.setattr(target, name, die)
        # A process that is gone discards nothing.
        patch.setattr(draft, "discard", lambda _: None)
        with pytest.raises(Died):
            await apply_retention(services, NOW)
    assert await value(services, "SELECT count(*) FROM inference_log") == 50

    report = await apply_retention(services, NOW)

    assert report.dropped == [DAY]
    assert report.archived == ([] if step == "drop" else [DAY])
    (archive,) = await rows(services, "SELECT * FROM inference_archives")
    assert archive["row_count"] == 50
    assert len(await asyncio.to_thread(place.files)) == 1
    assert await asyncio.to_thread(place.leftovers) == 0


def _draft(services: Services) -> Any:
    assert services.shelf is not None
    draft = services.shelf.write("probe")
    draft.discard()
    return draft


async def test_events_that_come_after_the_writing_are_written_too(
    services: Services, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _land(services, 5)
    verify = parquet.verify
    late = make_event(started_at=OLD)

    def add(*arguments: Any) -> None:
        verify(*arguments)
        url = services.settings.database_url.get_secret_value()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO inference_log (id, started_at, kind, status, operation_name,"
                " provider_name, request_model, duration)"
                " VALUES (%s, %s, 'chat', 'ok', 'chat', 'p', 'm', 1)",
                (late.id, late.started_at),
            )

    with monkeypatch.context() as patch:
        patch.setattr(parquet, "verify", add)
        assert (await apply_retention(services, NOW)).dropped == []

    report = await apply_retention(services, NOW)
    assert (report.archived, report.dropped) == ([DAY], [DAY])
    (name,) = await asyncio.to_thread(place.files)
    stored = (await asyncio.to_thread(_read, place, name, tmp_path)).read().to_pylist()
    assert len(stored) == 6
    assert str(late.id) in {row["id"] for row in stored}


async def test_a_day_that_comes_again_does_not_overwrite_its_archive(
    services: Services, place: Place
) -> None:
    await _land(services, 5)
    await apply_retention(services, NOW)
    await _land(services, 2)

    assert (await apply_retention(services, NOW)).dropped == [DAY]

    counts = await rows(services, "SELECT row_count FROM inference_archives ORDER BY begun_at")
    assert [row["row_count"] for row in counts] == [5, 2]
    assert len(await asyncio.to_thread(place.files)) == 2


async def test_of_several_at_once_one_writes(services: Services, place: Place) -> None:
    await _land(services, 200)

    reports = await asyncio.gather(*(apply_retention(services, NOW) for _ in range(3)))

    assert sorted(len(report.archived) for report in reports) == [0, 0, 1]
    assert sum(len(report.dropped) for report in reports) == 1
    assert len(await asyncio.to_thread(place.files)) == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_a_session_that_waits_for_a_slow_place_goes_on(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Though the database ends sessions that lie idle."""
    folder = tmp_path / "archives"
    _keep(services, Place(folder.as_uri(), None, folder))
    await _land(services, 5)
    [day] = [each for each in await partitions(services.pool) if each.name == DAY]
    assert services.shelf is not None
    monkeypatch.setattr("tailrace.db.pool._SESSION_IDLE_MS", 3_000)
    verify = parquet.verify

    def be_slow(*arguments: Any) -> None:
        url = services.settings.database_url.get_secret_value()
        # It lies idle from a later time on than the session of the archive does.
        other = psycopg.connect(url, options="-c idle_session_timeout=3s", autocommit=True)
        with other, pytest.raises(psycopg.OperationalError):
            next(other.notifies())
        if fails:
            raise ArchiveError("gone")
        verify(*arguments)

    monkeypatch.setattr(parquet, "verify", be_slow)
    sleeps = {"database_sleeps": True, "database_pool_size": 1}
    async with create_pool(services.settings.model_copy(update=sleeps)) as pool:
        with monkeypatch.context() as patch:
            patch.setattr(services, "pool", pool)
            if fails:
                with pytest.raises(ArchiveError):
                    await archive_partition(services, services.shelf, day)
            else:
                assert await archive_partition(services, services.shelf, day) is not None
        # The pool's one session gets back what it had.
        async with connect(pool) as connection:
            cursor = await connection.execute("SHOW idle_session_timeout")
            assert await cursor.fetchone() == {"idle_session_timeout": "3s"}


async def test_an_empty_day_needs_no_archive(services: Services, place: Place) -> None:
    from tailrace.maintenance.partitions import create_partitions

    await create_partitions(services.pool, 0, OLD.date())

    report = await apply_retention(services, NOW)

    assert (report.archived, report.dropped) == ([], [DAY])
    assert await asyncio.to_thread(place.files) == []


async def test_a_file_of_several_parts_arrives_whole(
    services: Services, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of S3 have at least 5 MiB."""
    shelf = services.shelf
    assert shelf is not None
    content = bytes(range(256)) * 4 * 1024 * 21

    def write() -> None:
        draft = shelf.write("large")
        for start in range(0, len(content), 1_000_000):
            draft.write(content[start : start + 1_000_000])
        draft.keep()

    await asyncio.to_thread(write)

    assert await asyncio.to_thread(shelf.size, "large") == len(content)
    parts = [
        await asyncio.to_thread(shelf.read, "large", start, 7 << 20)
        for start in range(0, len(content), 7 << 20)
    ]
    assert b"".join(parts) == content
    with pytest.raises(ArchiveError):
        await asyncio.to_thread(shelf.read, "missing", 0, 1)
    if isinstance(shelf, S3Shelf):
        assert shelf.location == place.url


def test_nothing_but_archiving_loads_pyarrow() -> None:
    check = (
        "import sys, tailrace.maintenance, tailrace.maintenance.archive.s3;"
        " assert not {'pyarrow', 'boto3'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)
