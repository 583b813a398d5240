"""What a call cost, by the price table of ``genai-prices``; asked at ingestion only.

A provider is priced by the exact name of its instance, or else of its kind: an id of that table, or
a ``gen_ai.provider.name`` of OpenTelemetry. Nothing is guessed from a name that merely resembles
one, since whoever serves models behind an "openai-like" address sets prices of their own, or none.

https://github.com/pydantic/genai-prices
"""

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

# Takes most of a second to import: `tailrace.telemetry.ingest` loads this module late.
import genai_prices
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

from tailrace.telemetry.event import InferenceEvent

VERSION = genai_prices.__version__

# Names of OpenTelemetry (and of our adapters) for providers that the price table calls otherwise.
_ALIASES = {
    "aws.bedrock": "aws",
    "bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
    "xai": "x-ai",
}

# Of an interrupted call nobody knows what came.
_MAY_END_EMPTY = ("error", "timeout", "cancelled")

_providers = get_snapshot().providers
_by_id = {provider.id: provider for provider in _providers}


#: A rate, or the rates of prompts longer than so many tokens, the longest first, and the last of
#: all. In units of 1e-12 USD: whole numbers for every usual rate, and so cheap to multiply.
_Rate = int | Decimal | list[tuple[int, int | Decimal]] | None


class _Rates(NamedTuple):
    """What a token costs; ``None`` where the table has no rate of its own."""

    input: _Rate
    cache_read: _Rate
    cache_write: _Rate
    output: _Rate
    #: What the call itself costs.
    request: _Rate


def price(event: InferenceEvent) -> tuple[Decimal | None, bool]:
    """Return what a call cost.

    Returns
    -------
    cost : Decimal or None
        USD; ``None`` when it is not known.
    unpriced : bool
        Whether a sum over calls is too low for the lack of it: the model has no price, or the
        tokens are not known. A call that ended without a chunk and without usage is not taken to
        have cost anything.
    """
    model = _find(
        event.provider_name, event.provider_kind, event.response_model, event.request_model
    )
    if model is None:
        return None, True
    read, written = event.input_tokens, event.output_tokens
    if read is None and written is None and event.status in _MAY_END_EMPTY:
        return None, event.time_to_first_chunk is not None
    if read is None or (written is None and event.operation_name != "embeddings"):
        return None, True
    cost = _cost(
        _rates(model, event.started_at),
        read,
        event.cache_read_input_tokens or 0,
        event.cache_write_input_tokens or 0,
        written or 0,
    )
    return cost, cost is None


class ListPrice(NamedTuple):
    """USD for a million tokens of a prompt of usual length, and of an answer."""

    input: Decimal
    output: Decimal


def list_price(provider_name: str, provider_kind: str, model: str) -> ListPrice | None:
    """Return what the price table asks for a model, ``None`` where it does not know it."""
    found = _find(provider_name, provider_kind, None, model)
    if found is None:
        return None
    rates = _rates(found, datetime.now(UTC))
    if rates.input is None or rates.output is None:
        return None
    return ListPrice(*(Decimal(_at(rate, 0)).scaleb(-6) for rate in (rates.input, rates.output)))


@lru_cache(maxsize=4096)
def _find(
    provider_name: str, provider_kind: str | None, response_model: str | None, request_model: str
) -> ModelInfo | None:
    provider = _provider(provider_name) or _provider(provider_kind)
    if provider is None:
        return None
    for name in (response_model, request_model):
        # The model that answered is the one that is billed.
        if name and (model := provider.find_model(name, all_providers=_providers)):
            return model
    return None


def _provider(name: str | None) -> Provider | None:
    return _by_id.get(_ALIASES.get(name, name)) if name else None


def _rates(model: ModelInfo, at: datetime) -> _Rates:
    prices = model.prices if isinstance(model.prices, ModelPrice) else model.get_prices(at)
    rates = _rates_of.get(id(prices))
    if rates is None:
        rates = _rates_of[id(prices)] = _Rates(
            # The table's own unit is USD for a million tokens, or for a thousand requests.
            _rate(prices.input_mtok, 10**6),
            _rate(prices.cache_read_mtok, 10**6),
            _rate(prices.cache_write_mtok, 10**6),
            _rate(prices.output_mtok, 10**6),
            _rate(prices.requests_kcount, 10**9),
        )
    return rates


# Keyed by identity: the snapshot holds every price for as long as the process lives.
_rates_of: dict[int, _Rates] = {}


def _rate(listed: Decimal | TieredPrices | None, unit: int) -> _Rate:
    if listed is None:
        return None
    if isinstance(listed, Decimal):
        return _whole(listed * unit)
    tiers = [(tier.start, _whole(tier.price * unit)) for tier in reversed(listed.tiers)]
    return [*tiers, (-1, _whole(listed.base * unit))]


def _whole(rate: Decimal) -> int | Decimal:
    return int(rate) if rate == int(rate) else rate


def _cost(
    rates: _Rates, read: int, cached: int, cache_written: int, written: int
) -> Decimal | None:
    if rates.input is None and rates.output is None:
        # Billed by the second, the image or the page, which no event counts.
        return None
    # Cached tokens are a part of the input; they cost what input costs unless the table has more.
    if rates.cache_read is None:
        cached = 0
    if rates.cache_write is None:
        cache_written = 0
    fresh = read - cached - cache_written
    if fresh < 0:
        return None
    total = _at(rates.input, read) * fresh + _at(rates.output, read) * written
    if cached:
        total += _at(rates.cache_read, read) * cached
    if cache_written:
        total += _at(rates.cache_write, read) * cache_written
    if rates.request is not None:
        total += _at(rates.request, read)
    return Decimal(total).scaleb(-12)


def _at(rate: _Rate, read: int) -> int | Decimal:
    """Return the rate for a prompt of this length: a long one is dearer as a whole."""
    if isinstance(rate, list):
        return next(tier for start, tier in rate if read > start)
    return rate or 0
