"""What each kind of server tells of its models, in the shapes their APIs document."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import SecretStr

from tailrace.providers.base import (
    FilePart,
    ModelInfo,
    ModelRequest,
    PromptMessage,
    ProviderError,
    TextPart,
)
from tailrace.providers.discovery import server_root
from tailrace.providers.openai_compatible import OpenAICompatible
from tailrace.settings import ModelSettings, ProviderSettings
from tests.support.model_server import Exchange, ModelServer, Script

REQUEST = ModelRequest(
    "m",
    [
        PromptMessage.of_text("user", "Hi"),
        PromptMessage.of_text("assistant", "Hello."),
        PromptMessage("user", (FilePart("text/plain", b"a note", "n.txt"), TextPart("Read it."))),
    ],
    max_output_tokens=50,
    system="Be brief.",
)

LLAMA_CPP = {
    "object": "list",
    "data": [
        {
            "id": "smollm2",
            "object": "model",
            "created": 1763740800,
            "owned_by": "llamacpp",
            "meta": {"n_vocab": 49152, "n_ctx": 4096, "n_ctx_train": 8192, "n_params": 134515008},
        }
    ],
}
PROPS = {
    "default_generation_settings": {"n_ctx": 2048, "params": {"n_predict": -1}},
    "total_slots": 2,
    "modalities": {"vision": True, "audio": False},
    "chat_template": "{% if enable_thinking %}<think>{% endif %}",
    "chat_template_caps": {"supports_tools": True},
}
VLLM = {
    "object": "list",
    "data": [
        {
            "id": "Qwen/Qwen3-8B",
            "object": "model",
            "created": 1763740800,
            "owned_by": "vllm",
            "root": "Qwen/Qwen3-8B",
            "parent": None,
            "max_model_len": 40960,
            "permission": [],
        }
    ],
}


def _ollama(*names: str, owner: str = "library") -> dict[str, Any]:
    models = [{"id": n, "object": "model", "created": 1, "owned_by": owner} for n in names]
    return {"object": "list", "data": models}


@pytest.fixture
async def provider(model_server: ModelServer) -> AsyncIterator[OpenAICompatible]:
    adapter = OpenAICompatible(
        ProviderSettings(
            name="local",
            kind="openai_compatible",
            base_url=model_server.base_url,
            api_key=SecretStr("sk-very-secret"),
            models=(ModelSettings(name="reader", capabilities=frozenset({"documents"})),),
        )
    )
    yield adapter
    await adapter.close()


def _answering(answers: dict[str, Any | Callable[[Any], Any]]) -> Script:
    """Answer by path; what has no answer is not found."""

    async def script(exchange: Exchange) -> None:
        value = answers.get(exchange.path)
        if callable(value):
            value = value(exchange.body)
        if value is None:
            await exchange.respond(404, b'{"error":"not found"}')
        else:
            await exchange.respond(200, json.dumps(value).encode())

    return script


def _asked(server: ModelServer) -> list[str]:
    return [f"{exchange.method} {exchange.path}" for exchange in server.exchanges]


async def test_llama_cpp_tells_its_slots_window_and_what_the_template_can(
    provider, model_server
) -> None:
    model_server.script = _answering({"/v1/models": LLAMA_CPP, "/props": PROPS})

    assert await provider.models() == [
        ModelInfo(
            name="smollm2",
            context_window=2048,
            capabilities=frozenset({"vision", "reasoning", "tools"}),
        )
    ]
    assert _asked(model_server) == ["GET /v1/models", "GET /props"]


async def test_llama_cpp_without_its_properties_tells_the_window_in_the_list(
    provider, model_server
) -> None:
    model_server.script = _answering({"/v1/models": LLAMA_CPP})

    assert await provider.models() == [ModelInfo(name="smollm2", context_window=4096)]


async def test_vllm_tells_the_length_of_its_model(provider, model_server) -> None:
    model_server.script = _answering({"/v1/models": VLLM})

    assert await provider.models() == [ModelInfo(name="Qwen/Qwen3-8B", context_window=40960)]
    assert _asked(model_server) == ["GET /v1/models"]


async def test_ollama_shows_each_model_once(provider, model_server) -> None:
    shows = {
        "qwen3:8b": {
            "capabilities": ["completion", "tools", "thinking"],
            "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960},
        },
        "gemma3:4b": {
            "capabilities": ["completion", "vision"],
            "model_info": {"general.architecture": "gemma3", "gemma3.context_length": 131072},
            "parameters": "temperature                    1\nnum_ctx                        8192",
        },
        "nomic-embed-text:latest": {"capabilities": ["embedding"], "model_info": {}},
    }
    model_server.script = _answering(
        {
            "/v1/models": _ollama(*shows, "gone:1b"),
            "/api/show": lambda body: shows.get(body["model"]),
        }
    )
    expected = [
        ModelInfo(
            name="qwen3:8b", context_window=40960, capabilities=frozenset({"reasoning", "tools"})
        ),
        ModelInfo(name="gemma3:4b", context_window=8192, capabilities=frozenset({"vision"})),
        ModelInfo(name="gone:1b"),
    ]

    assert await provider.models() == expected
    assert await provider.models() == expected
    # The one that could not be shown is asked for again.
    assert _asked(model_server).count("POST /api/show") == 5


async def test_ollama_is_known_by_its_own_api_when_its_models_come_from_elsewhere(
    provider, model_server
) -> None:
    shown = {
        "capabilities": ["completion"],
        "model_info": {"general.architecture": "llama", "llama.context_length": 8192},
    }
    model_server.script = _answering(
        {
            "/v1/models": _ollama("hf.co/someone/llama:q4", owner="someone"),
            "/api/tags": {"models": [{"name": "hf.co/someone/llama:q4"}]},
            "/api/show": shown,
        }
    )

    assert await provider.models() == [
        ModelInfo(name="hf.co/someone/llama:q4", context_window=8192)
    ]


async def test_lm_studio_tells_the_window_of_what_it_has_loaded(provider, model_server) -> None:
    told = [
        {
            "type": "llm",
            "key": "qwen/qwen3.5-9b",
            "display_name": "Qwen3.5 9B",
            "max_context_length": 262144,
            "loaded_instances": [{"id": "qwen/qwen3.5-9b", "config": {"context_length": 4096}}],
            "capabilities": {"vision": True, "trained_for_tool_use": True},
        },
        {
            "type": "llm",
            "key": "google/gemma-3-4b",
            "display_name": "Gemma 3 4B",
            "max_context_length": 131072,
            "loaded_instances": [],
            "capabilities": {"vision": True, "trained_for_tool_use": False},
        },
        {"type": "embedding", "key": "nomic", "max_context_length": 2048},
    ]
    names = [model["key"] for model in told]
    model_server.script = _answering(
        {
            "/v1/models": _ollama(*names, owner="organization_owner"),
            "/api/v1/models": {"models": told},
        }
    )

    assert await provider.models() == [
        ModelInfo(
            name="qwen/qwen3.5-9b",
            display_name="Qwen3.5 9B",
            context_window=4096,
            capabilities=frozenset({"vision", "tools"}),
        ),
        ModelInfo(
            name="google/gemma-3-4b",
            display_name="Gemma 3 4B",
            context_window=131072,
            capabilities=frozenset({"vision"}),
        ),
    ]


async def test_a_server_of_no_known_kind_tells_names(provider, model_server) -> None:
    model_server.script = _answering({"/v1/models": {"data": [{"id": "a"}, {"id": "b"}]}})

    assert await provider.models() == [ModelInfo(name="a"), ModelInfo(name="b")]


async def test_what_is_told_in_another_shape_costs_no_model(provider, model_server) -> None:
    odd = {"id": "odd", "owned_by": "acme", "context_length": "8k", "architecture": "llama"}
    model_server.script = _answering({"/v1/models": {"data": [odd, {"id": "b"}]}})

    assert await provider.models() == [ModelInfo(name="odd"), ModelInfo(name="b")]


@pytest.mark.parametrize("data", ["many", ["a", "b"], [{"name": "a"}]])
async def test_a_list_of_another_shape_is_a_protocol_error(provider, model_server, data) -> None:
    model_server.script = _answering({"/v1/models": {"data": data}})

    with pytest.raises(ProviderError) as caught:
        await provider.models()

    assert caught.value.type == "protocol"


async def test_tokens_are_not_counted_before_the_server_is_known(provider, model_server) -> None:
    assert await provider.count_tokens(REQUEST) is None
    assert model_server.exchanges == []


async def test_llama_cpp_counts_the_prompt_as_its_template_writes_it(
    provider, model_server
) -> None:
    model_server.script = _answering(
        {
            "/v1/models": LLAMA_CPP,
            "/props": PROPS,
            "/apply-template": {"prompt": "<|im_start|>…"},
            "/tokenize": {"tokens": [1, 2, 3, 4, 5]},
        }
    )
    await provider.models()

    assert await provider.count_tokens(REQUEST) == 5
    template, tokenize = model_server.exchanges[-2:]
    assert template.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "n.txt:\na note\n\nRead it."},
    ]
    assert tokenize.body == {
        "content": "<|im_start|>…",
        "add_special": True,
        "parse_special": True,
    }


async def test_vllm_counts_messages(provider, model_server) -> None:
    counted = {"count": 7, "max_model_len": 40960, "tokens": [1] * 7}
    model_server.script = _answering({"/v1/models": VLLM, "/tokenize": counted})
    await provider.models()

    assert await provider.count_tokens(REQUEST) == 7


async def test_an_image_is_not_counted(provider, model_server) -> None:
    model_server.script = _answering({"/v1/models": VLLM})
    await provider.models()
    image = PromptMessage("user", (FilePart("image/png", b"png"), TextPart("What is this?")))

    assert await provider.count_tokens(ModelRequest("m", [image], 50)) is None


@pytest.mark.parametrize(
    ("listing", "effort", "expected"),
    [
        (None, "low", {"reasoning_effort": "low"}),
        (VLLM, None, {}),
        (
            VLLM,
            "none",
            {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": False}},
        ),
        (
            LLAMA_CPP,
            "high",
            {"reasoning_effort": "high", "chat_template_kwargs": {"enable_thinking": True}},
        ),
    ],
)
async def test_effort_is_told_in_the_servers_way(
    provider, model_server, listing, effort, expected
) -> None:
    if listing is not None:
        model_server.script = _answering({"/v1/models": listing})
        await provider.models()
    model_server.script = _answering({})
    request = ModelRequest("m", REQUEST.messages, 50, reasoning_effort=effort)

    with pytest.raises(ProviderError):
        [deltas async for deltas in provider.stream(request)]

    body = model_server.exchanges[-1].body
    names = {"reasoning_effort", "chat_template_kwargs"}
    assert {name: body[name] for name in names & body.keys()} == expected


async def test_documents_go_to_models_that_are_known_to_read_them(provider, model_server) -> None:
    message = PromptMessage("user", (FilePart("application/pdf", b"%PDF", "a.pdf"), TextPart("?")))
    model_server.script = _answering({})

    with pytest.raises(ProviderError) as caught:
        [deltas async for deltas in provider.stream(ModelRequest("m", [message], 50))]
    assert caught.value.type == "invalid_request"
    assert model_server.exchanges == []

    with pytest.raises(ProviderError):
        [deltas async for deltas in provider.stream(ModelRequest("reader", [message], 50))]
    assert model_server.exchanges[-1].body["messages"][0]["content"][0] == {
        "type": "file",
        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
    }


@pytest.mark.parametrize(
    "part", [FilePart("video/mp4", b""), FilePart("text/plain", b"\xff\xfe", "n.txt")]
)
async def test_what_no_form_exists_for_is_refused_before_the_call(
    provider, model_server, part
) -> None:
    with pytest.raises(ProviderError) as caught:
        [d async for d in provider.stream(ModelRequest("m", [PromptMessage("user", [part])], 50))]

    assert caught.value.type == "invalid_request"
    assert model_server.exchanges == []


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("http://h:1/v1", "http://h:1"),
        ("http://h:1", "http://h:1"),
        ("https://h/ollama/v1", "https://h/ollama"),
        ("https://h/api/v10", "https://h/api"),
    ],
)
def test_a_servers_own_api_stands_beside_the_version(base_url, expected) -> None:
    assert server_root(base_url) == expected
