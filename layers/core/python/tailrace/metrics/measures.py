"""What is measured of calls: sums, and histograms of what varies."""

from decimal import Decimal
from typing import Any

from tailrace.metrics.histogram import Histogram
from tailrace.metrics.money import usd

#: What histograms are kept of: seconds, and US dollars.
DISTRIBUTIONS = (
    "duration",
    "time_to_first_chunk",
    "time_per_output_chunk",
    "cost_usd",
)
_COUNTS = ("requests", "errors", "cancelled", "unpriced_requests")
TOKENS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)
_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


class Measures:
    """Sums over some calls; adding two gives those of both.

    Attributes
    ----------
    sums
        By the names of the rollups' columns.
    histograms
        By name of distribution, those that were asked for.
    """

    __slots__ = ("_greatest", "histograms", "sums")

    def __init__(self) -> None:
        self.sums: dict[str, Any] = dict.fromkeys((*_COUNTS, *TOKENS), 0)
        for name in DISTRIBUTIONS:
            self.sums[f"{name}_count"] = 0
            self.sums[f"{name}_sum"] = Decimal(0)
        self._greatest: dict[str, Any] = dict.fromkeys(("duration", "cost_usd"))
        self.histograms: dict[str, Histogram] = {}

    def add(self, row: dict[str, Any], histograms: tuple[str, ...]) -> None:
        """Add a row of a summary, with these of its histograms."""
        for name in self.sums:
            self.sums[name] += row[name]
        for name, greatest in self._greatest.items():
            value = row[f"{name}_max"]
            if value is not None and (greatest is None or value > greatest):
                self._greatest[name] = value
        for name in histograms:
            histogram = Histogram.read(
                row[f"{name}_buckets"], row[f"{name}_histogram"], row[f"{name}_count"]
            )
            known = self.histograms.get(name)
            self.histograms[name] = histogram if known is None else known + histogram

    def counts(self) -> dict[str, Any]:
        """Return the sums as they are told: tokens as whole numbers, the cost as decimal text."""
        requests, errors = self.sums["requests"], self.sums["errors"]
        return {
            "requests": requests,
            "errors": errors,
            "error_rate": errors / requests if requests else 0.0,
            "cancelled": self.sums["cancelled"],
            "unpriced_requests": self.sums["unpriced_requests"],
            **{name: int(self.sums[name]) for name in TOKENS},
            "cost_usd": self.cost_usd,
        }

    @property
    def cost_usd(self) -> str | None:
        """What is known of the cost, as decimal text; ``None`` when nothing is."""
        return usd(self.sums["cost_usd_sum"]) if self.sums["cost_usd_count"] else None

    def percentiles(self, name: str, fractions: tuple[float, ...]) -> list[float | None]:
        """Return percentiles of a distribution; all ``None`` when nothing was measured."""
        histogram = self.histograms.get(name)
        found = histogram.percentiles(fractions) if histogram is not None else None
        return [None] * len(fractions) if found is None else [*found]

    def distribution(self, name: str) -> dict[str, float] | None:
        """Return mean, percentiles and (where it is kept) maximum; ``None`` without a value."""
        count = self.sums[f"{name}_count"]
        if not count:
            return None
        values = self.percentiles(name, tuple(_PERCENTILES.values()))
        told: dict[str, Any] = dict(zip(_PERCENTILES, values, strict=True))
        told["mean"] = float(self.sums[f"{name}_sum"] / count)
        if name in self._greatest:
            told["max"] = float(self._greatest[name])
        return told
