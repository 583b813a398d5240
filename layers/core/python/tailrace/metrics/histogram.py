"""Histograms of rollups: read from what PostgreSQL adds up, merged, and asked.

`bucket_of` and `histogram_of` of the migrations tell how a value becomes a bucket and what a sum of
histograms looks like; here buckets become values again. A bucket's middle is within 1 % of every
value in it, and so is any percentile.
"""

import math
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from operator import add
from struct import unpack_from
from sys import byteorder

_BASE = 1.02
_OFFSET = 1396
# The wire form of a numeric has digits of base 10,000; three of them are a bucket.
_DIGITS = 3
_HEADER = 8


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many values lie above `lower` and up to `upper`; both are 0 for values of zero."""

    lower: float
    upper: float
    count: int


class Histogram:
    """Counts by bucket, the smallest values first.

    Parameters
    ----------
    first
        Number of the first bucket, as `bucket_of` numbers them.
    counts
        Counts of it and of the buckets that follow.
    zeros
        How many values are zero.
    """

    __slots__ = ("_counts", "_first", "zeros")

    def __init__(self, first: int = 0, counts: Iterable[int] = (), zeros: int = 0) -> None:
        self._first = first
        self._counts = list(counts)
        self.zeros = zeros

    @classmethod
    def read(cls, buckets: bytes | None, histogram: bytes | None, count: int) -> "Histogram":
        """Return what rows of rollups say together.

        Parameters
        ----------
        buckets
            The buckets of single values, two bytes each.
        histogram
            A sum of histograms as ``numeric_send`` gives it.
        count
            How many values there were, those of zero included.
        """
        found = cls._of_number(histogram) if histogram else cls()
        if buckets:
            found += cls._of_buckets(buckets)
        found.zeros = count - sum(found._counts)
        return found

    @classmethod
    def _of_buckets(cls, buckets: bytes) -> "Histogram":
        counted = Counter(_shorts(buckets))
        first, last = min(counted), max(counted)
        return cls(first, [counted[number] for number in range(first, last + 1)])

    @classmethod
    def _of_number(cls, wire: bytes) -> "Histogram":
        number, weight = unpack_from(">hh", wire)
        if number == 0:
            return cls()
        # Zeros at both ends are left out on the wire; whole buckets need them.
        lowest = weight - number + 1
        padded = [
            *[0] * (_DIGITS - 1 - weight % _DIGITS),
            *_shorts(wire[_HEADER : _HEADER + 2 * number]),
            *[0] * (lowest % _DIGITS),
        ]
        highs, middles, counts = padded[::3], padded[1::3], padded[2::3]
        if any(middles) or any(highs):
            counts = [
                high * 10**8 + middle * 10**4 + low
                for high, middle, low in zip(highs, middles, counts, strict=True)
            ]
        counts.reverse()
        return cls(lowest // _DIGITS, counts)

    def __add__(self, other: "Histogram") -> "Histogram":
        zeros = self.zeros + other.zeros
        if not self._counts or not other._counts:
            part = self if self._counts else other
            return Histogram(part._first, part._counts, zeros)
        first = min(self._first, other._first)
        last = max(self._first + len(self._counts), other._first + len(other._counts))
        ours, theirs = (
            [
                *[0] * (part._first - first),
                *part._counts,
                *[0] * (last - part._first - len(part._counts)),
            ]
            for part in (self, other)
        )
        counts = map(add, ours, theirs)
        return Histogram(first, counts, zeros)

    def __len__(self) -> int:
        return self.zeros + sum(self._counts)

    def __iter__(self) -> Iterator[Bucket]:
        """Yield the buckets that hold anything, the smallest values first."""
        if self.zeros:
            yield Bucket(0.0, 0.0, self.zeros)
        for number, count in enumerate(self._counts, start=self._first - _OFFSET):
            if count:
                yield Bucket(_BASE ** (number - 1), _BASE**number, count)

    def percentiles(self, fractions: Iterable[float]) -> list[float] | None:
        """Return values below which these fractions of all lie; ``None`` where there is none.

        Between two values the percentile is interpolated, as by ``percentile_cont``, and within 1 %
        of what that would be.
        """
        total = len(self)
        if not total:
            return None
        ends = list(accumulate(self._counts, initial=self.zeros))

        def at(rank: int) -> float:
            number = bisect_right(ends, rank)
            return _middle(self._first + number - 1) if number else 0.0

        found = []
        for fraction in fractions:
            position = fraction * (total - 1)
            low, high = at(math.floor(position)), at(math.ceil(position))
            found.append(low + (high - low) * (position - math.floor(position)))
        return found


def _middle(number: int) -> float:
    """Return the value that stands for all of a bucket, within 1 % of each."""
    upper = _BASE ** (number - _OFFSET)
    # Of a and b it is 2ab / (a + b), from which both are equally far off.
    return 2 * upper / (_BASE + 1)


def _shorts(wire: bytes) -> array:
    """Return the integers in bytes, two in network order each."""
    shorts = array("h", wire)
    if byteorder == "little":
        shorts.byteswap()
    return shorts
