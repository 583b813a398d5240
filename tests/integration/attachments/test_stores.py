"""What every store does, over a real folder and real servers of S3's API."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest

from tailrace.attachments.base import Missing, Store, StoreError
from tailrace.attachments.folder import FolderStore
from tailrace.attachments.s3 import S3Store
from tests.support import s3

DATA = b"bytes of a file" * 1000


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@pytest.fixture(params=["folder", "nanio", "moto"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with AsyncExitStack() as stack:
        if request.param == "folder":
            yield FolderStore(urlsplit((tmp_path / "a b" / "files").as_uri()))
            return
        server = s3.moto() if request.param == "moto" else s3.nanio(tmp_path)
        address = await stack.enter_async_context(server)
        yield S3Store(urlsplit(f"s3://{s3.BUCKET}/some/prefix"), address)


@pytest.fixture
async def signing(tmp_path: Path) -> AsyncIterator[Store]:
    """A store whose server refuses what is not signed just so."""
    async with s3.nanio(tmp_path) as address:
        yield S3Store(urlsplit(f"s3://{s3.BUCKET}"), address)


async def test_what_is_kept_comes_back_until_it_is_deleted(store: Store) -> None:
    id, other = uuid4(), uuid4()
    await store.put(id, DATA, "text/plain")
    await store.put(id, DATA, "text/plain")
    await store.put(other, b"other", "text/plain")

    assert await store.get(id, len(DATA)) == DATA
    assert await store.get(id, 10) == DATA[:11], "enough to see that it is longer"

    await store.delete(id)
    await store.delete(id)
    with pytest.raises(Missing):
        await store.get(id, 10)
    assert await store.get(other, 10) == b"other"


async def test_a_signed_upload_takes_these_bytes_alone(signing: Store) -> None:
    id = uuid4()
    sha256 = hashlib.sha256(DATA).digest()
    upload = await signing.presign_upload(id, "text/plain", len(DATA), sha256)
    assert upload is not None
    async with httpx.AsyncClient() as stranger:

        async def send(data: bytes, url: str = upload.url, **headers: str) -> int:
            sent = upload.headers | {name.replace("_", "-"): v for name, v in headers.items()}
            return (await stranger.put(url, content=data, headers=sent)).status_code

        assert await send(DATA + b"x") == 403
        assert await send(DATA, content_type="text/html") == 403
        assert await send(DATA, x_amz_checksum_sha256="A" * 43 + "=") == 403
        assert await send(DATA, url=upload.url.replace(str(id), str(uuid4()))) == 403
        with pytest.raises(Missing):
            await signing.get(id, 10)
        assert await send(DATA) == 200
    assert await signing.get(id, len(DATA)) == DATA


async def test_a_signed_download_is_told_what_it_is(tmp_path: Path) -> None:
    disposition = "attachment; filename=\"a b.html\"; filename*=UTF-8''a%20b.html"
    async with s3.moto() as address, httpx.AsyncClient() as stranger:
        store = S3Store(urlsplit(f"s3://{s3.BUCKET}"), address)
        id = uuid4()
        await store.put(id, b"<script>", "text/html")
        url = await store.presign_download(id, "text/plain; charset=utf-8", disposition)
        assert url is not None
        got = await stranger.get(url)

    assert got.content == b"<script>"
    assert got.headers["content-type"] == "text/plain; charset=utf-8"
    assert got.headers["content-disposition"] == disposition
    assert int(parse_qs(urlsplit(url).query)["X-Amz-Expires"][0]) <= 300


async def test_a_download_that_was_changed_is_refused(signing: Store) -> None:
    id = uuid4()
    await signing.put(id, DATA, "text/plain")
    url = await signing.presign_download(id, "text/plain", "attachment")
    assert url is not None
    async with httpx.AsyncClient() as stranger:
        assert (await stranger.get(url)).content == DATA
        assert (await stranger.get(url.replace("attachment", "inline"))).status_code == 403
        assert (await stranger.get(url.replace("text%2Fplain", "text%2Fhtml"))).status_code == 403


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: S3Store(urlsplit(f"s3://{s3.BUCKET}"), "http://127.0.0.1:9"),
        lambda folder: FolderStore(urlsplit((folder / "a file" / "below").as_uri())),
    ],
)
async def test_a_store_that_cannot_be_reached_says_so(
    make: Callable[[Path], Store], tmp_path: Path
) -> None:
    (tmp_path / "a file").touch()
    store = make(tmp_path)
    for call in (
        lambda: store.put(uuid4(), b"x", "text/plain"),
        lambda: store.get(uuid4(), 1),
        lambda: store.delete(uuid4()),
    ):
        with pytest.raises(StoreError) as raised:
            await call()
        assert not isinstance(raised.value, Missing)


async def test_a_file_that_was_written_in_part_is_never_seen(tmp_path: Path) -> None:
    store = FolderStore(urlsplit(tmp_path.as_uri()))
    id = uuid4()
    await store.put(id, DATA, "text/plain")

    assert _files(tmp_path) == [str(id)]
    # A process that died while it wrote.
    left = tmp_path / id.hex[-2:] / f"{id}.{uuid4()}.part"
    left.write_bytes(b"half")
    await store.delete(id)
    assert _files(tmp_path) == []


def _files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]
