"""Rollups as they stand, to compare one state of them with another."""

from typing import Any

from tailrace.services import Services
from tests.support.events import rows

#: What there is a histogram of.
DISTRIBUTIONS = ("duration", "time_to_first_chunk", "time_per_output_chunk", "cost_usd")


async def rolled_up(services: Services) -> list[dict[str, Any]]:
    """Return everything that is rolled up; in which order values came makes no difference."""
    found = await rows(services, "SELECT * FROM rollups ORDER BY 1, 2, 3, 4, 5, 6, 7")
    for row in found:
        for name in DISTRIBUTIONS:
            buckets = row[f"{name}_buckets"]
            row[f"{name}_buckets"] = sorted(
                buckets[at : at + 2] for at in range(0, len(buckets), 2)
            )
    return [*found, *await rows(services, "SELECT * FROM rollup_reasons ORDER BY 1,2,3,4,5,6,7,8")]
