"""What becomes of an alert: when it begins, when it ends, and when neither."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.alerts.states import RESOLVED_FOR, Limits, Reading, Standing, advance

NOW = datetime(2027, 2, 27, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
AT_ONCE = Limits(0.5, 0.3, timedelta(), 10)
LASTING = AT_ONCE._replace(lasting=3 * MINUTE)


def _states(limits: Limits, *values: float | None, calls: int = 10) -> list[str]:
    """Return the states after readings that are a minute apart."""
    standing = None
    states = []
    for number, value in enumerate(values):
        standing = advance(standing, Reading(value, calls), limits, NOW + number * MINUTE)
        states.append(standing.state)
    return states


def test_what_reaches_the_threshold_fires() -> None:
    assert _states(AT_ONCE, 0.49, 0.5, 0.9) == ["ok", "firing", "firing"]


def test_it_must_have_lasted() -> None:
    pending = ["pending"] * 3
    assert _states(LASTING, *[0.5] * 5) == [*pending, "firing", "firing"]
    assert _states(LASTING, 0.5, 0.5, 0.5, 0.4, *[0.5] * 4) == [*pending, "ok", *pending, "firing"]


def test_between_the_thresholds_nothing_begins_and_nothing_ends() -> None:
    assert _states(AT_ONCE, 0.4, 0.5, 0.4, 0.3, 0.29) == [
        "ok", "firing", "firing", "firing", "resolved",
    ]  # fmt: skip


def test_one_failed_call_of_two_is_no_alarm() -> None:
    assert _states(AT_ONCE, 0.5, calls=2) == ["ok"]
    assert _states(AT_ONCE, 0.5, calls=9) == ["ok"]
    assert _states(AT_ONCE, 0.5, calls=10) == ["firing"]


def test_what_fires_goes_on_while_few_calls_fail_and_ends_with_none() -> None:
    firing = Standing("firing", NOW)
    assert advance(firing, Reading(1.0, 1), AT_ONCE, NOW).state == "firing"
    assert advance(firing, Reading(0.0, 1), AT_ONCE, NOW).state == "resolved"
    assert advance(firing, Reading(None, 0), AT_ONCE, NOW).state == "resolved"


def test_what_ended_is_well_after_an_hour_and_may_begin_again_before() -> None:
    resolved = advance(Standing("firing", NOW), Reading(None), AT_ONCE, NOW)
    almost = NOW + RESOLVED_FOR - timedelta(seconds=1)
    assert advance(resolved, Reading(None), AT_ONCE, almost).state == "resolved"
    assert advance(resolved, Reading(None), AT_ONCE, NOW + RESOLVED_FOR).state == "ok"
    assert advance(resolved, Reading(1.0), AT_ONCE, almost).state == "firing"


def test_one_alert_keeps_its_id_from_pending_to_its_end() -> None:
    standing = advance(None, Reading(1.0, 10), LASTING, NOW)
    first = standing.alert_id
    assert first is not None
    for minute, value in ((3, 1.0), (4, 0.0)):
        standing = advance(standing, Reading(value, 10), LASTING, NOW + minute * MINUTE)
        assert standing.alert_id == first
    again = advance(standing, Reading(1.0, 10), LASTING, NOW + 5 * MINUTE)
    assert again.state == "pending"
    assert again.alert_id != first


@pytest.mark.parametrize("lasting", [timedelta(), 3 * MINUTE])
@given(values=st.lists(st.none() | st.floats(0, 1), max_size=40))
def test_it_never_flaps_between_the_thresholds(
    lasting: timedelta, values: list[float | None]
) -> None:
    limits = AT_ONCE._replace(lasting=lasting)
    states = _states(limits, *values)
    for number, (state, value) in enumerate(zip(states, values, strict=True)):
        before = states[number - 1] if number else "ok"
        if state == "firing" and before != "firing":
            assert value is not None
            assert value >= limits.threshold
            # Each reading for so long before has reached it too.
            reached = values[max(0, number - lasting // MINUTE) : number + 1]
            assert all(v is not None and v >= limits.threshold for v in reached)
            assert number >= lasting // MINUTE
        if before == "firing" and state != "firing":
            assert state == "resolved"
            assert value is None or value < limits.resolve_threshold
