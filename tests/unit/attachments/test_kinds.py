"""What files are by their bytes, and names that are safe wherever they are shown."""

import unicodedata
from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.attachments import kinds

ANY_TEXT = st.text(alphabet=st.characters(), max_size=400)


@pytest.mark.parametrize(
    ("declared", "data", "is_really"),
    [
        ("text/plain", b"\x89PNG\r\n\x1a\n...", "image/png"),
        ("image/png", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("image/gif", b"GIF89a", "image/gif"),
        ("image/webp", b"RIFF\0\0\0\0WEBP", "image/webp"),
        ("image/webp", b"RIFF\0\0\0\0WAVE", None),
        ("text/plain", b"%PDF-1.7", "application/pdf"),
        ("application/pdf", b"Hello", None),
        ("image/svg+xml", b"<svg onload='x()'/>", None),
        ("text/html", b"<script>", "text/html"),
        ("application/json", b"{}", "text/plain"),
        ("text/x\r\nset-cookie: a", b"Hello", "text/plain"),
        ("text/plain", b"a\0b", None),
        ("text/plain", b"\xff", None),
    ],
)
def test_a_file_is_what_its_bytes_say(declared: str, data: bytes, is_really: str | None) -> None:
    assert kinds.sniff(declared, data) == is_really


@given(ANY_TEXT)
def test_a_clean_name_is_one_visible_line_without_a_path(filename: str) -> None:
    name = kinds.clean_name(filename)

    assert len(name) <= 200
    assert name == name.strip()
    assert not set(name) & set("/\\")
    assert not [c for c in name if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert kinds.clean_name(name) == name
    name.encode()


@given(st.sampled_from([*kinds.IMAGES, kinds.PDF, "text/plain", "text/html"]), ANY_TEXT)
def test_any_name_makes_one_header_that_tells_it(media_type: str, filename: str) -> None:
    header = kinds.disposition(media_type, filename)

    assert header.isascii()
    assert header.isprintable(), "no line break begins another header"
    message = Message()
    message["content-disposition"] = header
    shown = media_type in kinds.IMAGES
    assert message.get_content_disposition() == ("inline" if shown else "attachment")
    told = header.split("filename*=UTF-8''")[1]
    assert unquote(told) == (kinds.clean_name(filename) or "file")
    assert header.count('"') == 2


@given(st.text(max_size=80))
def test_nothing_is_served_that_runs(media_type: str) -> None:
    assert kinds.served_type(media_type) in (
        *kinds.IMAGES,
        kinds.PDF,
        "text/plain; charset=utf-8",
    )
