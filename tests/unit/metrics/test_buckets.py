"""Spans of time: their buckets by the clocks of a zone, and the rollups that cover them."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.metrics.spans import (
    MOST_BUCKETS,
    Span,
    bucket_seconds,
    cover,
    edges,
    start_of_bucket,
    width_of,
    zone_of,
)
from tailrace.problems import Problem

_START = datetime(2026, 11, 21, tzinfo=UTC)
_BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("span", "width"),
    [
        (timedelta(seconds=1), 60),
        (timedelta(minutes=15), 60),
        (timedelta(hours=1), 60),
        (timedelta(days=1), 1200),
        (timedelta(days=7), 3 * 3600),
        (timedelta(days=30), 86_400),
        (timedelta(days=366), 7 * 86_400),
    ],
)
def test_a_span_is_cut_into_about_sixty(span: timedelta, width: int) -> None:
    assert bucket_seconds(Span.of(_START, _START + span)) == width
    if span > timedelta(minutes=15):
        assert 30 <= span.total_seconds() / width <= 85


def test_a_span_is_of_whole_minutes() -> None:
    span = Span.of(_START + timedelta(seconds=1), _START + timedelta(seconds=61))

    assert span == (_START, _START + timedelta(minutes=2))
    assert span.previous == (_START - timedelta(minutes=2), _START)


@pytest.mark.parametrize(
    ("bucket", "day", "lengths"),
    [
        # In spring a day has 23 hours, in autumn 25.
        ("day", datetime(2026, 3, 28), [24, 23, 24]),
        ("day", datetime(2026, 10, 24), [24, 25, 24]),
        (str(6 * 3600), datetime(2026, 10, 24), [6, 6, 6, 6, 7, 6, 6, 6, 6, 6, 6, 6]),
    ],
)
def test_days_are_as_long_as_the_clocks_make_them(
    bucket: str, day: datetime, lengths: list[int]
) -> None:
    start = day.replace(tzinfo=_BERLIN).astimezone(UTC)
    end = (day + timedelta(days=3)).replace(tzinfo=_BERLIN).astimezone(UTC)
    span = Span.of(start, end)

    found = edges(span, width_of(bucket, span), _BERLIN)

    assert [(b - a) / timedelta(hours=1) for a, b in pairwise(found)] == lengths


def test_an_hour_that_comes_twice_is_two_hours() -> None:
    span = Span.of(datetime(2026, 10, 24, 23, tzinfo=UTC), datetime(2026, 10, 25, 3, tzinfo=UTC))

    assert len(edges(span, 3600, _BERLIN)) == 5


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Australia/Eucla", "America/St_Johns"])
def test_hours_begin_with_the_hours_of_odd_zones(zone: str) -> None:
    found = edges(Span(_START, _START + timedelta(hours=5)), 3600, ZoneInfo(zone))

    assert {edge.astimezone(ZoneInfo(zone)).minute for edge in found[1:-1]} == {0}


def test_weeks_begin_on_mondays_and_months_on_their_first() -> None:
    span = Span(_START, _START + timedelta(days=60))

    assert {edge.weekday() for edge in edges(span, width_of("week", span), _BERLIN)[1:-1]} == {6}
    weeks = edges(span, width_of("week", span), ZoneInfo("UTC"))[1:-1]
    assert {edge.weekday() for edge in weeks} == {0}
    months = [edge.day for edge in edges(span, width_of("month", span), ZoneInfo("UTC"))[1:-1]]
    assert months == [1, 1]


def test_the_first_bucket_begins_before_the_span() -> None:
    moment = _START + timedelta(hours=13, minutes=7)

    assert start_of_bucket(moment, 86_400, _BERLIN) == _START - timedelta(hours=1)


@pytest.mark.parametrize("bucket", ["0", "90", "-60", "fortnight", "", "³", "100000"])
def test_odd_widths_are_refused(bucket: str) -> None:
    with pytest.raises(Problem) as caught:
        width_of(bucket, Span(_START, _START + timedelta(days=1)))
    assert caught.value.status == 422


def test_too_many_points_are_refused() -> None:
    span = Span(_START, _START + timedelta(minutes=MOST_BUCKETS + 1))

    with pytest.raises(Problem):
        edges(span, 60, _BERLIN)


@pytest.mark.parametrize(
    "name",
    [
        "Mars/Olympus",
        "",
        "Europe",
        "../etc/passwd",
        "Europe/../Berlin",
        "a" * 5000,
        "Europe/Berlin\0",
    ],
)
def test_unknown_zones_are_refused(name: str) -> None:
    with pytest.raises(Problem):
        zone_of(name)


_minutes = st.integers(0, 3 * 366 * 24 * 60).map(lambda n: _START + timedelta(minutes=n))
_zones = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"])


@given(_minutes, st.integers(1, 40 * 24 * 60), _zones, st.sampled_from(["auto", "day", "month"]))
def test_buckets_and_their_rollups_leave_no_gap(
    start: datetime, minutes: int, zone: str, bucket: str
) -> None:
    span = Span(start, start + timedelta(minutes=minutes))

    between = edges(span, width_of(bucket, span), ZoneInfo(zone))

    assert (between[0], between[-1]) == span
    assert all(a < b for a, b in pairwise(between))
    first = start_of_bucket(start, width_of(bucket, span), ZoneInfo(zone))
    assert first <= start < between[1]
    segments = sorted(cover(between), key=lambda segment: segment.start)
    assert (segments[0].start, segments[-1].end) == span
    assert all(a.end == b.start for a, b in pairwise(segments))
    for segment in segments:
        assert between[segment.bucket] <= segment.start < segment.end <= between[segment.bucket + 1]
