"""The rate algorithm in Valkey, against a model of it, and from many clients at once."""

import asyncio
import math
from collections.abc import AsyncIterator
from fractions import Fraction
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from tailrace.limits.gcra import Limit, Taken, take, take_all

START = 1_800_000_000_000_000


class Model:
    """The textbook's leaky bucket: what was poured in drains at a steady rate."""

    def __init__(self, limit: int, window: int) -> None:
        self.limit = limit
        self.interval = Fraction(math.ceil(window * 1_000_000 / limit))
        self._level = Fraction(0)
        self._at = START

    def remaining(self, now: int) -> int:
        self._drain(now)
        return math.floor(self.limit - self._level / self.interval)

    def wait(self, now: int, cost: int) -> Fraction:
        self._drain(now)
        return max(self._level + (cost - self.limit) * self.interval, Fraction(0))

    def pour(self, cost: int) -> None:
        self._level += cost * self.interval

    def _drain(self, now: int) -> None:
        self._level = max(self._level - (now - self._at), Fraction(0))
        self._at = now


@pytest.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey_url) as client:
        yield client


def _limit(limit: int, window: float, name: str = "test", key: str = "somebody") -> Limit:
    return Limit(name, key, limit, window)


# Windows are long beside the time that a test takes, since keys expire by the real clock.
_rates = st.tuples(st.integers(1, 40), st.integers(60, 86_400))
_steps = st.lists(
    st.tuples(st.integers(0, 90_000_000_000) | st.integers(0, 2_000_000), st.integers(1, 4)),
    max_size=60,
)


@hypothesis_settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rates=st.lists(_rates, min_size=1, max_size=3), steps=_steps)
async def test_it_lets_through_what_the_model_does(
    redis: Redis, rates: list[tuple[int, int]], steps: list[tuple[int, int]]
) -> None:
    key = str(uuid4())
    limits = [Limit(f"rate-{n}", key, *rate) for n, rate in enumerate(rates)]
    models = [Model(*rate) for rate in rates]
    now = START
    for pause, cost in steps:
        now += pause
        taken = await take_all(redis, limits, cost, now=now)

        fits = [cost <= model.limit and model.wait(now, cost) == 0 for model in models]
        assert [one.allowed for one in taken] == fits
        if all(fits):
            for model in models:
                model.pour(cost)
        for one, model in zip(taken, models, strict=True):
            assert one.remaining == model.remaining(now)
            if not one.allowed and cost <= model.limit:
                assert one.retry_after * 1e6 == pytest.approx(float(model.wait(now, cost)))


@hypothesis_settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rate=_rates, pauses=st.lists(st.integers(0, 30_000_000), max_size=80))
async def test_no_window_ever_sees_more_than_twice_the_limit_nor_the_long_run_more_than_the_rate(
    redis: Redis, rate: tuple[int, int], pauses: list[int]
) -> None:
    limit, window = rate
    key, now = str(uuid4()), START
    passed: list[int] = []
    for pause in pauses:
        now += pause
        if (await take_all(redis, [Limit("t", key, limit, window)], now=now))[0].allowed:
            passed.append(now)
    for first, began in enumerate(passed):
        for last in range(first, len(passed)):
            elapsed = passed[last] - began
            assert last - first + 1 <= limit + elapsed * limit / (window * 1_000_000) + 1e-6


async def test_of_parallel_requests_exactly_the_limit_passes(valkey_url: str) -> None:
    limits = [_limit(25, 3600, "narrow"), _limit(1000, 3600, "wide")]
    clients = [Redis.from_url(valkey_url) for _ in range(8)]

    answers = await asyncio.gather(*(take_all(clients[n % 8], limits) for n in range(200)))

    assert sum(narrow.allowed for narrow, _ in answers) == 25
    wide = (await take_all(clients[0], limits, 0))[1]
    assert wide.remaining == 975, "what one limit refuses, no other counts"
    for client in clients:
        await client.aclose()


async def test_what_was_refused_passes_after_the_time_that_was_told(redis: Redis) -> None:
    limit = _limit(7, 60)
    for _ in range(7):
        assert (await take_all(redis, [limit], now=START))[0].allowed
    refused = (await take_all(redis, [limit], now=START))[0]
    later = START + math.ceil(refused.retry_after * 1_000_000)

    assert not (await take_all(redis, [limit], now=later - 2))[0].allowed
    assert (await take_all(redis, [limit], now=later))[0] == Taken(
        True, 0, 0.0, pytest.approx(60, abs=1e-4)
    )


async def test_looking_counts_nothing_and_a_limit_of_none_refuses(redis: Redis) -> None:
    for _ in range(3):
        assert (await take_all(redis, [_limit(1, 60)], 0))[0].remaining == 1
    assert not (await take(redis, "closed", "x", 0, 60)).allowed
    assert (await take(redis, "test", "somebody", 1, 60)).allowed


async def test_a_count_is_forgotten_when_it_no_longer_matters(redis: Redis) -> None:
    await take(redis, "test", "somebody", 10, 20)

    (key,) = await redis.keys("tailrace:*")
    assert b"somebody" not in key
    assert 1000 < await redis.pttl(key) <= 2001
