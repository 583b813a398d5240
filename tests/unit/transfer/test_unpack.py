"""What is made to fill memory is refused before it does."""

import io
import json
import tracemalloc
import zipfile

import pytest

from tailrace.problems import Problem
from tailrace.transfer import chatgpt
from tailrace.transfer.draft import Unusable
from tailrace.transfer.unpack import conversations

LIMIT = 32 << 20


def _zip(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"{}," * (4 << 20) + b"{}]",
        b"[" + b"[]," * (4 << 20) + b"[]]",
        b'[{"messages":[' + b'"a",' * (4 << 20) + b'"b"]}]',
        b"[" + b"1," * (8 << 20) + b"1]",
        b"[" * (16 << 20),
        _zip(**{"conversations.json": b"[" + b" " * (200 << 20) + b"]"}),
        _zip(**{f"{n}/conversations.json": b"[" + b" " * (9 << 20) + b"]" for n in range(20)}),
    ],
    ids=["objects", "lists", "texts", "numbers", "depth", "zip", "many files"],
)
def test_bombs_are_refused_early(body: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(Problem) as refused:
        conversations(body, LIMIT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert refused.value.status in (400, 413, 422)
    assert peak < 5 * LIMIT


def test_a_mapping_of_empty_nodes_is_refused_early() -> None:
    nodes = ",".join(f'"{number:x}" : {{}}' for number in range(1_000_000))
    body = ('{"mapping":{' + nodes + "}}").encode()
    (element,) = conversations(body, LIMIT)
    tracemalloc.start()
    with pytest.raises(Unusable, match="more than 10,000 messages"):
        chatgpt.read(element, "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 2 * len(body)


def test_a_zip_of_very_many_files_is_refused() -> None:
    with pytest.raises(Problem) as refused:
        conversations(b"PK\x03\x04" + b"PK\x01\x02" * 100_001, LIMIT)
    assert refused.value.status == 413


def test_an_export_of_much_code_is_none() -> None:
    """Braces and quotation marks in texts are not taken for structure that fills memory."""
    code = json.dumps([{"a": [1, {"b": "c"}], "name": "value"}] * 20, indent=1)
    export = [{"uuid": str(n), "chat_messages": [{"sender": "human", "text": code}]}
              for n in range(3000)]  # fmt: skip
    body = json.dumps(export).encode()
    assert len(body) > 2 << 20

    assert len(conversations(body, LIMIT)) == 3000


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(compression: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as packed:
        packed.writestr("conversations.json", b"[]")

    with pytest.raises(Problem) as refused:
        conversations(buffer.getvalue(), LIMIT)
    assert refused.value.status == 400


def test_a_single_conversation_and_a_byte_order_mark_are_taken() -> None:
    assert len(conversations(b'\xef\xbb\xbf {"a": 1}\n', LIMIT)) == 1
