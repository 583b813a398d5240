"""Redaction: what must go, what must stay, and that cutting a text brings nothing back."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.telemetry.redact import preview, redact

# Shapes as their issuers document them; none was ever valid.
_SECRETS = {
    "OpenAI": "sk-proj-Ab3dEf6hIj9lMn2pQr5tUv8xYz1",
    "OpenAI, old": "sk-abcdefghijklmnopqrstuvwxyz012345",
    "Anthropic": "sk-ant-api03-Ab3dEf6hIj9lMn2pQr5tUv8xYz1-_A",
    "Google": "AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "Google OAuth": "ya29.a0AfH6SMBx1234567890abcdefghij",
    "Groq": "gsk_Ab3dEf6hIj9lMn2pQr5tUv8xYz1Ab3dEf6hI",
    "xAI": "xai-Ab3dEf6hIj9lMn2pQr5tUv8xYz1",
    "Perplexity": "pplx-ab3def6hij9lmn2pqr5tuv8xyz1",
    "Hugging Face": "hf_AbCdEfGhIjKlMnOpQrStUvWxYz0123456",
    "Replicate": "r8_AbCdEfGhIjKlMnOpQrStUvWxYz0123456",
    "NVIDIA": "nvapi-Ab3dEf6hIj9lMn2pQr5tUv8xYz1",
    "GitHub": "ghp_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
    "GitHub, fine": "github_pat_11ABCDEFG0abcdefghijklmnopqrstuvwxyz",
    "GitLab": "glpat-Ab3dEf6hIj9lMn2pQr5t",
    "Slack": "xoxb-123456789012-abcdefghijkl",
    "Stripe": "sk_live_51AbCdEfGhIjKlMnOp",
    "Tailrace": "tr_a1b2c3d4_Ab3dEf6hIj9lMn2pQr5tUv8xYz1Ab3dEf6hIj9lMn2p",
    "AWS id": "AKIAIOSFODNN7EXAMPLE",
    "Bedrock": "ABSKQmVkcm9ja0FQSUtleS1hYmNkZWZnaGlqa2xtbm9w",
    "JWT": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----",
    "cut private key": "-----BEGIN PRIVATE KEY-----\nMIIEow",
    "email": "ada.lovelace+notes@mail.example.co.uk",
    "email, international": "jürgen@bücher.example",
    "card": "4111 1111 1111 1111",
    "card in one": "378282246310005",
}

# The first group stays, the second must go.
_NAMED = [
    ("Authorization: Bearer ", "abc123def456ghi789"),
    ("authorization: ", "3f2a9c81d0e74b55"),
    ("bearer ", "AbCdEfGhIjKlMnOp"),
    ("Basic ", "dXNlcjpwYXNzd29yZA=="),
    ("aws_secret_access_key = ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("AWS_SESSION_TOKEN=", "FwoGZXIvYXdzEBYaD"),
    ('{"api_key": "', "0123456789abcdef"),
    ('{\\"client_secret\\": \\"', "0123456789abcdef"),
    ("x-api-key: ", "0123456789abcdef"),
    ("password=", "correcthorse"),
    ("PWD: ", "correcthorse"),
    ("postgresql://tailrace:", "correct-horse"),
]

_HARMLESS = [
    "What is the key to a good password policy?",
    "a basic understanding of bearer bonds",
    "It used 1234567890123 input_tokens: 1048576, max_tokens=4096.",
    "id 0192f0c1-2d3e-7f4a-8b5c-6d7e8f901234, at 1732204800000",
    "4111 1111 1111 1112 is no card",
    "see https://example.org:8080/path?page=2 and a@b",
    "sk-short, task-force-of-many-people-that-goes-on, desk-lamp",
    "def f(x): return x @ y",
    "日本語のテキスト",
]


@pytest.mark.parametrize("secret", _SECRETS.values(), ids=_SECRETS)
def test_a_secret_goes(secret: str) -> None:
    redacted = redact(f"before {secret} after")
    assert secret not in redacted
    assert redacted.startswith("before [redacted ")
    assert redacted.endswith("] after") or "BEGIN PRIVATE" in secret


@pytest.mark.parametrize(("label", "secret"), _NAMED)
def test_a_named_secret_goes_and_its_name_stays(label: str, secret: str) -> None:
    redacted = redact(f"x {label}{secret}@host")
    assert redacted.startswith(f"x {label}[redacted ")
    assert secret not in redacted


@pytest.mark.parametrize("text", _HARMLESS)
def test_other_text_stays(text: str) -> None:
    assert redact(text) == text


_texts = st.lists(
    st.one_of(
        st.sampled_from(list(_SECRETS.values())),
        st.sampled_from([label + secret for label, secret in _NAMED]),
        st.sampled_from(_HARMLESS),
        st.text(max_size=20),
        st.text(alphabet="aA0-_.@: ", max_size=200),
    ),
    max_size=60,
).map(" ".join)


@given(_texts)
def test_redacting_twice_changes_nothing(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@given(_texts, st.integers(0, 3000))
def test_a_preview_is_the_beginning_of_the_redacted_text(text: str, limit: int) -> None:
    assert preview(text, limit) == redact(text)[:limit].replace("\0", "\ufffd")


@given(st.sampled_from(list(_SECRETS.values())), st.integers(0, 600), st.integers(0, 4000))
def test_a_cut_leaves_no_half_of_a_secret(secret: str, before: int, after: int) -> None:
    text = "x " * before + secret + " y" * after
    kept = preview(text, 500)
    # What is redacted begins with a bracket; no piece of the secret itself may be left.
    assert secret[:8] not in kept


@pytest.mark.parametrize(
    "piece",
    ["a", "4", "4444-", "eyJ", "sk-", "://a:", "a.a@a.", "api_key=", "bearer a", "-----BEGIN "],
)
def test_time_is_linear_in_the_text(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * (length // len(piece) + 1))[:length] + "@"
        return min(_timed(text) for _ in range(3))

    # Four times the text, in quadratic time, would take sixteen times as long.
    assert seconds(80_000) < 9 * max(seconds(20_000), 0.0005)


def _timed(text: str) -> float:
    start = process_time()
    redact(text)
    return process_time() - start


def test_a_long_text_is_read_no_further_than_needed() -> None:
    assert _timed("word " * 200) * 50 > _preview_time("word " * 2_000_000)


def _preview_time(text: str) -> float:
    start = process_time()
    preview(text, 500)
    return process_time() - start
