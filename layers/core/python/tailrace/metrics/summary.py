"""Sums over the calls of a selection: from rollups, and from the log for what these do not tell.

Everything that is not a person's own comes from rollups alone. A user's numbers come from rollups
of whole days (UTC) and, for the rest, from their calls in the log, which an index finds; a guest's
come from the log.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from tailrace.db import queries
from tailrace.db.pool import Connection
from tailrace.metrics.measures import Measures
from tailrace.metrics.spans import Segment, cover

_sql = queries.load("rollups")

Dimension = Literal["owner_id", "provider_name", "request_model", "kind", "status"]
_DIMENSIONS: tuple[Dimension, ...] = (
    "owner_id",
    "provider_name",
    "request_model",
    "kind",
    "status",
)

#: A bucket's number, and the values of the dimensions asked for.
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Selection:
    """Which calls: all, or those of one owner, or with one value of a dimension.

    Attributes
    ----------
    owner_id
        Whose; everybody's when ``None``.
    is_guest
        Whether the owner is a guest, of whom there are no rollups.
    """

    owner_id: UUID | None = None
    is_guest: bool = False
    provider_name: str | None = None
    request_model: str | None = None
    kind: str | None = None
    status: str | None = None

    @property
    def terms(self) -> dict[str, Any]:
        """The parameters of statements."""
        return {name: getattr(self, name) for name in _DIMENSIONS}

    @property
    def narrows(self) -> bool:
        """Whether it asks for one value of a dimension that rollups have."""
        return any(getattr(self, name) is not None for name in _DIMENSIONS[1:])


async def summarise(
    connection: Connection,
    selection: Selection,
    edges: list[datetime],
    by: tuple[Dimension, ...] = (),
    histograms: tuple[str, ...] = (),
) -> dict[Key, Measures]:
    """Sum up the calls between edges.

    Parameters
    ----------
    edges
        Of the buckets, of whole minutes, ascending.
    by
        Dimensions to tell apart. By ``owner_id``, guests and nobody's calls are left out.
    histograms
        Names of the distributions to read.

    Returns
    -------
    dict
        By bucket, then by the values of `by`, in that order; without what has no calls.
    """
    from_rollups, from_log = _plan(selection, edges, by)
    found: dict[Key, Measures] = {}
    terms = {
        **selection.terms,
        "by": list(by),
        "histograms": list(histograms),
        "every_owner": "owner_id" in by,
    }

    async def collect(statement: str, more: dict[str, Any]) -> None:
        # A plan made for these bounds reads what lies within them alone: none is kept.
        cursor = await connection.execute(_sql[statement], terms | more, prepare=False)
        for row in await cursor.fetchall():
            key = (row["bucket"], *(row[name] for name in by))
            measures = found.get(key)
            if measures is None:
                measures = found[key] = Measures()
            measures.add(row, histograms)

    for tier, segments in from_rollups.items():
        more = {
            "tier": tier,
            "buckets": [segment.bucket for segment in segments],
            "starts": [segment.start for segment in segments],
            "ends": [segment.end for segment in segments],
        }
        await collect("summary", more)
    if from_log:
        more = ranges(from_log) | {"edges": edges}
        await collect("summary_of_log", more)
    return found


def ranges(segments: list[Segment]) -> dict[str, Any]:
    """Return the parameters of a statement that reads the log: as few ranges as cover it."""
    starts, ends = [], []
    for segment in sorted(segments, key=lambda segment: segment.start):
        if ends and ends[-1] == segment.start:
            ends[-1] = segment.end
        else:
            starts.append(segment.start)
            ends.append(segment.end)
    return {"starts": starts, "ends": ends, "start": starts[0], "end": ends[-1]}


def _plan(
    selection: Selection, edges: list[datetime], by: tuple[Dimension, ...]
) -> tuple[dict[str, list[Segment]], list[Segment]]:
    """Return the segments of each tier of rollups, and those to be read from the log."""
    from_rollups: dict[str, list[Segment]] = {}
    from_log: list[Segment] = []
    is_personal = selection.owner_id is not None or "owner_id" in by
    # Of a user's day the rollups know no more than its sums.
    has_days = not selection.is_guest and not selection.narrows and set(by) <= {"owner_id"}
    suffix = "" if selection.narrows or by else "_total"
    for segment in cover(edges):
        if not is_personal:
            from_rollups.setdefault(segment.tier + suffix, []).append(segment)
        elif segment.tier == "day" and has_days:
            from_rollups.setdefault("owner_day", []).append(segment)
        else:
            from_log.append(segment)
    return from_rollups, from_log
