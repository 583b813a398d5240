"""Files on their way out and in again: inside of one conversation's JSON, beside those of a zip."""

import base64
import io
import json
import zipfile
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.integration.conftest import Database
from tests.support.attachments import part_of, upload
from tests.support.chat_client import ChatClient

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
# More than a request could hold as a data: URL.
PHOTO = b"\xff\xd8\xff" + b"pixels" * 700_000
MODEL = "scripted/echo"


@pytest.fixture
async def conversation_id(user: ChatClient) -> UUID:
    """A conversation whose question has two files."""
    picture = await upload(user, PNG, "image/png", "a cat.png")
    photo = await upload(user, PHOTO, "image/jpeg", "photo.jpg")
    id = uuid4()
    parts = [part_of(picture), part_of(photo), {"type": "text", "text": "Look"}]
    body = {"id": str(id), "message": {"id": "m", "role": "user", "parts": parts}, "model": MODEL}
    response = await user.http.post("/api/chat", json=body)
    assert response.status_code == 200, response.text
    return id


async def _import(user: ChatClient, content: bytes, kind: str) -> dict[str, Any]:
    headers = {"content-type": f"application/{kind}"}
    response = await user.http.post("/api/import", content=content, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


async def _files_of(user: ChatClient, id: str) -> list[tuple[str, str, bytes]]:
    parts = (await user.conversation(UUID(id)))["messages"][0]["parts"]
    return [
        (part["filename"], part["mediaType"], (await user.http.get(part["url"])).content)
        for part in parts
        if part["type"] == "file"
    ]


@pytest.mark.parametrize("kind", ["json", "zip"])
async def test_files_go_to_another_account(
    user: ChatClient, other: ChatClient, conversation_id: UUID, kind: str, database: Database
) -> None:
    path = "/api/export" if kind == "zip" else f"/api/conversations/{conversation_id}/export"
    exported = await user.http.get(path)
    assert exported.status_code == 200

    report = await _import(other, exported.content, kind)

    assert (report["imported"], report["left_out"]) == (1, {})
    assert await _files_of(other, report["items"][0]["id"]) == [
        ("a cat.png", "image/png", PNG),
        ("photo.jpg", "image/jpeg", PHOTO),
    ]
    assert await database.value("SELECT count(*) FROM attachments") == 4
    again = await _import(other, exported.content, kind)
    assert again["imported"] == 0
    assert await database.value("SELECT count(*) FROM attachments") == 4


async def test_a_zip_holds_each_file_once_under_a_name_to_be_found(
    user: ChatClient, conversation_id: UUID
) -> None:
    parts = (await user.conversation(conversation_id))["messages"][0]["parts"]
    body = {
        "id": str(uuid4()),
        "message": {"id": "n", "role": "user", "parts": parts[:1]},
        "model": MODEL,
    }
    assert (await user.http.post("/api/chat", json=body)).status_code == 200

    exported = await user.http.get("/api/export")

    with zipfile.ZipFile(io.BytesIO(exported.content)) as packed:
        names = [name for name in packed.namelist() if name.startswith("attachments/")]
        told = json.loads(packed.read("conversations.json"))
        assert len(names) == 2
        (cat,) = [name for name in names if name.endswith("-a-cat.png")]
        assert packed.read(cat) == PNG
    (named,) = {m["parts"][0]["url"] for c in told for m in c["messages"] if m["role"] == "user"}
    assert named.split("/")[3] in cat


async def test_files_count_for_the_size_of_a_volume(
    user: ChatClient, conversation_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await user.say(uuid4(), "Hi", model=MODEL)
    assert "link" not in (await user.http.get("/api/export")).headers

    from tailrace.transfer import export

    plan = export.plan
    monkeypatch.setattr(export, "plan", lambda *args: plan(*args[:3], 1_000_000))
    first = await user.http.get("/api/export")
    assert first.headers["link"].endswith('rel="next"')


async def test_an_import_names_no_file_of_anybodys(
    user: ChatClient, other: ChatClient, database: Database
) -> None:
    secret = await upload(user, PNG, "image/png")
    messages = [
        {"id": "q", "role": "user", "parts": [part_of(secret), {"type": "text", "text": "Mine?"}]}
    ]
    body = json.dumps({"id": "c", "messages": messages}).encode()

    report = await _import(other, body, "json")

    assert report["left_out"] == {"files": 1}
    stored = await other.conversation(UUID(report["items"][0]["id"]))
    assert [part["type"] for part in stored["messages"][0]["parts"]] == ["text"]
    assert await database.value("SELECT count(*) FROM message_attachments") == 0


async def test_files_of_a_zip_that_lie_are_left_out(user: ChatClient) -> None:
    ids = [str(uuid4()) for _ in range(4)]
    parts = [
        {"type": "file", "mediaType": "image/png", "filename": f"{n}",
         "url": f"/api/attachments/{id}/content"}
        for n, id in enumerate(ids)
    ]  # fmt: skip
    told = [{"id": "c", "messages": [{"id": "q", "role": "user", "parts": parts}]}]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zip:
        zip.writestr("conversations.json", json.dumps(told))
        zip.writestr(f"attachments/{ids[0]}-good.png", PNG)
        zip.writestr(f"attachments/{ids[1]}", b"MZ\0")
        zip.writestr(f"attachments/{ids[2]}", PNG + b"\0" * (20 << 20))
        zip.writestr("attachments/..-not-an-id", b"x")

    report = await _import(user, packed.getvalue(), "zip")

    assert report["left_out"] == {"files": 3}
    files = await _files_of(user, report["items"][0]["id"])
    assert files == [("0", "image/png", PNG)]


async def test_a_guests_files_go_to_the_store(user: ChatClient, database: Database) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    part = {"type": "file", "mediaType": "image/png", "filename": "a.png", "url": url}
    conversation = {"id": str(uuid4()), "messages": [{"id": "q", "role": "user", "parts": [part]}]}
    body = {"conversations": [conversation, conversation | {"id": str(uuid4())}]}

    report = (await user.http.post("/api/guests/import", json=body)).json()

    assert [item["status"] for item in report["items"]] == ["imported", "imported"]
    for item in report["items"]:
        assert await _files_of(user, item["id"]) == [("a.png", "image/png", PNG)]
    assert await database.value("SELECT count(*) FROM attachments") == 1
    assert "data:" not in str(await database.rows("SELECT parts FROM messages"))
