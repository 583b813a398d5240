"""Sums by model, provider, user, kind, status, class of error or finish reason."""

from datetime import timedelta
from typing import Any, Literal

from tailrace.db import queries
from tailrace.db.pool import Connection, Pool
from tailrace.metrics.measures import Measures
from tailrace.metrics.reading import reading
from tailrace.metrics.spans import DAY, Span, ceiling, cover, floor
from tailrace.metrics.summary import Dimension, Selection, ranges, summarise

_sql = queries.load("rollups")

By = Literal["model", "provider", "user", "kind", "status", "error_type", "finish_reason"]
_DIMENSIONS: dict[str, tuple[Dimension, ...]] = {
    "model": ("provider_name", "request_model"),
    "provider": ("provider_name",),
    "user": ("owner_id",),
    "kind": ("kind",),
    "status": ("status",),
}
_LATENCIES = ("duration", "time_to_first_chunk")
_MOST = 500
_FEW_DAYS = timedelta(days=2)


async def breakdown(pool: Pool, selection: Selection, span: Span, by: By) -> dict[str, Any]:
    """Sum up the calls of a span by what they have in common, the most frequent first.

    Returns
    -------
    dict
        ``items``, 500 at most, and whether there are more, as ``truncated``. Of models, providers,
        kinds and statuses each has sums and latencies, of users sums; of reasons, how many calls
        gave it (a call may give several). By user, what is no user's (guests' calls, and those of
        people who are gone) is the last item, with ``owner_id`` ``None``; a span of more than two
        days is then of whole days (UTC).

    Raises
    ------
    Problem
        422 when it takes too long, 503 when the database cannot be reached.
    """
    if by == "user" and span.end - span.start > _FEW_DAYS:
        # Of parts of days only the log knows what each user did, and all would have to be read.
        span = Span(floor(span.start, DAY), ceiling(span.end, DAY))
    async with reading(pool) as connection:
        if by in ("error_type", "finish_reason"):
            items = await _reasons(connection, selection, span, by)
        else:
            items = await _sums(connection, selection, span, by)
    return {
        "from": span.start,
        "to": span.end,
        "by": by,
        "items": items[:_MOST],
        "truncated": len(items) > _MOST,
    }


async def _sums(
    connection: Connection, selection: Selection, span: Span, by: str
) -> list[dict[str, Any]]:
    edges, dimensions = [span.start, span.end], _DIMENSIONS[by]
    # Thousands of users' latencies would take longer to tell than anybody looks at them.
    latencies = () if by == "user" else _LATENCIES
    found = await summarise(connection, selection, edges, by=dimensions, histograms=latencies)
    ordered = sorted(found.items(), key=lambda item: (-item[1].sums["requests"], item[0]))
    items = [
        dict(zip(dimensions, key[1:], strict=True)) | _told(measures, latencies)
        for key, measures in ordered
    ]
    if by != "user":
        return items
    cursor = await connection.execute(
        _sql["name_users"], {"ids": [item["owner_id"] for item in items]}
    )
    emails = {row["id"]: row["email"] for row in await cursor.fetchall()}
    items = [{"email": emails.get(item["owner_id"])} | item for item in items]
    if selection.owner_id is None:
        total = (await summarise(connection, selection, edges)).get((0,)) or Measures()
        for measures in found.values():
            for name, amount in measures.sums.items():
                total.sums[name] -= amount
        if total.sums["requests"]:
            items = items[: _MOST - 1]
            items.append({"owner_id": None, "email": None} | total.counts())
    return items


def _told(measures: Measures, latencies: tuple[str, ...]) -> dict[str, Any]:
    return measures.counts() | {name: measures.distribution(name) for name in latencies}


async def _reasons(
    connection: Connection, selection: Selection, span: Span, by: str
) -> list[dict[str, Any]]:
    found: dict[str, int] = {}
    terms = selection.terms | {"reason_of": by}
    from_log = []
    tiers: dict[str, list[Any]] = {}
    for segment in cover([span.start, span.end]):
        # Reasons are kept by hours: the minutes at both ends are read from the log.
        if selection.owner_id is not None or segment.tier == "minute":
            from_log.append(segment)
        else:
            tiers.setdefault(segment.tier, []).append(segment)
    statements = [
        ("reasons", ranges(segments) | {"tier": tier}) for tier, segments in tiers.items()
    ]
    if from_log:
        statements.append(("reasons_of_log", ranges(from_log)))
    for statement, more in statements:
        cursor = await connection.execute(_sql[statement], terms | more, prepare=False)
        for row in await cursor.fetchall():
            found[row["reason"]] = found.get(row["reason"], 0) + row["requests"]
    return [
        {by: reason, "requests": requests}
        for reason, requests in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]
