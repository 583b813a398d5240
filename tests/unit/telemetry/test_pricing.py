"""Prices: totals worked out by hand, and agreement with the price table's own arithmetic."""

import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider

from tailrace.telemetry import pricing
from tailrace.telemetry.event import InferenceEvent
from tests.support.events import make_event


def _cost(**fields: Any) -> Decimal | None:
    cost, unpriced = pricing.price(make_event(**{"finish_reasons": []} | fields))
    assert unpriced == (cost is None)
    return cost


@pytest.mark.parametrize(
    ("provider", "model", "tokens", "usd"),
    [
        # 1000 * 2.50 + 100 * 10.00
        ("openai", "gpt-4o", {"input_tokens": 1000, "output_tokens": 100}, "0.0035"),
        # (1000 - 600) * 2.50 + 600 * 1.25 + 100 * 10.00
        (
            "openai",
            "gpt-4o",
            {"input_tokens": 1000, "cache_read_input_tokens": 600, "output_tokens": 100},
            "0.00275",
        ),
        # Reasoning is a part of the output: 10 * 2.50 + 100 * 10.00
        (
            "openai",
            "gpt-4o",
            {"input_tokens": 10, "output_tokens": 100, "reasoning_output_tokens": 90},
            "0.001025",
        ),
        # (1000 - 600 - 100) * 3.00 + 600 * 0.30 + 100 * 3.75 + 50 * 15.00
        (
            "anthropic",
            "claude-sonnet-4-5",
            {
                "input_tokens": 1000,
                "cache_read_input_tokens": 600,
                "cache_write_input_tokens": 100,
                "output_tokens": 50,
            },
            "0.002205",
        ),
        # A prompt over 200,000 tokens is dearer as a whole: 300,000 * 6.00 + 1000 * 22.50
        (
            "anthropic",
            "claude-sonnet-4-5",
            {"input_tokens": 300_000, "output_tokens": 1000},
            "1.8225",
        ),
        # (100 - 40) * 0.30 + 40 * 0.03 + 10 * 2.50; writing to its cache costs what input costs.
        (
            "gcp.gemini",
            "gemini-2.5-flash",
            {
                "input_tokens": 100,
                "cache_read_input_tokens": 40,
                "cache_write_input_tokens": 10,
                "output_tokens": 10,
            },
            "0.0000442",
        ),
        ("openai", "gpt-4o", {"input_tokens": 0, "output_tokens": 0}, "0"),
    ],
)
def test_a_call_costs(provider: str, model: str, tokens: dict[str, int], usd: str) -> None:
    event = {"provider_name": provider, "request_model": model, "output_tokens": 0, **tokens}
    assert _cost(**event) == Decimal(usd)


def test_the_model_that_answered_is_billed() -> None:
    assert _cost(request_model="gpt-4o", response_model="gpt-4o-mini-2024-07-18") == _cost(
        request_model="gpt-4o-mini"
    )
    assert _cost(request_model="gpt-4o", response_model="unheard-of") == _cost(
        request_model="gpt-4o"
    )


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("local", "smollm2-135m-instruct"),
        ("scripted", "echo"),
        # Serves a model of a known name, at a price of its own.
        ("local", "gpt-4o"),
        ("openai_compatible", "gpt-4o"),
        ("my-openai-proxy", "gpt-4o"),
        ("openai", "unheard-of"),
    ],
)
def test_what_has_no_price_costs_nothing_known(provider: str, model: str) -> None:
    event = make_event(provider_name=provider, request_model=model)
    assert pricing.price(event) == (None, True)


@pytest.mark.parametrize(
    ("fields", "unpriced"),
    [
        # The provider told no usage of an answer that it gave.
        ({"input_tokens": None, "output_tokens": None}, True),
        ({"input_tokens": None}, True),
        ({"output_tokens": None}, True),
        # Nothing came back, and nothing was told: no sum is too low for it.
        *(
            (
                {
                    "status": status,
                    "input_tokens": None,
                    "output_tokens": None,
                    "time_to_first_chunk": None,
                },
                False,
            )
            for status in ("error", "timeout", "cancelled")
        ),
        # Something came back before it failed, or nobody knows.
        ({"status": "error", "input_tokens": None, "output_tokens": None}, True),
        (
            {
                "status": "interrupted",
                "input_tokens": None,
                "output_tokens": None,
                "time_to_first_chunk": None,
            },
            True,
        ),
        # More cached than there was input: one of them is wrong.
        ({"input_tokens": 10, "cache_read_input_tokens": 11}, True),
    ],
)
def test_tokens_that_are_not_known_have_no_cost(fields: dict[str, Any], unpriced: bool) -> None:
    assert pricing.price(make_event(**fields)) == (None, unpriced)


def test_a_failed_call_with_usage_is_billed() -> None:
    assert _cost(status="error") == _cost(status="ok")


def test_an_embedding_has_no_output() -> None:
    event = {"request_model": "text-embedding-3-small", "operation_name": "embeddings"}
    assert _cost(**event, input_tokens=1_000_000, output_tokens=None) == Decimal("0.02")


def test_the_version_is_that_of_the_price_table() -> None:
    assert genai_prices.__version__ == pricing.VERSION


def _table_cost(event: InferenceEvent, provider: Provider, model: ModelInfo) -> Decimal:
    usage = genai_prices.Usage(
        input_tokens=event.input_tokens,
        cache_read_tokens=event.cache_read_input_tokens,
        cache_write_tokens=event.cache_write_input_tokens,
        output_tokens=event.output_tokens,
    )
    return model.calc_price(usage, provider, genai_request_timestamp=event.started_at).total_price


def test_every_model_costs_what_the_table_says() -> None:
    rng = random.Random(1)
    compared = 0
    for provider in get_snapshot().providers:
        for model in provider.models:
            read = rng.choice((0, 1, 1000, 150_000, 250_000, 2_000_000))
            cached = rng.randint(0, read)
            event = make_event(
                provider_name=provider.id,
                request_model=model.id,
                started_at=datetime(2026, 7, 1, rng.randrange(24), tzinfo=UTC),
                input_tokens=read,
                cache_read_input_tokens=cached,
                cache_write_input_tokens=rng.randint(0, read - cached),
                output_tokens=rng.randint(0, 10_000),
            )
            # An earlier model of the provider may claim the name.
            found = provider.find_model(model.id, all_providers=get_snapshot().providers)
            cost, _ = pricing.price(event)
            if found is not None and cost is not None:
                assert cost == _table_cost(event, provider, found), (provider.id, model.id)
                compared += 1
    assert compared > 1000
