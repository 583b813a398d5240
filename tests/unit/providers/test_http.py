"""What a refusal's head and body say: its class, its words, how long to wait."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tailrace.providers.http import classify, error_of, message_in, retry_after


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
    ],
)
def test_the_wait_a_provider_asks_for(headers, expected) -> None:
    assert retry_after(headers) == expected


def test_a_date_is_a_wait_from_now() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)

    wait = retry_after({"retry-after": date})

    assert wait is not None
    assert 50 < wait <= 60


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"error": {"message": "words", "type": "x"}}, "words"),
        ({"error": "words"}, "words"),
        ([{"error": {"message": "words"}}], "words"),
        ({"detail": [{"message": "words"}]}, "words"),
        ({"message": "words"}, "words"),
        ({}, ""),
        ([], ""),
    ],
)
def test_the_words_are_found_wherever_they_stand(value, expected) -> None:
    assert message_in(value) == expected


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, "This model's maximum context length is 8192 tokens", "context_length"),
        (400, "the request exceeds the available context size", "context_length"),
        (400, "Your input exceeds the context window of this model", "context_length"),
        (400, "The input token count (12) exceeds the maximum", "context_length"),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", "context_length"),
        (400, "max_tokens is too large: 100000", "invalid_request"),
        (418, "", "invalid_request"),
        (503, "", "overloaded"),
        (529, "", "overloaded"),
        (502, "", "server_error"),
        (302, "", "protocol"),
    ],
)
def test_failures_have_a_class(status, message, expected) -> None:
    assert classify(status, message) == expected


def test_an_empty_refusal_keeps_the_reason() -> None:
    assert error_of(503, {}, b"", "Service Unavailable").message == "HTTP 503: Service Unavailable"
