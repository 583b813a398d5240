"""Counters for Prometheus, under OpenTelemetry's names, from the rollups of all time.

The text format, version 0.0.4. What was counted stays counted whatever retention drops, so that
counters go back only when rollups are rebuilt to less than they were.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import accumulate
from typing import Any

from tailrace.db import queries
from tailrace.db.pool import Pool, connect
from tailrace.metrics.histogram import Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_sql = queries.load("rollups")

# The boundaries that OpenTelemetry advises, in seconds.
_DURATIONS = tuple(0.01 * 2**number for number in range(14))
_FIRST_CHUNKS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0),
)
_PER_CHUNKS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
# The same for tokens, by which `token_bucket_of` of the migrations counts them.
_TOKENS = tuple(4**number for number in range(14))

_HISTOGRAMS = (
    (
        "gen_ai_client_operation_duration_seconds",
        "How long calls took.",
        "duration",
        _DURATIONS,
    ),
    (
        "gen_ai_client_operation_time_to_first_chunk_seconds",
        "Time until the first chunk of an answer.",
        "time_to_first_chunk",
        _FIRST_CHUNKS,
    ),
    (
        "gen_ai_client_operation_time_per_output_chunk_seconds",
        "Time between the chunks of an answer.",
        "time_per_output_chunk",
        _PER_CHUNKS,
    ),
)
# By what OpenTelemetry calls gen_ai.token.type: input and output; the rest are parts of these.
_TOKEN_TYPES = {
    "input": "input_tokens",
    "output": "output_tokens",
}
_TOKEN_PARTS = {
    "cache_read": "cache_read_input_tokens",
    "cache_write": "cache_write_input_tokens",
    "reasoning": "reasoning_output_tokens",
}


async def exposition(pool: Pool, gauges: Iterable[tuple[str, str, float]] = ()) -> str:
    """Return the metrics in Prometheus' text format.

    Parameters
    ----------
    gauges
        Name, help and value of what is not read from rollups.

    Raises
    ------
    Problem
        503 when the database cannot be reached.
    """
    async with connect(pool) as connection:
        cursor = await connection.execute(_sql["all_time"])
        rows = await cursor.fetchall()
    return "".join(f"{line}\n" for line in _lines(rows, gauges))


def _lines(rows: list[dict[str, Any]], gauges: Iterable[tuple[str, str, float]]) -> Iterator[str]:
    for name, help, column, bounds in _HISTOGRAMS:
        yield f"# HELP {name} {help}"
        yield f"# TYPE {name} histogram"
        for row in rows:
            yield from _histogram(name, row, column, bounds)
    name = "gen_ai_client_token_usage"
    yield f"# HELP {name} Tokens by type; input includes cached, output includes reasoning."
    yield f"# TYPE {name} histogram"
    for row in rows:
        for type, column in _TOKEN_TYPES.items():
            yield from _token_histogram(name, row, type, column)
    counters = (
        (
            "tailrace_token_parts_total",
            "Tokens that are part of others: of input read from or written to a cache, of output"
            " spent on reasoning.",
            [
                (_labels(row, gen_ai_token_type=type), row[column])
                for row in rows
                for type, column in _TOKEN_PARTS.items()
            ],
        ),
        ("tailrace_calls_total", "Calls.", [(_labels(row), row["requests"]) for row in rows]),
        (
            "tailrace_unpriced_calls_total",
            "Calls whose cost is not known.",
            [(_labels(row), row["unpriced_requests"]) for row in rows],
        ),
        (
            "tailrace_cost_usd_total",
            "What is known of the calls' cost, in US dollars.",
            [(_labels(row), row["cost_usd_sum"]) for row in rows],
        ),
    )
    for name, help, samples in counters:
        yield f"# HELP {name} {help}"
        yield f"# TYPE {name} counter"
        for labels, value in samples:
            yield f"{name}{labels} {value:f}"
    for name, help, value in gauges:
        yield f"# HELP {name} {help}"
        yield f"# TYPE {name} gauge"
        yield f"{name} {value!r}"


def _histogram(
    name: str, row: dict[str, Any], column: str, bounds: tuple[float, ...]
) -> Iterator[str]:
    count = row[f"{column}_count"]
    counts = [0] * len(bounds)
    for bucket in Histogram.read(None, row[f"{column}_histogram"], count):
        for number, bound in enumerate(bounds):
            # A bucket that reaches beyond a bound is counted below it if most of it is.
            if bucket.lower * 1.01 <= bound:
                counts[number] += bucket.count
                break
    return _samples(name, row, bounds, counts, count, row[f"{column}_sum"])


def _token_histogram(name: str, row: dict[str, Any], type: str, column: str) -> Iterator[str]:
    number = int(row[f"{column}_histogram"])
    # Beyond all bounds are the last bucket, and the one of calls of which only the sum is known.
    counts = [number // 10 ** (12 * bucket) % 10**12 for bucket in range(len(_TOKENS) + 2)]
    within = counts[: len(_TOKENS)]
    return _samples(name, row, _TOKENS, within, sum(counts), row[column], gen_ai_token_type=type)


def _samples(
    name: str,
    row: dict[str, Any],
    bounds: tuple[float, ...],
    counts: list[int],
    count: int,
    sum: Decimal,
    **more: str,
) -> Iterator[str]:
    """Yield the lines of a histogram: counts of values above the bound before and up to each."""
    for bound, below in zip(bounds, accumulate(counts), strict=True):
        yield f"{name}_bucket{_labels(row, **more, le=f'{bound:.15g}')} {below}"
    yield f"{name}_bucket{_labels(row, **more, le='+Inf')} {count}"
    yield f"{name}_sum{_labels(row, **more)} {sum:f}"
    yield f"{name}_count{_labels(row, **more)} {count}"


def _labels(row: dict[str, Any], **more: str) -> str:
    labels = {
        "gen_ai_operation_name": "embeddings" if row["kind"] == "embedding" else "chat",
        "gen_ai_provider_name": row["provider_name"],
        "gen_ai_request_model": row["request_model"],
        "tailrace_kind": row["kind"],
        "tailrace_status": row["status"],
        **more,
    }
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
