"""What the log tells, counted once more: to compare rollups and counters of usage with it."""

from typing import Any

from tailrace.db.pool import connect
from tailrace.services import Services
from tests.support.rollups import DISTRIBUTIONS

_TOKENS = (
    *("input_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "output_tokens"),
    "reasoning_output_tokens",
)
_DIMENSIONS = ("provider_name", "request_model", "kind", "status")
_NOBODY = "'00000000-0000-0000-0000-000000000000'::uuid"

# By tier: when its rows start, what they are told apart by, and which calls they count.
_TIERS = {
    f"{unit}{total}": (f"date_bin('1 {unit}', started_at, 'epoch')", dimensions, "true")
    for unit in ("minute", "hour", "day")
    for total, dimensions in (("", _DIMENSIONS), ("_total", ()))
} | {
    "owner_day": (
        "date_bin('1 day', started_at, 'epoch')",
        ("owner_id",),
        "owner_id IS NOT NULL AND kind <> 'guest'",
    ),
    "all_time": ("'epoch'::timestamptz", _DIMENSIONS, "true"),
}

_COUNTED = (
    *("requests", "errors", "cancelled", "unpriced_requests", *_TOKENS),
    *(f"{name}_{what}" for name in DISTRIBUTIONS for what in ("count", "sum")),
    "duration_max",
    "cost_usd_max",
    "input_tokens_histogram",
    "output_tokens_histogram",
)

_USAGE = """
SELECT (started_at AT TIME ZONE 'UTC')::date AS day, count(*) AS calls,
       sum(coalesce(input_tokens, 0)::numeric + coalesce(output_tokens, 0)) AS tokens,
       sum(coalesce(cost_usd, 0)) AS cost_usd
FROM inference_log GROUP BY 1
"""
_USAGE_OF_USERS = """
SELECT owner_id AS user_id, (started_at AT TIME ZONE 'UTC')::date AS day, count(*) AS calls,
       sum(coalesce(input_tokens, 0)::numeric + coalesce(output_tokens, 0)) AS tokens,
       sum(coalesce(cost_usd, 0)) AS cost_usd
FROM inference_log JOIN users ON users.id = owner_id GROUP BY 1, 2
"""


async def rows(services: Services, query: str) -> list[dict[str, Any]]:
    """Return the rows of a query, over a connection of the pool: there are many queries."""
    async with connect(services.pool) as connection:
        return await (await connection.execute(query.encode())).fetchall()


async def disagreements(services: Services) -> list[dict[str, Any]]:
    """Return what rollups or counters tell and the log does not, and the other way round."""
    found = []
    for tier in _TIERS:
        told = f"SELECT owner_id, starts_at, {', '.join((*_DIMENSIONS, *_COUNTED))}"
        told = f"{told} FROM rollups WHERE tier = '{tier}'"
        found += await _differences(services, tier, told, _count(tier))
    usage = "SELECT day, calls, tokens, cost_usd FROM total_usage"
    found += await _differences(services, "total_usage", usage, _USAGE)
    usage = "SELECT user_id, day, calls, tokens, cost_usd FROM user_usage"
    found += await _differences(services, "user_usage", usage, _USAGE_OF_USERS)
    return found


def _count(tier: str) -> str:
    starts_at, by, which = _TIERS[tier]
    names = [name if name in by else f"''::text AS {name}" for name in _DIMENSIONS]
    sums = [f"coalesce(sum({name}), 0)" for name in _TOKENS]
    # To the nanosecond, as rollups do; money is exact as it is.
    seconds = [
        f"count({name}), coalesce(sum(({name} * 1e9)::bigint), 0) * 1e-9"
        for name in ("measured", "time_to_first_chunk", "time_per_output_chunk")
    ]
    # By powers of four, twelve digits each; not in minutes, nor by user.
    by_bucket = (
        f"coalesce(sum(('1e' || 12 * (SELECT count(*) FROM generate_series(0, 13) AS n"
        f" WHERE 4::numeric ^ n < {name}))::numeric) FILTER (WHERE {name} IS NOT NULL), 0)"
        if tier.startswith(("hour", "day", "all_time"))
        else "0"
        for name in ("input_tokens", "output_tokens")
    )
    owner = "owner_id" if "owner_id" in by else _NOBODY
    return f"""
        SELECT {owner}, starts_at, {", ".join(names)}, count(*),
               count(*) FILTER (WHERE status IN ('error', 'timeout', 'interrupted')),
               count(*) FILTER (WHERE status = 'cancelled'), count(*) FILTER (WHERE unpriced),
               {", ".join((*sums, *seconds))}, count(cost_usd), coalesce(sum(cost_usd), 0),
               max(measured), max(cost_usd), {", ".join(by_bucket)}
        FROM (SELECT *, {starts_at} AS starts_at,
                     CASE WHEN status <> 'interrupted' THEN duration END AS measured
              FROM inference_log) AS calls
        WHERE {which}
        GROUP BY {", ".join(("starts_at", *by))}
    """


async def _differences(
    services: Services, name: str, told: str, counted: str
) -> list[dict[str, Any]]:
    # Not a set's difference: what is there twice counts twice.
    query = f"""
        WITH told AS ({told}), counted AS ({counted})
        SELECT 'told' AS only, * FROM (TABLE told EXCEPT ALL TABLE counted) AS a
        UNION ALL
        SELECT 'counted', * FROM (TABLE counted EXCEPT ALL TABLE told) AS b
    """
    return [{"of": name, **row} for row in await rows(services, query)]
