"""Rates as settings spell them."""

import pytest

from tailrace.limits.rate import Rate, parse


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60/minute", Rate(60, 60)),
        ("5/second", Rate(5, 1)),
        ("60/minute burst 20", Rate(20, 20)),
        ("1/hour burst 3", Rate(3, 10_800)),
        ("0/day", Rate(0, 86_400)),
        ("10/day burst 0", Rate(0, 86_400)),
        ("off", None),
    ],
)
def test_a_rate_is_a_burst_and_the_time_in_which_it_comes_back(
    text: str, rate: Rate | None
) -> None:
    assert parse(text) == rate


@pytest.mark.parametrize(
    "text",
    [
        "",
        "60",
        "60/",
        "/minute",
        "-1/minute",
        "60/week",
        "60 / minute",
        "٦/minute",
        "off ",
        "1e3/day",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must read like"):
        parse(text)
