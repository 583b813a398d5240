"""Files over the API: announced, uploaded, looked at, named by messages, seen by models, gone."""

import asyncio
import base64
import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from psycopg import AsyncConnection

from tailrace.attachments import library
from tailrace.maintenance import maintain
from tailrace.maintenance.purge import purge_attachments
from tailrace.services import Services
from tailrace.settings import ModelSettings, ProviderSettings, Settings
from tests.integration.conftest import Database, site
from tests.support import s3
from tests.support.attachments import announcement, begin, part_of, send, upload
from tests.support.chat_client import ChatClient
from tests.support.model_server import ModelServer
from tests.support.pdfs import make_pdf

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 20


@pytest.fixture
def settings(settings: Settings, model_server: ModelServer) -> Settings:
    """Let the test's model see pictures, and not read documents."""
    seeing = ModelSettings(name="m", context_window=100_000, capabilities=frozenset({"vision"}))
    local = ProviderSettings(
        name="local",
        kind="openai_compatible",
        base_url=model_server.base_url,
        models=(seeing,),
    )
    return settings.model_copy(update={"providers": (local, *settings.providers[1:])})


def _message(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"id": str(uuid4()), "role": "user", "parts": list(parts)}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _inline(data: bytes, media_type: str, filename: str = "f") -> dict[str, Any]:
    url = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    return {"type": "file", "mediaType": media_type, "filename": filename, "url": url}


async def _chat(user: ChatClient, *parts: dict[str, Any], **body: Any) -> UUID:
    id = body.pop("id", None) or uuid4()
    sent = {"id": str(id), "message": _message(*parts), **body}
    response = await user.http.post("/api/chat", json=sent)
    assert response.status_code == 200, response.text
    assert '"type":"error"' not in response.text, response.text
    return id


def _seen(model_server: ModelServer, number: int = 0) -> list[dict[str, Any]]:
    """Return what the model was sent in a request, a dict for each piece."""
    asked = [e.body for e in model_server.exchanges if e.body and "title" not in str(e.body)]
    pieces: list[dict[str, Any]] = []
    for message in asked[number]["messages"]:
        content = message["content"]
        pieces += [_text(content)] if isinstance(content, str) else content
    return pieces


def _files(settings: Settings) -> list[Path]:
    folder = Path(urlsplit(settings.attachments_url or "").path)
    return [path for path in folder.rglob("*") if path.is_file()]


async def _expire(database: Database) -> None:
    """Let the time be up of whatever waits to be used."""
    await database.rows(
        "UPDATE attachments SET purge_at = now() WHERE purge_at IS NOT NULL RETURNING id"
    )


class TestUpload:
    """Announcing, sending, completing."""

    async def test_a_file_comes_in_and_out_again(self, user: ChatClient) -> None:
        begun = await begin(user, PNG, "image/png", "../a\u202e cat.png")
        assert begun["state"] == "pending"
        assert begun["filename"] == "a cat.png"
        path = f"/api/attachments/{begun['id']}"
        assert begun["url"] == f"{path}/content"
        assert (await user.http.get(begun["url"])).status_code == 404, "nothing is there yet"
        assert (await user.http.post(f"{path}/complete")).status_code == 409

        assert (await send(user, begun["upload"], PNG)).status_code == 204
        done = (await user.http.post(f"{path}/complete")).json()
        again = (await user.http.post(f"{path}/complete")).json()

        assert done == again == (await user.http.get(path)).json()
        assert (done["state"], done["media_type"], done["size"]) == ("ready", "image/png", 70)
        content = await user.http.get(done["url"])
        assert content.content == PNG
        assert content.headers["content-type"] == "image/png"
        assert content.headers["content-disposition"].startswith("inline")
        assert content.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in content.headers["content-security-policy"]
        assert content.headers["cache-control"].startswith("private")
        assert (await send(user, begun["upload"], PNG)).status_code == 409

    async def test_the_same_bytes_are_sent_once(
        self, user: ChatClient, database: Database, settings: Settings
    ) -> None:
        first = await upload(user, PNG, "image/png", "a.png")
        second = await begin(user, PNG, "image/png", "b.png")

        assert second["id"] == first["id"]
        assert (second["state"], second["upload"]) == ("ready", None)
        assert await database.value("SELECT count(*) FROM attachments") == 1
        assert len(_files(settings)) == 1

    async def test_an_upload_that_broke_off_begins_anew(
        self, user: ChatClient, database: Database
    ) -> None:
        wrong = await begin(user, PNG, "image/jpeg", "a.jpg", size=7)
        right = await begin(user, PNG, "image/png", "a.png")

        assert right["id"] == wrong["id"]
        assert (right["size"], right["media_type"]) == (len(PNG), "image/png")
        assert (await upload(user, PNG, "image/png"))["state"] == "ready"
        assert await database.value("SELECT count(*) FROM attachments") == 1

    async def test_each_owner_has_files_of_their_own(
        self, user: ChatClient, other: ChatClient, guest: ChatClient, model_server: ModelServer
    ) -> None:
        mine = await upload(user, PNG, "image/png")
        theirs = await begin(other, PNG, "image/png")
        assert theirs["state"] == "pending", "that somebody has it is not told"
        path = f"/api/attachments/{mine['id']}"

        for method, route in (
            ("GET", path),
            ("GET", f"{path}/content"),
            ("PUT", f"{path}/upload"),
            ("POST", f"{path}/complete"),
            ("DELETE", path),
        ):
            assert (await other.http.request(method, route)).status_code == 404
        body = {"id": str(uuid4()), "message": _message(part_of(mine))}
        refused = await other.http.post("/api/chat", json=body)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "message.parts.0.url"
        guest.http.cookies.clear()
        refused = await guest.http.post(
            "/api/chat", json={"id": str(uuid4()), "messages": [_message(part_of(mine))]}
        )
        assert refused.status_code == 422
        assert model_server.exchanges == []

    @pytest.mark.parametrize(
        ("data", "declared", "said"),
        [
            (JPEG, "image/png", "says it is image/png, and it is image/jpeg"),
            (PNG, "text/plain", "says it is text/plain, and it is image/png"),
            (b"<script>", "image/png", "no file of a kind that is taken"),
            (b"MZ\0\0", "text/plain", "no file of a kind that is taken"),
            (b"<svg/>", "application/pdf", "no file of a kind that is taken"),
        ],
    )
    async def test_a_file_that_lies_is_refused_and_leaves_nothing(
        self,
        user: ChatClient,
        services: Services,
        database: Database,
        settings: Settings,
        data: bytes,
        declared: str,
        said: str,
    ) -> None:
        begun = await begin(user, data, declared)
        await send(user, begun["upload"], data)

        refused = await user.http.post(f"/api/attachments/{begun['id']}/complete")

        assert refused.status_code == 422
        assert said in refused.json()["detail"]
        assert refused.json()["errors"][0]["field"] == "media_type"
        assert (await user.http.get(f"/api/attachments/{begun['id']}")).status_code == 404
        await maintain(services)
        assert _files(settings) == []
        assert await database.value("SELECT count(*) FROM attachments") == 0

    async def test_a_known_file_that_is_said_to_be_another_is_refused(
        self, user: ChatClient
    ) -> None:
        await upload(user, PNG, "image/png")
        response = await user.http.post("/api/attachments", json=announcement(PNG, "text/plain"))
        assert response.status_code == 422

    @pytest.mark.parametrize(
        ("change", "status", "field"),
        [
            ({"size": 10 * 2**20 + 1}, 413, "size"),
            ({"size": 0}, 422, "size"),
            ({"size": -1}, 422, "size"),
            ({"media_type": "video/mp4"}, 422, "media_type"),
            ({"media_type": "image/svg+xml"}, 422, "media_type"),
            ({"media_type": "text/plain\r\nx: y"}, 422, "media_type"),
            ({"sha256": "0" * 63}, 422, "sha256"),
            ({"sha256": "G" * 64}, 422, "sha256"),
            ({"filename": "x" * 1025}, 422, "filename"),
            ({"colour": "red"}, 422, "colour"),
        ],
    )
    async def test_what_cannot_be_is_refused_at_once(
        self, user: ChatClient, change: dict[str, Any], status: int, field: str
    ) -> None:
        body = announcement(PNG, "image/png") | change
        response = await user.http.post("/api/attachments", json=body)
        assert response.status_code == status
        assert response.json()["errors"][0]["field"] == field

    async def test_other_bytes_than_announced_are_refused(self, user: ChatClient) -> None:
        begun = await begin(user, PNG, "image/png")
        assert (await send(user, begun["upload"], PNG + b"x")).status_code == 413
        assert (await send(user, begun["upload"], PNG[:-1] + b"x")).status_code == 422
        assert (await send(user, begun["upload"], b"")).status_code == 422

    async def test_there_is_only_so_much_room(self, settings: Settings, tmp_path: Path) -> None:
        (tmp_path / "index.html").touch()
        tight = settings.model_copy(update={"max_stored_bytes": len(PNG) + 10})
        async with site(tight, tmp_path) as http:
            user = ChatClient(http)
            await user.register()
            await upload(user, PNG, "image/png")
            await upload(user, PNG, "image/png")
            full = await http.post("/api/attachments", json=announcement(b"x" * 11, "text/plain"))
            assert full.status_code == 413
            assert "may take" in full.json()["detail"]
            body = {"id": str(uuid4()), "message": _message(_inline(b"x" * 11, "text/plain"))}
            assert (await http.post("/api/chat", json=body)).status_code == 413

    async def test_without_a_store_files_stay_in_their_messages(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        (tmp_path / "index.html").touch()
        async with site(settings.model_copy(update={"attachments_url": None}), tmp_path) as http:
            user = ChatClient(http)
            await user.register()
            none = await http.post("/api/attachments", json=announcement(PNG, "image/png"))
            assert none.status_code == 501
            id = await _chat(user, _inline(PNG, "image/png"))
            (part,) = (await user.conversation(id))["messages"][0]["parts"]
            assert part["url"].startswith("data:image/png;base64,")
            await _chat(user, _text("And now?"), id=id)

    @examples(max_examples=30, suppress_health_check=list(HealthCheck), deadline=None)
    @given(filename=st.text(max_size=300))
    async def test_any_name_is_taken_and_told(self, user: ChatClient, filename: str) -> None:
        # One content a name: the first name of known bytes stays.
        data = hashlib.sha256(filename.encode("utf-8", "surrogatepass")).hexdigest().encode()
        kept = await upload(user, data, "text/plain", filename)
        content = await user.http.get(kept["url"])
        assert content.status_code == 200
        assert content.content == data
        assert content.headers["content-disposition"].startswith("attachment; filename=")


class TestMessages:
    """Files that messages name."""

    async def test_a_model_sees_the_files_that_a_message_names(
        self, user: ChatClient, model_server: ModelServer
    ) -> None:
        picture = await upload(user, PNG, "image/png", "cat.png")
        notes = await upload(user, b"# Notes", "text/markdown", "notes.md")

        id = await _chat(user, part_of(picture), part_of(notes), _text("Look"))
        await _chat(user, _text("And now?"), id=id)

        parts = (await user.conversation(id))["messages"][0]["parts"]
        assert parts == [part_of(picture), part_of(notes), _text("Look")]
        for number in range(2):
            seen = json.dumps(_seen(model_server, number))
            assert base64.b64encode(PNG).decode() in seen
            assert "# Notes" in seen

    async def test_the_type_is_what_the_file_is_not_what_the_message_says(
        self, user: ChatClient
    ) -> None:
        picture = part_of(await upload(user, PNG, "image/png")) | {"mediaType": "text/html"}
        id = await _chat(user, picture)
        (part,) = (await user.conversation(id))["messages"][0]["parts"]
        assert part["mediaType"] == "image/png"

    async def test_a_file_inside_a_request_is_kept_as_one_that_was_uploaded(
        self, user: ChatClient, database: Database, settings: Settings, model_server: ModelServer
    ) -> None:
        id = await _chat(user, _inline(PNG, "image/png", "a.png"), _inline(PNG, "image/png", "b"))
        kept = await upload(user, PNG, "image/png")

        parts = (await user.conversation(id))["messages"][0]["parts"]
        assert [part["url"] for part in parts] == [kept["url"]] * 2
        assert [part["filename"] for part in parts] == ["a.png", "b"]
        assert "data:" not in str(await database.rows("SELECT parts FROM messages"))
        assert await database.value("SELECT count(*) FROM message_attachments") == 1
        assert len(_files(settings)) == 1
        assert base64.b64encode(PNG).decode() in json.dumps(_seen(model_server))

    async def test_what_was_written_with_files_inside_still_works(
        self, user: ChatClient, database: Database, model_server: ModelServer
    ) -> None:
        id = await _chat(user, _text("Hi"))
        await database.rows(
            "UPDATE messages SET parts = %s WHERE role = 'user' RETURNING id",
            json.dumps([_inline(PNG, "image/png")]),
        )
        await _chat(user, _text("And now?"), id=id)
        question = (await user.conversation(id))["messages"][0]["id"]
        await user.regenerate(id, question)

        assert base64.b64encode(PNG).decode() in json.dumps(_seen(model_server, -1))
        assert await database.value("SELECT count(*) FROM attachments") == 0

    async def test_a_chat_without_files_asks_the_database_nothing_more(
        self, user: ChatClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        execute = AsyncConnection.execute

        async def counting(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            asked.append(str(query))
            return await execute(self, query, *args, **kwargs)

        monkeypatch.setattr(AsyncConnection, "execute", counting)
        id = await _chat(user, _text("Hi"))
        await _chat(user, _text("Again"), id=id)

        assert any("begin_turn" in query for query in asked)
        assert not [query for query in asked if "attachments" in query]

    async def test_only_what_is_sent_is_read(
        self, user: ChatClient, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Each takes more than a third of what fits into one request.
        big = [await upload(user, bytes([65 + n]) * (6 << 20), "text/plain") for n in range(3)]
        monkeypatch.setattr("tailrace.runs.context._BYTES_PER_TOKEN", 10_000)
        read: list[UUID] = []
        get = library.Library.read

        async def counting(self: Any, id: UUID, size: int) -> bytes:
            read.append(id)
            return await get(self, id, size)

        monkeypatch.setattr(library.Library, "read", counting)
        id = uuid4()
        for each in big:
            read.clear()
            await _chat(user, part_of(each), id=id)

        assert {str(each) for each in read} == {big[1]["id"], big[2]["id"]}
        answer = (await user.conversation(id))["messages"][-1]
        assert answer["metadata"]["omitted_messages"] == 2

    async def test_too_much_for_one_request_is_said_at_once(self, user: ChatClient) -> None:
        big = [await upload(user, bytes([65 + n]) * (8 << 20), "text/plain") for n in range(2)]
        body = {"id": str(uuid4()), "message": _message(*map(part_of, big))}
        response = await user.http.post("/api/chat", json=body)
        assert response.status_code == 422
        assert "models take 14,680,064 at once" in response.json()["detail"]

    async def test_bytes_that_are_lost_are_told_to_the_model(
        self, user: ChatClient, settings: Settings, model_server: ModelServer
    ) -> None:
        picture = await upload(user, PNG, "image/png", "cat.png")
        id = await _chat(user, part_of(picture), _text("Look"))
        for path in _files(settings):
            path.unlink()

        await _chat(user, _text("And now?"), id=id)

        assert "[cat.png: no longer there]" in json.dumps(_seen(model_server, 1))
        assert (await user.http.get(picture["url"])).status_code == 404

    async def test_a_store_that_is_down_ends_the_answer_with_a_sentence(
        self, user: ChatClient, settings: Settings
    ) -> None:
        picture = await upload(user, PNG, "image/png", "cat.png")
        (path,) = _files(settings)
        path.unlink()
        path.mkdir()
        body = {"id": str(uuid4()), "message": _message(part_of(picture))}

        answer = await user.http.post("/api/chat", json=body)

        assert '"errorType":"storage"' in answer.text
        assert "could not be read just now" in answer.text
        assert (await user.http.get(picture["url"])).status_code == 503


class TestPdf:
    """Documents, for a model that reads none."""

    async def test_its_text_goes_in_its_place(
        self, user: ChatClient, model_server: ModelServer, database: Database
    ) -> None:
        pdf = make_pdf("The weir is closed.", "Open it at noon.")
        report = await upload(user, pdf, "application/pdf", "weir.pdf")
        assert report["text_problem"] is None

        id = await _chat(user, part_of(report), _text("When?"))
        await _chat(user, _text("Sure?"), id=id)

        for number in range(2):
            seen = "".join(piece.get("text", "") for piece in _seen(model_server, number))
            assert "weir.pdf:\nThe weir is closed.\n\nOpen it at noon." in seen
        answer = (await user.conversation(id))["messages"][-1]
        assert "omitted_files" not in answer["metadata"]

    async def test_one_inside_a_request_is_read_when_it_is_needed_first(
        self, user: ChatClient, model_server: ModelServer, database: Database
    ) -> None:
        pdf = make_pdf("The weir is closed.")
        await _chat(user, _inline(pdf, "application/pdf", "weir.pdf"))

        assert "The weir is closed." in json.dumps(_seen(model_server))
        kept = await database.value("SELECT extracted_text FROM attachments")
        assert kept == "The weir is closed."

    @pytest.mark.parametrize(
        ("pdf", "said"),
        [
            (make_pdf("Secret", password="x"), "f is encrypted, so that its text cannot be read."),
            (b"%PDF-1.7\nnothing that follows is one", "f is damaged"),
            (make_pdf(""), "f holds no text, only pictures."),
        ],
    )
    async def test_why_one_cannot_be_read_is_told(
        self, user: ChatClient, pdf: bytes, said: str, model_server: ModelServer
    ) -> None:
        report = await upload(user, pdf, "application/pdf")
        assert said in report["text_problem"]

        body = {"id": str(uuid4()), "message": _message(part_of(report))}
        refused = await user.http.post("/api/chat", json=body)

        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "message.parts.0"
        assert "reads no PDF documents" in refused.json()["detail"]
        assert said in refused.json()["detail"]
        assert model_server.exchanges == []

    async def test_one_that_takes_for_ever_is_given_up(
        self, user: ChatClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tailrace.attachments.pdf._PATIENCE", 0.01)
        report = await upload(user, make_pdf("Hi"), "application/pdf")
        assert "too complicated" in report["text_problem"]


class TestEnd:
    """Files go with their messages, and no sooner."""

    async def test_a_file_goes_with_the_last_message_that_names_it(
        self, user: ChatClient, services: Services, database: Database, settings: Settings
    ) -> None:
        picture = await upload(user, PNG, "image/png")
        first = await _chat(user, part_of(picture))
        second = await _chat(user, part_of(picture))
        await _expire(database)
        path = f"/api/attachments/{picture['id']}"
        assert (await user.http.delete(path)).status_code == 409

        question = (await user.conversation(first))["messages"][0]["id"]
        await user.http.delete(f"/api/conversations/{first}/messages/{question}")
        assert (await maintain(services)).attachments == 0
        assert (await user.http.get(picture["url"])).content == PNG
        assert await database.value("SELECT purge_at FROM attachments") is None

        await user.http.delete(f"/api/conversations/{second}")
        assert (await maintain(services)).attachments == 0, "it may be restored"
        await database.rows(
            "UPDATE conversations SET deleted_at = now() - interval '1 year'"
            " WHERE deleted_at IS NOT NULL RETURNING id"
        )
        await database.rows("DELETE FROM runs RETURNING id")
        report = await maintain(services)
        assert report.purged == 1
        assert report.attachments == 1
        assert _files(settings) == []
        assert (await user.http.get(path)).status_code == 404

    async def test_one_that_no_message_ever_named_goes_in_time(
        self, user: ChatClient, services: Services, database: Database, settings: Settings
    ) -> None:
        await upload(user, PNG, "image/png")
        await begin(user, b"never sent", "text/plain")
        assert (await maintain(services)).attachments == 0

        await _expire(database)
        assert (await maintain(services)).attachments == 2
        assert _files(settings) == []

    async def test_one_that_is_offered_again_stays_for_as_long_as_a_new_one(
        self, user: ChatClient, services: Services, database: Database
    ) -> None:
        picture = await upload(user, PNG, "image/png")
        await _expire(database)
        await begin(user, PNG, "image/png")
        assert (await maintain(services)).attachments == 0
        await _chat(user, part_of(picture))

    async def test_bytes_that_come_late_are_deleted_as_well(
        self, user: ChatClient, services: Services, database: Database, settings: Settings
    ) -> None:
        begun = await begin(user, PNG, "image/png")
        assert (await user.http.delete(f"/api/attachments/{begun['id']}")).status_code == 204
        await maintain(services)
        # As with an upload to S3 that was under way.
        await services.files.store.put(UUID(begun["id"]), PNG, "image/png")
        await maintain(services)
        assert len(_files(settings)) == 1

        await database.rows(
            "UPDATE deleted_attachments SET until = now(), next_at = now() RETURNING id"
        )
        await maintain(services)
        assert _files(settings) == []
        assert await database.value("SELECT count(*) FROM deleted_attachments") == 0

    async def test_what_the_store_did_not_delete_is_tried_again(
        self, user: ChatClient, services: Services, database: Database, settings: Settings
    ) -> None:
        picture = await upload(user, PNG, "image/png")
        (path,) = _files(settings)
        path.unlink()
        path.mkdir()
        await user.http.delete(f"/api/attachments/{picture['id']}")

        await maintain(services)
        assert await database.value("SELECT next_at > now() FROM deleted_attachments")
        path.rmdir()
        path.write_bytes(PNG)
        await database.rows(
            "UPDATE deleted_attachments SET until = now(), next_at = now() RETURNING id"
        )
        await maintain(services)
        assert _files(settings) == []
        assert await database.value("SELECT count(*) FROM deleted_attachments") == 0

    async def test_an_account_takes_its_files_along(
        self,
        user: ChatClient,
        other: ChatClient,
        services: Services,
        database: Database,
        settings: Settings,
    ) -> None:
        await upload(other, PNG, "image/png")
        picture = await upload(user, PNG, "image/png")
        await upload(user, b"unused", "text/plain")
        await _chat(user, part_of(picture))
        await database.rows("UPDATE users SET role = 'admin' RETURNING id")

        body = {"password": "correct horse battery"}
        deleted = await user.http.request("DELETE", "/api/auth/me", json=body)
        assert deleted.status_code == 204, deleted.text
        await maintain(services)

        assert len(_files(settings)) == 1, "the other user's"
        assert await database.value("SELECT count(*) FROM attachments") == 1

    async def test_a_message_is_not_written_when_its_file_went_meanwhile(
        self, user: ChatClient, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        picture = await upload(user, PNG, "image/png")
        describe = library.Library.describe

        async def late(self: Any, *args: Any) -> Any:
            found = await describe(self, *args)
            await database.rows("DELETE FROM attachments RETURNING id")
            return found

        monkeypatch.setattr(library.Library, "describe", late)
        body = {"id": str(uuid4()), "message": _message(part_of(picture))}
        response = await user.http.post("/api/chat", json=body)

        assert response.status_code == 422
        assert "Attach it again" in response.json()["detail"]
        assert await database.value("SELECT count(*) FROM messages") == 0


async def test_files_go_through_a_bucket(
    settings: Settings,
    tmp_path: Path,
    model_server: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    (tmp_path / "index.html").touch()
    async with s3.nanio(tmp_path / "s3") as address:
        bucket = settings.model_copy(
            update={
                "attachments_url": f"s3://{s3.BUCKET}/chat",
                "attachments_endpoint_url": address,
            }
        )
        async with site(bucket, tmp_path) as http, httpx.AsyncClient() as stranger:
            user = ChatClient(http)
            await user.register()
            begun = await begin(user, PNG, "image/png", "cat.png")
            assert begun["upload"]["url"].startswith(address)
            # What was announced is what is taken, whoever sends it.
            assert (await send(user, begun["upload"], PNG + b"x")).status_code == 403
            own = await http.put(f"/api/attachments/{begun['id']}/upload", content=PNG)
            assert own.status_code == 409
            picture = await upload(user, PNG, "image/png", "cat.png")
            page = await upload(user, b"<script>", "text/html", "a.html")

            shown = await http.get(picture["url"])
            assert shown.status_code == 302
            assert (await stranger.get(shown.headers["location"])).content == PNG
            saved = (await http.get(page["url"])).headers["location"]
            assert "response-content-disposition=attachment" in saved
            assert "response-content-type=text%2Fplain" in saved

            await _chat(user, part_of(picture), _inline(b"# Notes", "text/markdown"))
            assert base64.b64encode(PNG).decode() in json.dumps(_seen(model_server))
            assert "# Notes" in json.dumps(_seen(model_server))
            services = Services(bucket)
            await services.open()
            await http.delete(f"/api/attachments/{page['id']}")
            await maintain(services)
            await services.close()
            assert (await stranger.get(saved)).status_code == 404


async def test_a_message_and_a_purge_at_once_agree_on_the_file(
    user: ChatClient, services: Services, database: Database
) -> None:
    kept = 0
    for number in range(12):
        words = await upload(user, f"words {number}".encode(), "text/plain")
        await _expire(database)
        body = {"id": str(uuid4()), "message": _message(part_of(words)), "model": "scripted/echo"}

        answer, _ = await asyncio.gather(
            user.http.post("/api/chat", json=body), purge_attachments(services)
        )

        content = await user.http.get(words["url"])
        assert (answer.status_code, content.status_code) in ((200, 200), (422, 404))
        kept += answer.status_code == 200
    query = "SELECT count(*) FROM messages WHERE role = 'user'"
    assert await database.value(query) == kept
    assert await database.value("SELECT count(*) FROM attachments") == kept


async def test_the_same_file_sent_many_times_at_once_is_one(
    user: ChatClient, database: Database, settings: Settings
) -> None:
    picture = _inline(PNG, "image/png")

    ids = await asyncio.gather(*(_chat(user, picture, picture) for _ in range(6)))

    urls = {
        part["url"] for id in ids for part in (await user.conversation(id))["messages"][0]["parts"]
    }
    assert len(urls) == 1
    assert await database.value("SELECT count(*) FROM attachments") == 1
    assert await database.value("SELECT count(*) FROM message_attachments") == 6
    assert len(_files(settings)) == 1
