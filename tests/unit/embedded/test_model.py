"""Which model ``make up`` finds: a key in the environment, then Ollama, else none."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pydantic import SecretStr

from localstack.embedded.model import find, ollama_address
from localstack.embedded.process import StackError

# A reserved port where nothing listens.
_NOBODY = {"OLLAMA_HOST": "127.0.0.1:1"}


@contextmanager
def _ollama(body: bytes, status: int = 200) -> Iterator[str]:
    """Answer /api/tags on a loopback port, as Ollama does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/api/tags" else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _tags(*models: tuple[str, str, str]) -> bytes:
    keys = ("name", "modified_at", "family")
    listed = [dict(zip(keys, model, strict=True)) for model in models]
    return json.dumps(
        {"models": [{**m, "details": {"family": m.pop("family")}} for m in listed]}
    ).encode()


def test_without_anything_there_is_none() -> None:
    assert find(_NOBODY) is None


def test_openai_is_used_with_its_key() -> None:
    found = find(_NOBODY | {"OPENAI_API_KEY": "sk-secret"})
    assert found is not None
    (provider,) = found.providers
    assert (provider.name, provider.kind, provider.base_url) == ("openai", "openai", None)
    assert provider.api_key is not None
    assert provider.api_key.get_secret_value() == "sk-secret"
    assert found.default.startswith("openai/")
    assert "secret" not in found.origin


def test_another_server_behind_openais_variables_is_called_as_what_it_is() -> None:
    variables = {"OPENAI_API_KEY": "sk-secret", "OPENAI_BASE_URL": "http://box:8000/v1"}
    found = find(_NOBODY | variables)
    assert found is not None
    (provider,) = found.providers
    assert (provider.kind, provider.base_url) == ("openai_compatible", "http://box:8000/v1")
    assert found.default is None, "the first that it has"


def test_openais_own_address_is_openai() -> None:
    variables = {"OPENAI_API_KEY": "sk-secret", "OPENAI_BASE_URL": "https://api.openai.com/v1"}
    found = find(_NOBODY | variables)
    assert found is not None
    (provider,) = found.providers
    assert (provider.kind, provider.base_url) == ("openai", None)
    assert found.default == "openai/gpt-5-mini"


def test_a_key_from_a_file_may_end_in_a_line_break() -> None:
    found = find(_NOBODY | {"ANTHROPIC_API_KEY": "sk-secret\n"})
    assert found is not None
    assert found.providers[0].api_key == SecretStr("sk-secret")


def test_everything_that_is_found_is_offered() -> None:
    keys = {"GOOGLE_API_KEY": "g", "ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "o"}
    found = find(_NOBODY | keys)
    assert found is not None
    assert [each.name for each in found.providers] == ["anthropic", "openai", "gemini"]
    assert found.default.startswith("anthropic/")
    assert found.origin == "ANTHROPIC_API_KEY"


def test_a_key_comes_before_ollama() -> None:
    with _ollama(_tags(("llama3.2:1b", "2026-01-01", "llama"))) as host:
        found = find({"OLLAMA_HOST": host, "OPENAI_API_KEY": "sk-secret"})
    assert found is not None
    assert [each.name for each in found.providers] == ["openai", "ollama"]
    assert found.default.startswith("openai/")


def test_ollamas_last_changed_model_that_can_chat_is_the_default() -> None:
    body = _tags(
        ("llama3.2:1b", "2026-01-01T00:00:00Z", "llama"),
        ("qwen3:4b", "2026-02-01T00:00:00Z", "qwen3"),
        ("nomic-embed-text:latest", "2026-03-01T00:00:00Z", "nomic-bert"),
        ("all-minilm:latest", "2026-03-02T00:00:00Z", "bert"),
    )
    with _ollama(body) as host:
        found = find({"OLLAMA_HOST": host})
    assert found is not None
    (provider,) = found.providers
    assert provider.name == "ollama"
    assert provider.base_url == f"http://{host}/v1"
    assert found.default == "ollama/qwen3:4b"
    assert found.origin == f"Ollama at http://{host}"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (_tags(), 200),
        (_tags(("nomic-embed-text", "2026-03-01", "nomic-bert")), 200),
        (b"404 page not found", 404),
        (b'{"models": [{"name": "x"}]}', 200),
        (b'{"models": null}', 200),
        (b"[]", 200),
        (b"\xff", 200),
    ],
)
def test_a_server_without_a_model_to_chat_with_is_passed_over(body: bytes, status: int) -> None:
    with _ollama(body, status) as host:
        assert find({"OLLAMA_HOST": host}) is None


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("", "http://127.0.0.1:11434"),
        (":8080", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("box", "http://box:11434"),
        ("http://box", "http://box:80"),
        ("https://box", "https://box:443"),
        ("https://box:8443/", "https://box:8443"),
        (" box:1 ", "http://box:1"),
        ("[::1]:1", "http://[::1]:1"),
    ],
)
def test_ollama_host_in_every_form(host: str, address: str) -> None:
    assert ollama_address(host) == address


@pytest.mark.parametrize("host", ["box:port", "box:99999", "http://[::1"])
def test_an_ollama_host_that_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(StackError, match=r"^OLLAMA_HOST: must be an address"):
        ollama_address(host)
