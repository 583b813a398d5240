"""The catalogue: what settings say of models and what providers tell, and when they are asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import SecretStr

from tailrace.providers import registry
from tailrace.providers.registry import Providers
from tailrace.settings import ModelSettings, ProviderSettings, Settings
from tests.support.model_server import Exchange, ModelServer

Make = Callable[..., Providers]


@pytest.fixture
async def make(model_server: ModelServer) -> AsyncIterator[Make]:
    made: list[Providers] = []

    def _make(*models: ModelSettings, kind: str = "openai_compatible", **changes: Any) -> Providers:
        provider = ProviderSettings(
            name="p",
            kind=kind,
            base_url=model_server.base_url,
            api_key=SecretStr("key"),
            region="eu-central-1",
            models=models,
        )
        scripted = ProviderSettings(name="scripted", kind="scripted")
        secret = SecretStr("x" * 32)
        settings = Settings(
            database_url=secret,
            redis_url=secret,
            secret_key=secret,
            providers=(provider, scripted),
            **changes,
        )
        made.append(Providers(settings))
        return made[-1]

    yield _make
    for providers in made:
        await providers.close()


async def _list(exchange: Exchange) -> None:
    model = {
        "id": "m",
        "context_length": 9000,
        "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
        "supported_parameters": ["reasoning"],
    }
    await exchange.respond(200, json.dumps({"data": [model]}).encode())


async def _silent(exchange: Exchange) -> None:
    await exchange.client_closed.wait()


@pytest.mark.parametrize(
    "given", [{}, {"context_window": 5000}, {"capabilities": frozenset({"tools"})}]
)
async def test_a_chosen_model_can_do_what_the_catalogue_says(make, model_server, given) -> None:
    model_server.script = _list
    providers = make(ModelSettings(name="m", **given))

    chosen = (await providers.choose("p/m")).info

    listed = (await providers.catalogue())[0]
    assert chosen == listed.info
    assert chosen.context_window == given.get("context_window", 9000)
    assert chosen.capabilities == given.get("capabilities", {"vision", "reasoning"})


async def test_a_model_of_which_all_is_given_is_chosen_without_asking(make, model_server) -> None:
    providers = make(ModelSettings(name="m", context_window=1, capabilities=frozenset()))

    await providers.choose("p/m")

    assert model_server.exchanges == []


@pytest.mark.parametrize(
    ("status", "available"), [(404, True), (403, True), (400, False), (401, False), (500, False)]
)
async def test_named_models_need_no_list(make, model_server, status, available) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.respond(status, b"{}")

    model_server.script = script
    providers = make(ModelSettings(name="m"))

    model = (await providers.catalogue())[0]

    assert model.available is available
    assert (model.reason is None) is available
    assert await providers.default() == ("p/m" if available else "scripted/echo")


@pytest.mark.parametrize("kind", ["anthropic", "bedrock", "gemini", "openai", "openai_compatible"])
@pytest.mark.parametrize("body", [b"[1]", b'{"data": 3, "models": 3, "modelSummaries": 3}', b"<p>"])
async def test_an_answer_that_is_no_list_leaves_the_catalogue_standing(
    make, model_server, kind: str, body: bytes
) -> None:
    model_server.script = lambda exchange: exchange.respond(
        200, body, content_type="application/json"
    )
    providers = make(ModelSettings(name="m"), kind=kind)

    listed = {model.id: model.available for model in await providers.catalogue()}

    assert listed["p/m"] is False
    assert listed["scripted/echo"] is True


async def test_a_list_is_asked_for_once_whoever_waits(make, model_server) -> None:
    model_server.script = _list
    providers = make()

    lists = await asyncio.gather(*(providers.catalogue() for _ in range(8)))

    assert len(model_server.exchanges) == 1
    assert all(models[0].id == "p/m" for models in lists)


async def test_a_list_that_does_not_come_holds_up_neither_page_nor_chats(
    make, model_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_PATIENCE", 0.1)
    monkeypatch.setattr(registry, "_LIST_TIMEOUT", 0.3)
    model_server.script = _silent
    providers = make(ModelSettings(name="m"))

    assert (await providers.choose("p/m")).id == "p/m"
    model = (await providers.catalogue())[0]
    assert (model.available, model.reason) == (
        False,
        "The model provider took too long to answer.",
    )
    monkeypatch.setattr(registry, "_PATIENCE", 600)
    async with asyncio.timeout(60):
        await providers.choose("p/m")

    # Nobody asks, and waits, again so soon.
    assert len(model_server.exchanges) == 1


async def test_nobody_waits_for_the_list_of_a_fallback(
    make, model_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_PATIENCE", 0.1)
    monkeypatch.setattr(registry, "_LIST_TIMEOUT", 600)
    model_server.script = _silent
    providers = make(fallbacks={"scripted/echo": ("p/a", "p/b", "scripted/story", "scripted/no")})
    asked = await providers.choose("scripted/echo")

    async with asyncio.timeout(60):
        candidates = await providers.candidates(asked)

    # What cannot be told is for the call to find out.
    assert [choice.id for choice in candidates] == [
        "scripted/echo",
        "p/a",
        "p/b",
        "scripted/story",
    ]
