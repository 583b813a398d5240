"""Imports: what is taken of each format, that nothing is taken twice, and what is refused."""

import asyncio
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tailrace.settings import Settings
from tests.integration.conftest import Database, site
from tests.support.chat_client import ChatClient

SAMPLES = Path(__file__).parents[2] / "events" / "imports"


def sample(name: str) -> Any:
    """Return a made-up export."""
    return json.loads((SAMPLES / f"{name}.json").read_bytes())


def zipped(**files: bytes) -> bytes:
    """Return a zip of these files, by name without ``.json``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(f"{name}.json", content)
    return buffer.getvalue()


async def send(user: ChatClient, content: Any) -> dict[str, Any]:
    """Import what must be accepted and return the report."""
    if isinstance(content, bytes):
        headers = {"content-type": "application/zip"}
        response = await user.http.post("/api/import", content=content, headers=headers)
    else:
        response = await user.http.post("/api/import", json=content)
    assert response.status_code == 200, response.text
    return response.json()


def _said(conversation: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    return [
        (message["role"], [part.get("text", part.get("filename")) for part in message["parts"]])
        for message in conversation["messages"]
    ]


async def test_chatgpts_tree_is_kept(user: ChatClient, database: Database) -> None:
    report = await send(user, sample("chatgpt"))

    assert (report["found"], report["imported"], report["complete"]) == (2, 1, True)
    assert report["items"][0]["source_id"] == "6f1c2d3e-0000-4000-8000-000000000001"
    assert report["skipped"] == [
        {
            "id": "6f1c2d3e-0000-4000-8000-000000000002",
            "title": None,
            "reason": "It holds no messages.",
        }
    ]
    assert report["left_out"] == {"tool messages": 2, "images and files": 1}
    conversation = await user.conversation(report["items"][0]["id"])
    assert conversation["title"] == "Water wheels"
    assert conversation["archived"]
    assert conversation["created_at"].startswith("2023-11-09T21:20:00.25")
    assert _said(conversation) == [
        ("user", ["How does an overshot wheel work?"]),
        # Thinking, a search and the answer are one message.
        ("assistant", ["Recalling wheels\n\nOvershot, undershot, breastshot.",
                       "The weight of the water turns it."]),
        ("user", ["Is this one?"]),
        ("assistant", ["Yes, an overshot wheel."]),
    ]  # fmt: skip
    answer = conversation["messages"][1]
    assert [part["type"] for part in answer["parts"]] == ["reasoning", "text"]
    assert answer["metadata"]["model"] == "gpt-5-thinking"
    # The first answer stands beside it, first.
    assert answer["siblings"][1] == answer["id"]
    assert len(answer["siblings"]) == 2
    assert await database.value("SELECT count(*) FROM messages") == 5


async def test_claudes_messages_files_and_tree_are_kept(
    user: ChatClient, database: Database
) -> None:
    report = await send(user, sample("claude"))

    assert [item["title"] for item in report["items"]] == ["Mill ponds", "Name a river"]
    assert [skipped["title"] for skipped in report["skipped"]] == ["Nothing said"]
    assert report["left_out"] == {"tool messages": 2, "images and files": 1}
    plain, tree = [await user.conversation(item["id"]) for item in report["items"]]
    assert _said(plain) == [
        ("user", ["What is in this note?", "note.txt"]),
        ("assistant", ["It is a reminder.", "A reminder to feed the pond."]),
    ]
    file = plain["messages"][0]["parts"][1]
    assert (file["type"], file["mediaType"]) == ("file", "text/plain")
    assert _said(tree) == [
        ("user", ["Name a river"]),
        ("assistant", ["The Severn"]),
        ("user", ["Another"]),
    ]
    assert len(tree["messages"][1]["siblings"]) == 2


async def test_our_own_is_taken_as_it_was(user: ChatClient) -> None:
    original = sample("tailrace")
    report = await send(user, original)

    exported = await user.http.get(f"/api/conversations/{report['items'][0]['id']}/export")
    copy = exported.json()

    ids = {message["id"]: new["id"] for message, new in
           zip(original["messages"], copy["messages"], strict=True)}  # fmt: skip
    for message in original["messages"]:
        message["id"] = ids[message["id"]]
        message["parent_id"] = ids.get(message["parent_id"])
    changed = {"id": copy["id"], "active_leaf_id": ids[original["active_leaf_id"]]}
    assert copy == original | changed | {"updated_at": copy["updated_at"]}


async def test_an_imported_conversation_goes_on(user: ChatClient) -> None:
    report = await send(user, [sample("tailrace"), *sample("chatgpt")])

    for item in report["items"]:
        before = await user.conversation(item["id"])
        # Without a model in the request the conversation's own answers.
        await user.say(item["id"], "Go on")
        await user.regenerate(item["id"], before["messages"][-1]["id"])
        after = await user.conversation(item["id"])
        assert [message["status"] for message in after["messages"]] == ["complete"] * len(
            after["messages"]
        )


async def test_importing_twice_makes_nothing_twice(user: ChatClient, database: Database) -> None:
    everything = [sample("tailrace"), *sample("chatgpt"), *sample("claude")]
    first = await send(user, everything)
    again = await send(user, everything)
    third = await send(user, zipped(conversations=json.dumps(everything).encode()))

    assert first["imported"] == 4
    for report in (again, third):
        assert (report["imported"], report["messages"], report["items"]) == (0, 0, [])
        reasons = [skipped["reason"] for skipped in report["skipped"]]
        assert reasons.count("It is here already.") == 4
    assert await database.value("SELECT count(*) FROM conversations") == 4


async def test_parallel_imports_make_nothing_twice(user: ChatClient, database: Database) -> None:
    everything = [sample("tailrace"), *sample("chatgpt"), *sample("claude")]
    reports = await asyncio.gather(*(send(user, everything) for _ in range(6)))

    assert sum(report["imported"] for report in reports) == 4
    assert await database.value("SELECT count(*) FROM conversations") == 4
    assert await database.value("SELECT count(*) FROM imports") == 4


async def test_ones_own_export_is_not_taken_while_it_is_here(user: ChatClient) -> None:
    imported = (await send(user, sample("tailrace")))["items"][0]["id"]
    exported = (await user.http.get(f"/api/conversations/{imported}/export")).json()

    assert (await send(user, exported))["imported"] == 0
    await user.http.delete(f"/api/conversations/{imported}")
    # Whoever deleted it, and imports it, wants it back.
    assert (await send(user, exported))["imported"] == 1
    assert (await send(user, sample("tailrace")))["imported"] == 1
    assert (await send(user, sample("tailrace")))["imported"] == 0


async def test_two_people_import_the_same(user: ChatClient, http: httpx.AsyncClient) -> None:
    await send(user, sample("tailrace"))
    async with httpx.AsyncClient(base_url=http.base_url) as other_http:
        other = ChatClient(other_http)
        await other.register("eve@example.org")
        report = await send(other, sample("tailrace"))
        assert report["imported"] == 1
        await other.conversation(report["items"][0]["id"])
        response = await user.http.get(f"/api/conversations/{report['items'][0]['id']}")
        assert response.status_code == 404


async def test_a_zip_may_hold_several_files_and_others(user: ChatClient) -> None:
    tree = sample("chatgpt")
    second = [tree[0] | {"id": "x", "conversation_id": "x"}]
    report = await send(
        user,
        zipped(
            **{
                "export/conversations-000": json.dumps(tree).encode(),
                "export/conversations-001": b"\xef\xbb\xbf" + json.dumps(second).encode(),
                "export/user": b"not even JSON",
            }
        ),
    )

    assert (report["found"], report["imported"]) == (3, 2)


BOMB = b"[" + b" " * (4 << 20) + b"]"
HALF_A_BOMB = b"[" + b" " * (2 << 20) + b"]"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"no JSON", 400),
        (b"[{}, {", 400),
        (b"3", 422),
        (b"null", 422),
        (b'"text"', 422),
        (b"[1]", 422),
        (b"[[]]", 422),
        (b"\xff\xfe[]", 400),
        (b"[" * 200_000, 422),
        (b'[{"mapping": ' + b"[" * 200_000 + b"]" * 200_000 + b"}]", 400),
        (b'{"a":' * 200_000, 400),
        (b"[" + b"{}," * 400_000 + b"{}]", 422),
        (b'[{"chat_messages":[' + b'"",' * 400_000 + b'""]}]', 422),
        (b"[" + b'{"aaaa":11},' * 10_000 + b"{}]", 413),
        (BOMB, 413),
        (zipped(conversations=BOMB), 413),
        (zipped(**{"conversations": HALF_A_BOMB, "x/conversations": HALF_A_BOMB}), 413),
        (zipped(other=b"[]"), 422),
        (zipped(), 422),
        (zipped(conversations=b"[]")[:-30], 400),
        (zipped(conversations=b"[]").replace(b"conversations", b"conversationz", 1), 400),
        (b"PK\x03\x04" + b"\0" * 100, 400),
    ],
)
async def test_a_body_that_is_no_export_is_refused(
    settings: Settings, web_root: Path, database: Database, content: bytes, status: int
) -> None:
    small = settings.model_copy(update={"max_import_bytes": 3 << 20})
    async with site(small, web_root) as http:
        await ChatClient(http).register()
        headers = {"content-type": "application/octet-stream"}
        response = await http.post("/api/import", content=content, headers=headers)

    assert response.status_code == status, response.text[:500]
    assert response.headers["content-type"] == "application/problem+json"
    assert await database.value("SELECT count(*) FROM conversations") == 0


async def test_another_media_type_is_refused(user: ChatClient) -> None:
    for media_type in ("text/plain", "multipart/form-data; boundary=x", ""):
        headers = {"content-type": media_type}
        response = await user.http.post("/api/import", content=b"[]", headers=headers)
        assert response.status_code == 415


def _with(name: str, **changes: Any) -> Any:
    found = sample(name)
    return (found[0] if isinstance(found, list) else found) | changes


MESSAGE = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"unknown": []},
        {"mapping": []},
        {"mapping": {}},
        {"mapping": {"a": {"parent": "a", "message": None}}},
        {"mapping": {"a": 5}},
        {"chat_messages": None},
        {"chat_messages": [{"sender": "human", "text": ""}]},
        {"chat_messages": [{"sender": "human", "text": "x", "uuid": "1"}] * 2},
        {"messages": [MESSAGE]},
        {"id": "c", "messages": []},
        {"id": "c", "messages": [MESSAGE, MESSAGE]},
        {"id": "c", "messages": [MESSAGE | {"role": "system"}]},
        {"id": "c", "messages": [MESSAGE | {"parent_id": "n"},
                                 MESSAGE | {"id": "n", "parent_id": "m"}]},
        {"id": "x" * 65, "messages": [MESSAGE]},
        _with("tailrace", tags=["x"] * 21),
        _with("tailrace", system_prompt="x" * 32_001),
        _with("chatgpt", conversation_id=""),
        {"id": "c", "messages": [MESSAGE | {"id": str(number)} for number in range(10_001)]},
    ],
)  # fmt: skip
async def test_one_that_cannot_be_taken_is_told_and_the_others_are_taken(
    user: ChatClient, database: Database, broken: Any
) -> None:
    report = await send(user, [broken, sample("tailrace")])

    assert [item["title"] for item in report["items"]] == ["Rivers"]
    assert len(report["skipped"]) == 1
    assert report["skipped"][0]["reason"]
    assert await database.value("SELECT count(*) FROM conversations") == 1
    assert await database.value("SELECT count(*) FROM messages") == 3


async def test_what_postgresql_cannot_hold_is_replaced(user: ChatClient) -> None:
    odd = "a\0b"
    message = {"id": odd, "role": "assistant", "parts": [
        {"type": "text", "text": odd, "providerMetadata": {odd: {odd: [odd]}}}],
        "metadata": {"model": odd}, "status": "error"}  # fmt: skip
    report = await send(user, {"id": odd, "title": odd, "tags": [odd], "messages": [message]})

    conversation = await user.conversation(report["items"][0]["id"])
    assert conversation["messages"][0]["parts"][0]["text"] == "a\ufffdb"
    # It does not say what was wrong, and so is no error that could be told.
    assert conversation["messages"][0]["status"] == "interrupted"


async def test_files_that_no_chat_takes_are_left_out(user: ChatClient) -> None:
    parts = [
        {"type": "text", "text": "Hi"},
        {"type": "file", "mediaType": "image/png", "url": "https://elsewhere.example/x.png"},
        {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,AAAA"},
        {"type": "tool-call", "text": "x"},
    ]
    report = await send(user, {"id": "c", "messages": [MESSAGE | {"parts": parts}]})

    assert report["left_out"] == {"files": 2, "parts": 1}
    conversation = await user.conversation(report["items"][0]["id"])
    assert [part["type"] for part in conversation["messages"][0]["parts"]] == ["text"]


async def test_very_long_texts_are_taken(user: ChatClient) -> None:
    words = " ".join(f"word{number}" for number in range(200_000))
    message = MESSAGE | {"parts": [{"type": "text", "text": words}]}
    report = await send(user, {"id": "c", "messages": [message]})

    conversation = await user.conversation(report["items"][0]["id"])
    assert conversation["messages"][0]["parts"][0]["text"] == words


@pytest.mark.parametrize("state", ["54000", "22001", "23514"])
async def test_what_the_database_refuses_is_told_and_leaves_nothing(
    user: ChatClient, database: Database, settings: Settings, state: str
) -> None:
    refuse = f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'refused' USING ERRCODE = '{state}';
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON messages FOR EACH ROW
        WHEN (NEW.parts::text LIKE '%The Wye%') EXECUTE FUNCTION refuse();
    """
    url = settings.database_url.get_secret_value()
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(refuse.encode())
    report = await send(user, [*sample("claude"), sample("tailrace")])

    assert [item["title"] for item in report["items"]] == ["Mill ponds", "Rivers"]
    reasons = {skipped["title"]: skipped["reason"] for skipped in report["skipped"]}
    assert reasons[""] == "The database cannot hold it."
    assert await database.value("SELECT count(*) FROM conversations") == 2
    assert await database.value("SELECT count(*) FROM imports") == 2


@pytest.mark.parametrize("depth", [50, 300, 900, 5000])
async def test_deep_metadata_does_no_harm(user: ChatClient, database: Database, depth: int) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    content = (
        b'{"id": "c", "messages": [{"id": "m", "role": "assistant", "metadata": %b, "parts":'
        b' [{"type": "text", "text": "Hi", "providerMetadata": {"p": %b}}]}]}' % (deep, deep)
    )
    headers = {"content-type": "application/json"}
    response = await user.http.post("/api/import", content=content, headers=headers)

    assert response.status_code in (200, 400)
    conversations = await database.rows("SELECT id FROM conversations")
    for conversation in conversations:
        await user.conversation(conversation["id"])
        path = f"/api/conversations/{conversation['id']}/export"
        assert (await user.http.get(path)).status_code == 200
