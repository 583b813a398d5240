"""What servers of chat completions tell of their models, beyond the names that all of them list.

Called by the adapter of chat completions. A server is known by its list; what it tells besides is
asked of that same server alone, and a failure to tell it costs nothing but the knowledge.

https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
https://docs.ollama.com/api, https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
https://openrouter.ai/docs/api-reference/list-available-models
https://lmstudio.ai/docs/developer/rest/list
"""

import asyncio
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from tailrace.providers.base import ModelInfo, ProviderError
from tailrace.providers.http import HttpClient

if TYPE_CHECKING:
    from tailrace.settings import Capability

Server = Literal["llama.cpp", "ollama", "vllm", "lmstudio", "openrouter"]

# How many models Ollama is asked about at the same time.
_AT_ONCE = 4
# What the servers call what a model can do.
_CAPABILITIES: dict[str, "Capability"] = {
    "vision": "vision",
    "image input": "vision",
    "file input": "documents",
    "reasoning": "reasoning",
    "thinking": "reasoning",
    "tools": "tools",
    "trained_for_tool_use": "tools",
}
_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)", re.MULTILINE)


class Listing(NamedTuple):
    """The models of a server, and which server it is; ``None`` when it cannot be told."""

    server: Server | None
    models: list[ModelInfo]


class _Meta(msgspec.Struct):
    n_ctx: int | None = None
    n_ctx_train: int | None = None


class _TopProvider(msgspec.Struct):
    context_length: int | None = None
    max_completion_tokens: int | None = None


class _Architecture(msgspec.Struct):
    input_modalities: list[str] = []
    output_modalities: list[str] = []


class _Model(msgspec.Struct):
    id: str
    owned_by: str | None = None
    created: Any = None
    name: str | None = None
    meta: _Meta | None = None
    max_model_len: int | None = None
    context_length: int | None = None
    top_provider: _TopProvider | None = None
    architecture: _Architecture | None = None
    supported_parameters: list[str] = []


class _Named(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[msgspec.Raw]

    def read(self) -> list[_Model]:
        """Return the models; of one that tells things in other shapes, the name alone."""
        models: list[_Model] = []
        for raw in self.data:
            try:
                models.append(msgspec.json.decode(raw, type=_Model))
            except msgspec.ValidationError:
                models.append(_Model(id=msgspec.json.decode(raw, type=_Named).id))
        return models


class _Modalities(msgspec.Struct):
    vision: bool = False


class _GenerationSettings(msgspec.Struct):
    n_ctx: int | None = None


class _Props(msgspec.Struct):
    default_generation_settings: _GenerationSettings = msgspec.field(
        default_factory=_GenerationSettings
    )
    modalities: _Modalities = msgspec.field(default_factory=_Modalities)
    chat_template: str = ""
    chat_template_caps: dict[str, Any] = {}


class _Tags(msgspec.Struct):
    models: list[dict[str, Any]]


class _Show(msgspec.Struct):
    capabilities: list[str] = []
    model_info: dict[str, Any] = {}
    parameters: str = ""


class _Loaded(msgspec.Struct):
    config: dict[str, Any] = {}


class _StudioModel(msgspec.Struct):
    key: str
    type: str = "llm"
    display_name: str | None = None
    max_context_length: int | None = None
    loaded_instances: list[_Loaded] = []
    capabilities: dict[str, Any] | None = None


class _StudioModels(msgspec.Struct):
    models: list[_StudioModel]


_models_decoder = msgspec.json.Decoder(_Models)
_props_decoder = msgspec.json.Decoder(_Props)
_tags_decoder = msgspec.json.Decoder(_Tags)
_show_decoder = msgspec.json.Decoder(_Show)
_studio_decoder = msgspec.json.Decoder(_StudioModels)


class Discovery:
    """Asks one server, and remembers what does not change between two lists."""

    def __init__(self, http: HttpClient, base_url: str) -> None:
        self._http = http
        self._base_url = base_url
        self._root = server_root(base_url)
        self._shown: dict[tuple[str, str], ModelInfo | None] = {}

    async def ask(self) -> Listing:
        """Return the models that answer in text.

        Raises
        ------
        ProviderError
            When the server cannot be asked for its list.
        """
        url = f"{self._base_url}/models"
        answer = await self._http.fetch("GET", url, _models_decoder)
        try:
            listed = answer.read()
        except msgspec.ValidationError as error:
            raise ProviderError("protocol", f"GET {url}: {error}") from None
        server = await self._server(listed)
        if server == "llama.cpp":
            return Listing(server, await self._of_llama_cpp(listed))
        if server == "ollama":
            return Listing(server, await self._of_ollama(listed))
        if server == "lmstudio":
            return Listing(server, await self._of_lm_studio(listed))
        # The others tell all they know in the list.
        return Listing(server, [info for model in listed if (info := _info(model)) is not None])

    async def _server(self, listed: list[_Model]) -> Server | None:
        owners = {model.owned_by for model in listed}
        if "llamacpp" in owners:
            return "llama.cpp"
        if "vllm" in owners or any(model.max_model_len is not None for model in listed):
            return "vllm"
        if "organization_owner" in owners:
            return "lmstudio"
        if any(model.architecture is not None for model in listed):
            return "openrouter"
        if "library" in owners or (owners and await self._has_tags()):
            return "ollama"
        return None

    async def _has_tags(self) -> bool:
        """Ollama names who made a model as its owner: only its own API gives it away."""
        try:
            await self._http.fetch("GET", f"{self._root}/api/tags", _tags_decoder)
        except ProviderError:
            return False
        return True

    async def _of_llama_cpp(self, listed: list[_Model]) -> list[ModelInfo]:
        try:
            props = await self._http.fetch("GET", f"{self._root}/props", _props_decoder)
        except ProviderError:
            props = _Props()
        capabilities: set[Capability] = set()
        if props.modalities.vision:
            capabilities.add("vision")
        if props.chat_template_caps.get("supports_tools"):
            capabilities.add("tools")
        if "<think>" in props.chat_template or "enable_thinking" in props.chat_template:
            capabilities.add("reasoning")
        # The properties are those of the one model; a server of several tells them of none.
        window = props.default_generation_settings.n_ctx if len(listed) == 1 else None
        return [
            ModelInfo(
                name=model.id,
                context_window=window or _window_in(model.meta or _Meta()),
                capabilities=frozenset(capabilities if len(listed) == 1 else ()),
            )
            for model in listed
        ]

    async def _of_ollama(self, listed: list[_Model]) -> list[ModelInfo]:
        # A model that is pulled again is another one.
        keys = [(model.id, str(model.created)) for model in listed]
        self._shown = {key: info for key, info in self._shown.items() if key in keys}
        gate = asyncio.Semaphore(_AT_ONCE)

        async def show(key: tuple[str, str]) -> ModelInfo | None:
            if key in self._shown:
                return self._shown[key]
            async with gate:
                try:
                    url, body = f"{self._root}/api/show", {"model": key[0]}
                    shown = await self._http.fetch("POST", url, _show_decoder, body)
                except ProviderError:
                    return ModelInfo(name=key[0])
            self._shown[key] = _shown(key[0], shown)
            return self._shown[key]

        infos = await asyncio.gather(*map(show, keys))
        return [info for info in infos if info is not None]

    async def _of_lm_studio(self, listed: list[_Model]) -> list[ModelInfo]:
        try:
            url = f"{self._root}/api/v1/models"
            told = (await self._http.fetch("GET", url, _studio_decoder)).models
        except ProviderError:
            told = []
        by_key = {model.key: model for model in told}
        infos: list[ModelInfo] = []
        for model in listed:
            more = by_key.get(model.id)
            if more is None:
                infos.append(ModelInfo(name=model.id))
            elif more.type != "embedding":
                infos.append(_studied(more))
        return infos


def server_root(base_url: str) -> str:
    """Return where a server's own API stands: beside the version that chat completions have."""
    return re.sub(r"/v\d+$", "", base_url)


def _window_in(meta: _Meta) -> int | None:
    return meta.n_ctx or meta.n_ctx_train


def _in_our_words(told: Iterable[str]) -> frozenset["Capability"]:
    return frozenset(_CAPABILITIES[word] for word in told if word in _CAPABILITIES)


def _info(model: _Model) -> ModelInfo | None:
    architecture = model.architecture or _Architecture()
    if architecture.output_modalities and "text" not in architecture.output_modalities:
        return None
    top = model.top_provider or _TopProvider()
    return ModelInfo(
        name=model.id,
        display_name=model.name,
        # What the provider first asked has, which may be less than the model could.
        context_window=top.context_length or model.context_length or model.max_model_len,
        output_limit=top.max_completion_tokens,
        capabilities=_in_our_words(
            {f"{kind} input" for kind in architecture.input_modalities}
            | set(model.supported_parameters)
        ),
    )


def _shown(name: str, shown: _Show) -> ModelInfo | None:
    if shown.capabilities and "completion" not in shown.capabilities:
        return None
    architecture = shown.model_info.get("general.architecture")
    trained = shown.model_info.get(f"{architecture}.context_length")
    # A prompt longer than num_ctx is cut without a word, whatever the model was trained for.
    set_to = _NUM_CTX.search(shown.parameters)
    windows = [int(set_to[1])] if set_to else []
    if isinstance(trained, int):
        windows.append(trained)
    return ModelInfo(
        name=name,
        context_window=min(windows, default=None),
        capabilities=_in_our_words(shown.capabilities),
    )


def _studied(model: _StudioModel) -> ModelInfo:
    told = model.capabilities or {}
    loaded = [one.config.get("context_length") for one in model.loaded_instances]
    windows = [window for window in loaded if isinstance(window, int)]
    return ModelInfo(
        name=model.key,
        display_name=model.display_name,
        context_window=min(windows, default=model.max_context_length),
        capabilities=_in_our_words(word for word, is_so in told.items() if is_so),
    )
