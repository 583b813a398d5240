"""Calls that are made, and payloads that others send, for schedules to lose and find again."""

import json
import random
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal, NamedTuple
from uuid import UUID

from tailrace.telemetry.event import MAX_PAYLOAD, SCHEMA_VERSION, InferenceEvent, encode
from tests.acceptance.chaos.actors import LETHAL
from tests.support.events import make_event

# How wrong clocks are, and how late events come: some of their days have a partition.
_SKEWS = (
    *(timedelta() for _ in range(9)),
    -timedelta(minutes=1),
    -timedelta(hours=30),
    -timedelta(days=9),
    -timedelta(days=400),
    timedelta(minutes=5),
    timedelta(days=2),
    timedelta(days=30),
)
_ENDS_OF_TIME = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, 23, 59, tzinfo=UTC))

_serial = count(1)


class Foreign(NamedTuple):
    """A payload that somebody put into the queue who keeps no ledger.

    Attributes
    ----------
    lands
        As what it has to come to rest.
    id
        Of the event that it is.
    """

    payload: bytes
    lands: Literal["row", "dead", "parked"]
    id: UUID | None = None


def make_calls(
    rng: random.Random, number: int, owners: list[UUID], *, skewed: bool = False
) -> list[InferenceEvent]:
    """Return calls of all kinds, a millisecond apart.

    Parameters
    ----------
    skewed
        Whether some come late, or from clocks that are wrong.
    """
    calls = []
    for each in range(number):
        started_at = datetime.now(UTC) + timedelta(milliseconds=each)
        if skewed:
            started_at += rng.choice(_SKEWS)
            if rng.random() < 0.02:
                started_at = rng.choice(_ENDS_OF_TIME)
        calls.append(make_call(rng, owners, started_at))
    return calls


def make_call(rng: random.Random, owners: list[UUID], started_at: datetime) -> InferenceEvent:
    """Return a call that began then."""
    status = rng.choice(("ok", "ok", "ok", "error", "timeout", "cancelled", "interrupted"))
    return make_event(
        started_at=started_at,
        kind=rng.choice(("chat", "title", "guest", "gateway")),
        status=status,
        owner_id=rng.choice(owners),
        request_model=rng.choice(("gpt-4o", "gpt-4o-mini", "unheard-of")),
        duration=rng.lognormvariate(0, 2),
        time_to_first_chunk=rng.choice((None, 0.0, rng.random())),
        time_per_output_chunk=rng.choice((None, rng.random() / 50)),
        input_tokens=rng.choice((None, rng.randrange(5000))),
        output_tokens=rng.choice((None, 0, rng.randrange(500))),
        finish_reasons=rng.choice(([], ["stop"], ["stop", "length"])),
        error_type="overloaded" if status == "error" else None,
        # What people and providers write is not always fit for a database.
        input_preview=rng.choice((None, "ordinary", "\0", "half a pair: \ud800", "ä" * 9000)),
    )


def make_poison(rng: random.Random, owners: list[UUID]) -> InferenceEvent:
    """Return a call whose event can never be a row, for one reason or another."""
    call = make_call(rng, owners, datetime.now(UTC))
    # Of an interrupted one there would be no telling what it cost.
    call.status = "ok"
    kind = rng.choice(("clock", "duration", "metadata", "cost", "oversized", "huge"))
    if kind == "clock":
        call.started_at = datetime(1969, 12, 31, tzinfo=UTC)
    elif kind == "duration":
        call.duration = -1.0
    elif kind == "metadata":
        call.metadata = {"much": "x" * 40_000}
    elif kind == "cost":
        # Refused by PostgreSQL, and not before.
        call.request_model, call.input_tokens, call.output_tokens = "gpt-4o", 2**53, 1
    elif kind == "oversized":
        call.metadata = {"more": "x" * MAX_PAYLOAD}
    else:
        # More than the queue takes.
        call.metadata = {"most": "x" * (1 << 20)}
    return call


def make_foreign(rng: random.Random, owners: list[UUID]) -> Foreign:
    """Return what others send: garbage, and events of older and newer releases."""
    serial = next(_serial)
    event = make_call(rng, [*owners, owners[0]], datetime.now(UTC))
    event.owner_id = rng.choice((None, event.owner_id))
    fields = json.loads(encode(event))
    kind = rng.choice(("garbage", "bytes", "missing", "unknown", "deep", "old", "newer", "same"))
    if kind == "garbage":
        return Foreign(b"garbage %d {" % serial, "dead")
    if kind == "bytes":
        return Foreign(b"\xff\xfe\0" + serial.to_bytes(8), "dead")
    if kind == "missing":
        del fields["provider_name"]
        return Foreign(json.dumps(fields).encode(), "dead")
    if kind == "unknown":
        return Foreign(json.dumps(fields | {"nobody_knows": serial}).encode(), "dead")
    if kind == "deep":
        return Foreign(b'{"id": %d, "metadata": ' % serial + b"[" * 5000, "dead")
    if kind == "newer":
        fields |= {"schema_version": SCHEMA_VERSION + 1, "of_the_future": serial}
        return Foreign(json.dumps(fields).encode(), "parked")
    if kind == "old":
        # Of the first version, which did not tell.
        del fields["schema_version"]
        return Foreign(json.dumps(fields).encode(), "row", event.id)
    return Foreign(encode(event), "row", event.id)


def make_lethal() -> Foreign:
    """Return what ends whoever reads it."""
    return Foreign(LETHAL + b" %d" % next(_serial), "dead")
