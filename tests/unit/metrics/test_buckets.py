"""The widths of the buckets of a span."""

from datetime import UTC, datetime, timedelta

import pytest

from tailrace.metrics.overview import bucket_seconds

_START = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("span", "width"),
    [
        (timedelta(seconds=1), 1),
        (timedelta(minutes=1), 1),
        (timedelta(minutes=15), 15),
        (timedelta(hours=1), 60),
        (timedelta(days=1), 1200),
        (timedelta(days=7), 3 * 3600),
        (timedelta(days=30), 12 * 3600),
        (timedelta(days=366), 7 * 86_400),
        (timedelta(days=3660), 61 * 86_400),
    ],
)
def test_a_span_is_cut_into_about_sixty(span: timedelta, width: int) -> None:
    assert bucket_seconds(_START, _START + span) == width
    if span > timedelta(minutes=1):
        assert 40 <= span.total_seconds() / width <= 85
