"""The providers that the settings name, and the catalogue of the models they offer.

A new provider is one module and one line in `KINDS`.
"""

import asyncio
import logging
import time
from importlib import import_module
from typing import Any, NamedTuple

from msgspec import structs

from tailrace.problems import invalid
from tailrace.providers.base import ErrorType, ModelInfo, Provider, ProviderError
from tailrace.settings import ModelSettings, ProviderSettings, Settings, SettingsError

_log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """An adapter, and the setting without which it has nothing to call with."""

    adapter: str
    needs: str | None = None


KINDS = {
    "anthropic": Kind("tailrace.providers.anthropic:Anthropic", "api_key"),
    "bedrock": Kind("tailrace.providers.bedrock:Bedrock"),
    "gemini": Kind("tailrace.providers.gemini:Gemini", "api_key"),
    "openai": Kind("tailrace.providers.openai:OpenAI", "api_key"),
    "openai_compatible": Kind("tailrace.providers.openai_compatible:OpenAICompatible"),
    "scripted": Kind("tailrace.providers.scripted:Scripted"),
}

# Seconds for which a list of models is believed: by the catalogue, and by a call, which asks
# again only for a model that it does not find.
_FRESH = 30.0
_USABLE = 600.0
# Seconds a list may take, and those a call waits for one that only tells it more of a model it
# knows.
_LIST_TIMEOUT = 10.0
_PATIENCE = 2.0

# What tells that a provider has no list for us, rather than that it cannot be called.
_UNLISTED: frozenset[ErrorType] = frozenset({"not_found", "permission"})

_NO_SUCH_MODEL = "No such model. GET /api/models lists those on offer."


class Model(NamedTuple):
    """A model of the catalogue.

    Attributes
    ----------
    id
        ``<provider instance>/<name>``, what clients choose by.
    provider, kind
        Its provider's instance name and adapter.
    available, reason
        Whether it can be called now, and if not, why not.
    """

    id: str
    provider: str
    kind: str
    info: ModelInfo
    available: bool
    reason: str | None


class Choice(NamedTuple):
    """A model chosen for a call: its catalogue id, its adapter, and what is known of it."""

    id: str
    kind: str
    provider: Provider
    info: ModelInfo

    @property
    def model(self) -> str:
        """The provider's own name for the model."""
        return self.info.name


class _Listing(NamedTuple):
    """What a provider last told of its models, and how asking it last went wrong."""

    asked_at: float
    models: dict[str, ModelInfo]
    error: ProviderError | None


class Providers:
    """Adapters by instance name; only the kinds in use are imported, all of them at the start."""

    def __init__(self, settings: Settings) -> None:
        self._settings = {provider.name: provider for provider in settings.providers}
        self._default = settings.default_model
        self._fallbacks = settings.fallbacks
        self._adapters: dict[str, Provider] = {}
        self._listings: dict[str, _Listing] = {}
        self._asking: dict[str, asyncio.Task[_Listing]] = {}
        for provider in settings.providers:
            _check(provider)
            if _missing(provider) is None:
                # Made now, and its SDK imported: on Lambda the start has more processor and less
                # haste than the first request.
                self._adapter(provider.name)
        for name in ("default_model", "title_model"):
            self._check_id(f"TAILRACE_{name.upper()}", getattr(settings, name))
        for asked, fallbacks in settings.fallbacks.items():
            for model_id in (asked, *fallbacks):
                self._check_id(f"TAILRACE_FALLBACKS ({model_id})", model_id)

    async def catalogue(self) -> list[Model]:
        """Return the models of every provider; one that cannot be called is listed as such."""
        lists = await asyncio.gather(*(self._offer(name) for name in self._settings))
        return [model for models in lists for model in models]

    async def default(self) -> str | None:
        """Return the id of the model used when a request names none."""
        if self._default is not None:
            return self._default
        for name in self._settings:
            for model in await self._offer(name):
                if model.available:
                    return model.id
        return None

    async def choose(self, model_id: str | None) -> Choice:
        """Find the adapter of a model.

        Raises
        ------
        Problem
            422 on the field ``model`` when there is no such model, or it cannot be called.
        """
        if model_id is None:
            model_id = await self.default()
            if model_id is None:
                raise invalid("model", "No model is configured on this server.")
        name, _, model = model_id.partition("/")
        settings = self._settings.get(name)
        if settings is None or not model:
            raise invalid("model", _NO_SUCH_MODEL)
        if reason := _missing(settings):
            raise invalid("model", reason)
        info = await self._find(settings, model)
        if info is None:
            raise invalid("model", _NO_SUCH_MODEL)
        return Choice(model_id, settings.kind, self._adapter(name), info)

    async def candidates(self, choice: Choice) -> list[Choice]:
        """Return the choice, then the fallbacks of its model that can be called, in order."""
        fallbacks = self._fallbacks.get(choice.id, ())
        found = await asyncio.gather(*(self._fallback(model_id) for model_id in fallbacks))
        return [choice, *(fallback for fallback in found if fallback is not None)]

    async def close(self) -> None:
        """Close every adapter in use."""
        for asking in self._asking.values():
            asking.cancel()
        for adapter in self._adapters.values():
            await adapter.close()

    async def _fallback(self, model_id: str) -> Choice | None:
        name, _, model = model_id.partition("/")
        settings = self._settings[name]
        if _missing(settings) is not None:
            return None
        # The model asked for does not wait for what may never be needed.
        info = await self._find(settings, model, patience=_PATIENCE)
        return Choice(model_id, settings.kind, self._adapter(name), info) if info else None

    async def _find(
        self, settings: ProviderSettings, model: str, patience: float | None = None
    ) -> ModelInfo | None:
        """Return what is known of a model; ``None`` when it is not on offer.

        Parameters
        ----------
        patience
            Seconds to wait for a list that alone can tell whether it is.
        """
        configured = {m.name: m for m in settings.models}
        if configured:
            if model not in configured:
                return None
            given = configured[model]
            if given.context_window is not None and given.capabilities is not None:
                return _merged(given, None)
            try:
                async with asyncio.timeout(_PATIENCE):
                    listing = await self._listing(settings.name, _USABLE)
            except TimeoutError:
                return _merged(given, None)
            return _merged(given, listing.models.get(model))
        try:
            async with asyncio.timeout(patience):
                listing = await self._listing(settings.name, _USABLE)
                if model not in listing.models:
                    listing = await self._listing(settings.name, _FRESH)
        except TimeoutError:
            return ModelInfo(name=model)
        if model in listing.models:
            return listing.models[model]
        # Where the provider cannot be asked, the call itself will tell what is wrong.
        return ModelInfo(name=model) if listing.error is not None else None

    async def _offer(self, name: str) -> list[Model]:
        settings = self._settings[name]
        reason = _missing(settings)
        listing = _Listing(0.0, {}, None)
        if reason is None:
            listing = await self._listing(name, _FRESH)
            error = listing.error
            if error is not None and not (settings.models and error.type in _UNLISTED):
                reason = error.sentence
        if settings.models:
            infos = [_merged(model, listing.models.get(model.name)) for model in settings.models]
        else:
            infos = list(listing.models.values())
        return [
            Model(f"{name}/{info.name}", name, settings.kind, info, reason is None, reason)
            for info in infos
        ]

    async def _listing(self, name: str, max_age: float) -> _Listing:
        """Return what the provider tells of its models, not older than `max_age` seconds."""
        last = self._listings.get(name)
        if last is not None:
            # One that could not be asked is not asked at every call.
            max_age = min(max_age, _FRESH) if last.error is not None else max_age
            if time.monotonic() - last.asked_at <= max_age:
                return last
        if name not in self._asking:
            self._asking[name] = asyncio.create_task(self._ask(name))
            self._asking[name].add_done_callback(lambda _: self._asking.pop(name))
        # One question for all who wait; who gives up waiting leaves the answer to the next.
        return await asyncio.shield(self._asking[name])

    async def _ask(self, name: str) -> _Listing:
        last = self._listings.get(name)
        models, error = last.models if last else {}, None
        try:
            async with asyncio.timeout(_LIST_TIMEOUT):
                models = {info.name: info for info in await self._adapter(name).models()}
        except TimeoutError:
            error = ProviderError("timeout", f"no list of models within {_LIST_TIMEOUT:g} s")
        except ProviderError as failure:
            error = failure
        except Exception as failure:
            # An SDK may stumble over an answer that is none; the catalogue stands all the same.
            _log.exception("the list of models of %s could not be read", name)
            error = ProviderError("protocol", type(failure).__name__)
        self._listings[name] = _Listing(time.monotonic(), models, error)
        return self._listings[name]

    def _adapter(self, name: str) -> Provider:
        if name not in self._adapters:
            settings = self._settings[name]
            self._adapters[name] = _class_of(settings.kind)(settings)
        return self._adapters[name]

    def _check_id(self, setting: str, model_id: str | None) -> None:
        if model_id is None:
            return
        name, _, model = model_id.partition("/")
        if name not in self._settings or not model:
            raise SettingsError(
                f"{setting}: must be <provider>/<model> with a provider of TAILRACE_PROVIDERS"
            )


def _merged(configured: ModelSettings, told: ModelInfo | None) -> ModelInfo:
    """Return what the settings say of a model, and for the rest what its provider told."""
    info = told or ModelInfo(name=configured.name)
    given = configured.model_dump(exclude_none=True, exclude={"name"})
    return structs.replace(info, **given)


def _missing(settings: ProviderSettings) -> str | None:
    """Say what the provider lacks to be called at all."""
    if KINDS[settings.kind].needs == "api_key" and not (settings.api_key or settings.project):
        return f"The server has no API key for {settings.name}."
    return None


def _class_of(kind: str) -> Any:
    module, _, attribute = KINDS[kind].adapter.partition(":")
    return getattr(import_module(module), attribute)


def _check(settings: ProviderSettings) -> None:
    where = f"TAILRACE_PROVIDERS ({settings.name}"
    if settings.kind not in KINDS:
        raise SettingsError(f"{where}.kind): must be one of {', '.join(sorted(KINDS))}")
    if settings.kind == "openai_compatible" and settings.base_url is None:
        raise SettingsError(f"{where}.base_url): is required for this kind")
