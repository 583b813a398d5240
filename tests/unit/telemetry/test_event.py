"""The event's wire form: what goes in comes out, within its bounds."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tailrace.storable import storable
from tailrace.telemetry.event import MAX_PAYLOAD, InvalidEvent, decode, encode
from tests.support.events import make_event


def test_an_event_survives_the_way() -> None:
    event = make_event(metadata={"a": [1, None]}, input_preview="👋", owner_id=make_event().id)
    assert decode(encode(event)) == event


def test_the_names_are_those_of_the_conventions() -> None:
    event = make_event(cache_read_input_tokens=1, reasoning_output_tokens=2, error_type="timeout")
    assert json.loads(encode(event)).keys() == {
        *("id", "schema_version", "kind", "status", "started_at", "duration", "provider_name"),
        *("request_model", "finish_reasons", "error_type", "time_to_first_chunk", "input_tokens"),
        *("cache_read_input_tokens", "output_tokens", "reasoning_output_tokens"),
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"response_id": "x" * 300}, {"response_id": "x" * 256}),
        ({"response_id": ""}, {"response_id": None}),
        ({"error_message": "x" * 30_000}, {"error_message": "x" * 20_000}),
        ({"input_preview": "a\0b\ud800"}, {"input_preview": "a\ufffdb\ufffd"}),
        ({"output_preview": "\ud83d\udc4b"}, {"output_preview": "👋"}),
        ({"finish_reasons": ["", "a" * 300]}, {"finish_reasons": ["a" * 256]}),
        ({"finish_reasons": ["a"] * 20}, {"finish_reasons": ["a"] * 16}),
    ],
)
def test_what_others_chose_is_made_to_fit(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    event = make_event(**fields)
    sent = decode(encode(event))
    assert {name: getattr(sent, name) for name in expected} == expected


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"\xff", b" " * (MAX_PAYLOAD + 1)])
def test_what_is_no_event_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidEvent):
        decode(payload)


def test_times_are_read_in_any_zone() -> None:
    payload = encode(make_event(started_at=datetime(2026, 1, 1, 12, tzinfo=UTC)))
    moved = payload.replace(b"2026-01-01T12:00:00Z", b"2026-01-01T14:00:00+02:00")
    assert moved != payload
    assert decode(moved).started_at == datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_storable_text_stays_as_it_is() -> None:
    assert storable("plain, ünïcödé, 👋") == "plain, ünïcödé, 👋"
