"""The providers that the settings name, and the models they offer.

A new provider is one module and one line in `KINDS`.
"""

import time
from importlib import import_module
from typing import Any, NamedTuple

from tailrace.problems import invalid
from tailrace.providers.base import Provider, ProviderError
from tailrace.settings import ProviderSettings, Settings, SettingsError

KINDS = {
    "openai_compatible": "tailrace.providers.openai_compatible:OpenAICompatible",
    "scripted": "tailrace.providers.scripted:Scripted",
}

# Seconds for which a server's list of models is believed.
_LIST_TTL = 30.0


class Model(NamedTuple):
    """A model of the catalogue.

    Attributes
    ----------
    id
        ``<provider instance>/<name>``, what clients choose by.
    available, reason
        Whether its provider answered, and if not, why not.
    """

    id: str
    provider: str
    name: str
    available: bool
    reason: str | None


class Choice(NamedTuple):
    """A model chosen for a call: its catalogue id, its adapter and the adapter's name for it."""

    id: str
    provider: Provider
    model: str


class Providers:
    """Adapters by instance name; only the kinds in use are imported, all of them at the start."""

    def __init__(self, settings: Settings) -> None:
        self._settings = {provider.name: provider for provider in settings.providers}
        self._default = settings.default_model
        self._adapters: dict[str, Provider] = {}
        self._listed: dict[str, tuple[float, list[str]]] = {}
        for provider in settings.providers:
            _check(provider)
        for name in ("default_model", "title_model"):
            model_id = getattr(settings, name)
            if model_id is not None and model_id.partition("/")[0] not in self._settings:
                raise SettingsError(
                    f"TAILRACE_{name.upper()}: must be <provider>/<model> with a provider of"
                    " TAILRACE_PROVIDERS"
                )

    async def catalogue(self) -> list[Model]:
        """Return the models of every provider; one that cannot be asked is listed as such."""
        models: list[Model] = []
        for name in self._settings:
            try:
                for model in await self._models(name):
                    models.append(Model(f"{name}/{model}", name, model, True, None))
            except ProviderError as error:
                known = self._listed.get(name, (0.0, []))[1]
                models += [Model(f"{name}/{m}", name, m, False, error.sentence) for m in known]
        return models

    async def default(self) -> str | None:
        """Return the id of the model used when a request names none."""
        if self._default is not None:
            return self._default
        return next((model.id for model in await self.catalogue()), None)

    async def choose(self, model_id: str | None) -> Choice:
        """Find the adapter of a model.

        Raises
        ------
        Problem
            422 on the field ``model`` when the catalogue has no such model.
        """
        if model_id is None:
            model_id = await self.default()
            if model_id is None:
                raise invalid("model", "No model is configured on this server.")
        name, _, model = model_id.partition("/")
        if name not in self._settings or not model:
            raise invalid("model", "No such model. GET /api/models lists those on offer.")
        try:
            known = model in await self._models(name)
        except ProviderError:
            # Whether the model exists cannot be asked: the call itself will tell what is wrong.
            known = True
        if not known:
            raise invalid("model", "No such model. GET /api/models lists those on offer.")
        return Choice(model_id, self._adapter(name), model)

    async def close(self) -> None:
        """Close every adapter in use."""
        for adapter in self._adapters.values():
            await adapter.close()

    async def _models(self, name: str) -> list[str]:
        read_at, listed = self._listed.get(name, (float("-inf"), []))
        if time.monotonic() - read_at > _LIST_TTL:
            offered = self._settings[name].models or await self._adapter(name).models()
            listed = [model.name for model in offered]
            self._listed[name] = (time.monotonic(), listed)
        return listed

    def _adapter(self, name: str) -> Provider:
        if name not in self._adapters:
            settings = self._settings[name]
            self._adapters[name] = _class_of(settings.kind)(settings)
        return self._adapters[name]


def _class_of(kind: str) -> Any:
    module, _, attribute = KINDS[kind].partition(":")
    return getattr(import_module(module), attribute)


def _check(settings: ProviderSettings) -> None:
    where = f"TAILRACE_PROVIDERS ({settings.name}"
    if settings.kind not in KINDS:
        raise SettingsError(f"{where}.kind): must be one of {', '.join(sorted(KINDS))}")
    if settings.kind == "openai_compatible" and settings.base_url is None:
        raise SettingsError(f"{where}.base_url): is required for this kind")
    # Imported now: on Lambda the start has more processor and less haste than the first request.
    _class_of(settings.kind)
