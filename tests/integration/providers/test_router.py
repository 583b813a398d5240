"""The router against two real HTTP servers and a real Valkey."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from tailrace.providers.base import (
    ModelRequest,
    PromptMessage,
    ProviderError,
    TextDelta,
)
from tailrace.providers.health import Health
from tailrace.providers.registry import Choice, Providers
from tailrace.providers.router import Route, Router
from tailrace.services import Services
from tailrace.settings import ModelSettings, ProviderSettings, Settings
from tests.support.model_server import Exchange, ModelServer, Script, answer, begin_and_wait


@pytest.fixture
async def second_server() -> AsyncIterator[ModelServer]:
    server = ModelServer()
    await server.start()
    yield server
    await server.stop()


def _provider(name: str, server: ModelServer, **fields: Any) -> ProviderSettings:
    return ProviderSettings(
        name=name,
        kind="openai_compatible",
        base_url=server.base_url,
        models=(ModelSettings(name="m", context_window=1000, capabilities=frozenset()),),
        **fields,
    )


class _Caller:
    """Calls ``first/m``, which falls back to ``second/m``."""

    def __init__(self, settings: Settings, services: Services) -> None:
        self.settings = settings
        self.providers = Providers(settings)
        self._services = services
        self.router = self.another_process()

    def another_process(self) -> Router:
        return Router(self.settings, Health(self._services.redis, self.settings))

    async def route(self, model: str = "first/m") -> Route:
        choice = await self.providers.choose(model)
        return Route(await self.providers.candidates(choice))

    async def text(self, route: Route, router: Router | None = None) -> str:
        stream = (router or self.router).stream(route, _prepare)
        return "".join([d.text async for ds in stream for d in ds if isinstance(d, TextDelta)])


async def _prepare(choice: Choice) -> ModelRequest:
    return ModelRequest(choice.model, [PromptMessage.of_text("user", "Hi")], 50)


@pytest.fixture
async def make(
    settings: Settings, services: Services, model_server: ModelServer, second_server: ModelServer
) -> AsyncIterator[Any]:
    made = []

    def _make(*, fields: dict[str, Any] | None = None, **changes: Any) -> _Caller:
        providers = (
            _provider("first", model_server, **(fields or {})),
            _provider("second", second_server),
        )
        changed = {
            "providers": providers,
            "default_model": None,
            "fallbacks": {"first/m": ("second/m",)},
            **changes,
        }
        made.append(_Caller(settings.model_copy(update=changed), services))
        return made[-1]

    yield _make
    for caller in made:
        await caller.providers.close()


def _refusals(*statuses: int, then: Script, **headers: str) -> Script:
    """Refuse so many requests, then answer."""
    left = list(statuses)

    async def script(exchange: Exchange) -> None:
        if left:
            await exchange.respond(left.pop(0), b'{"error":{"message":"no"}}', **headers)
        else:
            await then(exchange)

    return script


async def test_what_may_pass_is_tried_again(make, model_server, second_server) -> None:
    model_server.script = _refusals(503, 500, then=answer("Hello"))
    caller = make()
    route = await caller.route()

    assert await caller.text(route) == "Hello"

    assert route.attempts == 3
    assert route.fallback_from is None
    assert [attempt.error_type for attempt in route.failed] == ["overloaded", "server_error"]
    assert second_server.exchanges == []


async def test_a_wait_that_the_provider_asks_for_is_kept(make, model_server) -> None:
    model_server.script = _refusals(429, then=answer("Hello"), retry_after="0.6")
    caller = make()
    began = time.monotonic()

    assert await caller.text(await caller.route()) == "Hello"

    assert time.monotonic() - began >= 0.6


async def test_a_wait_past_the_patience_goes_to_the_fallback_at_once(
    make, model_server, second_server
) -> None:
    model_server.script = _refusals(429, 429, 429, then=answer("late"), retry_after="60")
    second_server.script = answer("Second")
    caller = make(first_chunk_patience=59.0)
    route = await caller.route()
    began = time.monotonic()

    assert await caller.text(route) == "Second"

    assert time.monotonic() - began < 30
    assert len(model_server.exchanges) == 1
    assert route.choice.id == "second/m"
    assert route.fallback_from == "first/m"
    assert route.attempts == 2
    assert [(f.provider_name, f.request_model, f.error_type) for f in route.failed] == [
        ("first", "m", "rate_limited")
    ]


@pytest.mark.parametrize("status", [400, 422])
async def test_a_request_that_is_wrong_is_wrong_everywhere(
    make, model_server, second_server, status: int
) -> None:
    model_server.script = _refusals(status, then=answer("never"))
    caller = make()

    with pytest.raises(ProviderError) as caught:
        await caller.text(await caller.route())

    assert caught.value.type == "invalid_request"
    assert len(model_server.exchanges) == 1
    assert second_server.exchanges == []


async def test_a_refused_key_is_not_tried_again_but_fallen_back_from(
    make, model_server, second_server
) -> None:
    model_server.script = _refusals(401, then=answer("never"))
    second_server.script = answer("Second")
    caller = make()

    assert await caller.text(await caller.route()) == "Second"
    assert len(model_server.exchanges) == 1


async def test_when_nobody_answers_the_error_is_of_the_model_asked_for(
    make, model_server, second_server
) -> None:
    model_server.script = _refusals(503, 503, 503, then=answer("never"))
    second_server.script = _refusals(401, then=answer("never"))
    caller = make()
    route = await caller.route()

    with pytest.raises(ProviderError) as caught:
        await caller.text(route)

    assert caught.value.type == "overloaded"
    assert route.choice.id == "first/m"
    assert route.fallback_from is None
    assert route.attempts == 4


async def test_a_silent_provider_is_given_up_and_its_connection_closed(
    make, model_server, second_server
) -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.begin_stream()
        await exchange.client_closed.wait()

    model_server.script = silent
    second_server.script = answer("Second")
    caller = make(fields={"first_chunk_timeout": 0.3})
    route = await caller.route()

    assert await caller.text(route) == "Second"

    await asyncio.wait_for(model_server.exchanges[0].client_closed.wait(), 60)
    assert [attempt.error_type for attempt in route.failed] == ["timeout"]


async def test_nothing_is_tried_again_once_a_chunk_was_seen(
    make, model_server, second_server
) -> None:
    model_server.script = begin_and_wait("Hel")
    caller = make(fields={"chunk_timeout": 0.3})
    stream = caller.router.stream(await caller.route(), _prepare)

    assert TextDelta("Hel") in await anext(stream)
    with pytest.raises(ProviderError) as caught:
        await anext(stream)

    assert caught.value.type == "timeout"
    assert len(model_server.exchanges) == 1
    assert second_server.exchanges == []


async def test_closing_the_stream_closes_the_connection(make, model_server) -> None:
    model_server.script = begin_and_wait("Hel")
    caller = make()
    stream = caller.router.stream(await caller.route(), _prepare)
    await anext(stream)

    await stream.aclose()

    await asyncio.wait_for(model_server.exchanges[0].client_closed.wait(), 60)


class TestCooling:
    """A provider that keeps failing is passed over, by every process."""

    async def test_is_passed_over_everywhere_until_it_has_cooled(
        self, make, model_server, second_server, services
    ) -> None:
        model_server.script = _refusals(*[503] * 4, then=answer("First"))
        second_server.script = answer("Second")
        caller = make(model_attempts=2, provider_failures=4, provider_cooling=600.0)
        for _ in range(2):
            assert await caller.text(await caller.route()) == "Second"
        assert len(model_server.exchanges) == 4

        route = await caller.route()
        assert await caller.text(route, caller.another_process()) == "Second"

        assert len(model_server.exchanges) == 4, "the other process passed it over"
        assert route.fallback_from == "first/m"
        assert route.attempts == 1
        assert [attempt.error_type for attempt in route.failed] == ["cooling"]
        # The time passes.
        (cooling,) = await services.redis.keys("tailrace:provider:*:cooling")
        assert 590 < await services.redis.ttl(cooling) <= 600
        await services.redis.delete(cooling)
        assert await caller.text(await caller.route(), caller.another_process()) == "First"

    async def test_is_asked_all_the_same_where_there_is_no_other(self, make, model_server) -> None:
        model_server.script = _refusals(503, then=answer("First"))
        caller = make(fallbacks={}, provider_failures=1)

        assert await caller.text(await caller.route()) == "First"

    async def test_a_success_forgets_failures(self, make, model_server, services) -> None:
        caller = make(provider_failures=2, model_attempts=2)
        for _ in range(3):
            model_server.script = _refusals(503, then=answer("First"))
            assert await caller.text(await caller.route()) == "First"

    async def test_without_valkey_nobody_cools_and_nothing_waits(
        self, make, model_server, second_server, settings
    ) -> None:
        model_server.script = _refusals(*[401] * 9, then=answer("never"))
        second_server.script = answer("Second")
        caller = make(provider_failures=1)
        down = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
        services = Services(down)
        router = Router(caller.settings, Health(services.redis, down))

        for _ in range(2):
            assert await caller.text(await caller.route(), router) == "Second"
        assert len(model_server.exchanges) == 2
        await services.redis.aclose()
