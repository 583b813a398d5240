"""Spans of time: cut into buckets that people read off an axis, and into rollups that cover them.

Rollups are of minutes, hours and days of UTC; a bucket may be of any length and any time zone, and
is put together from the longest that fit.
"""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tailrace.problems import invalid

MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

#: Longest span that can be read.
LONGEST = timedelta(days=366)
#: Most buckets of a series.
MOST_BUCKETS = 1500

# Widths that people read off a time axis, in seconds; beyond, whole days.
_WIDTHS = (
    *(minutes * 60 for minutes in (1, 2, 5, 10, 15, 20, 30)),
    *(hours * 3600 for hours in (1, 2, 3, 4, 6, 8, 12)),
    *(days * 86_400 for days in (1, 2, 3, 5, 7)),
)
_POINTS = 60
_MONTHS = "month"
_NAMED = {"minute": 60, "hour": 3600, "day": 86_400, "week": 7 * 86_400}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A Monday, at midnight by the clocks of any zone.
_MONDAY = datetime(2001, 1, 1)


class Span(NamedTuple):
    """The time from `start` until just before `end`, both of whole minutes."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, start: datetime, end: datetime) -> "Span":
        """Return the span of the whole minutes that times lie in.

        Raises
        ------
        Problem
            422 when the end is not after the start, or the span longer than can be read.
        """
        for field, moment in (("from", start), ("to", end)):
            # The years that `tailrace.telemetry.event` takes; beyond, dates cannot be reckoned.
            if not 1970 <= moment.year < 9999:
                raise invalid(field, "Must lie within the years 1970 to 9998.")
        if start >= end:
            raise invalid("from", "Must be before to.")
        if end - start > LONGEST:
            raise invalid("from", f"A span of at most {LONGEST.days} days can be read.")
        return cls(floor(start, MINUTE), ceiling(end, MINUTE))

    @property
    def previous(self) -> "Span":
        """The span of the same length before this one."""
        return Span(self.start - (self.end - self.start), self.start)


class Segment(NamedTuple):
    """A part of a bucket: the rollups of a tier, from `start` until before `end`."""

    bucket: int
    tier: str
    start: datetime
    end: datetime


_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*)*")

_TIERS = (("day", DAY), ("hour", _HOUR), ("minute", MINUTE))


def cover(edges: list[datetime]) -> Iterator[Segment]:
    """Yield the rollups that the buckets between edges are made of."""
    for bucket, (start, end) in enumerate(pairwise(edges)):
        for tier, first, last in _split(start, end, 0):
            yield Segment(bucket, tier, first, last)


def _split(start: datetime, end: datetime, level: int) -> Iterator[tuple[str, datetime, datetime]]:
    if start >= end:
        return
    tier, width = _TIERS[level]
    first, last = ceiling(start, width), floor(end, width)
    if first < last:
        yield tier, first, last
        if level < len(_TIERS) - 1:
            yield from _split(start, first, level + 1)
            yield from _split(last, end, level + 1)
    elif level < len(_TIERS) - 1:
        yield from _split(start, end, level + 1)


def bucket_seconds(span: Span) -> int:
    """Return the width that cuts a span into about 60 buckets, or 30 where these are days."""
    ideal = (span.end - span.start).total_seconds() / _POINTS
    if ideal > _WIDTHS[-1]:
        return math.ceil(ideal / 86_400) * 86_400
    # Weeks are looked at by days, for which there are rollups, rather than by parts of days.
    widths = [width for width in _WIDTHS if (width >= 86_400) == (ideal >= 6 * 3600)]
    # Nearest by ratio: half as many buckets are as far off as twice as many.
    return min(widths, key=lambda width: abs(math.log(width / ideal)))


def width_of(bucket: str, span: Span) -> int | None:
    """Return the seconds of a bucket: ``auto``, a name, or seconds; ``None`` for months.

    Raises
    ------
    Problem
        422 for what is no width.
    """
    if bucket == "auto":
        return bucket_seconds(span)
    if bucket == _MONTHS:
        return None
    width = _NAMED.get(bucket) or (int(bucket) if bucket.isascii() and bucket.isdigit() else 0)
    if width not in _WIDTHS and (width < 86_400 or width % 86_400):
        raise invalid(
            "bucket",
            "Must be auto, minute, hour, day, week, month, or as many seconds as 1, 2, 5, 10, 15, "
            "20 or 30 minutes, 1, 2, 3, 4, 6, 8 or 12 hours, or whole days have.",
        )
    return width


def edges(span: Span, width: int | None, zone: ZoneInfo) -> list[datetime]:
    """Return the edges of the buckets of a span: its ends, and every one between, in UTC.

    Buckets of up to an hour last so long; longer ones begin at the same times by the clocks of the
    zone every day, whatever the clocks do that day.

    Raises
    ------
    Problem
        422 when there would be too many.
    """
    if width and (span.end - span.start).total_seconds() / width > MOST_BUCKETS:
        raise invalid("bucket", f"A series has at most {MOST_BUCKETS:,} points.")
    found = [span.start]
    for edge in _edges_from(span.start, width, zone):
        if edge >= span.end:
            break
        if edge > found[-1]:
            found.append(edge)
    return [*found, span.end]


def start_of_bucket(moment: datetime, width: int | None, zone: ZoneInfo) -> datetime:
    """Return when the bucket that holds a moment begins, in UTC."""
    return next(_edges_from(moment, width, zone))


def _edges_from(start: datetime, width: int | None, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the edges of buckets, beginning with that of the bucket which holds `start`."""
    local = start.astimezone(zone)
    if width is not None and width <= 3600:
        # Clocks are ahead of UTC by quarters of an hour, which must not shift a bucket of ours.
        ahead = local.utcoffset() or timedelta()
        step = timedelta(seconds=width)
        edge = floor(start + ahead, step) - ahead
        while True:
            yield edge.replace(second=0, microsecond=0)
            edge += step
    naive = local.replace(tzinfo=None, fold=0)
    if width is None:
        edge = datetime(naive.year, naive.month, 1)
    elif width < 86_400:
        edge = naive.replace(hour=0, minute=0, second=0, microsecond=0)
        edge += (naive - edge) // timedelta(seconds=width) * timedelta(seconds=width)
    else:
        step = timedelta(seconds=width)
        edge = _MONDAY + (naive - _MONDAY) // step * step
    while True:
        moment = edge.replace(tzinfo=zone).astimezone(UTC)
        yield moment.replace(second=0, microsecond=0)
        if width is None:
            edge = (edge.replace(day=28) + timedelta(days=4)).replace(day=1)
        else:
            edge += timedelta(seconds=width)


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its name in the IANA database.

    Raises
    ------
    Problem
        422 when there is none of that name.
    """
    try:
        # A name is a path below the database's folder, where there is more than zones.
        return ZoneInfo(name if _ZONE.fullmatch(name) else "")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid("tz", "Must be a time zone's name, such as Europe/Berlin.") from None


def floor(moment: datetime, width: timedelta) -> datetime:
    """Return the last of the moments, so far apart, that is not after this one."""
    return _EPOCH + (moment - _EPOCH) // width * width


def ceiling(moment: datetime, width: timedelta) -> datetime:
    """Return the first of the moments, so far apart, that is not before this one."""
    return _EPOCH - (_EPOCH - moment) // width * width
