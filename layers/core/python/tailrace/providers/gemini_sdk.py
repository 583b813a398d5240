"""What google-genai does for Gemini: lists the models and counts tokens.

Called by `tailrace.providers.gemini` alone, which loads it when it is first asked: the SDK takes
half a second to load, and no answer waits for it.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from google import genai
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.genai import errors, types

from tailrace.providers.base import ModelInfo, ProviderError
from tailrace.providers.gemini import Address, refusal_of, without_credentials
from tailrace.providers.http import new_session, not_reached, without_key
from tailrace.settings import Capability, ProviderSettings

# Of the models that generate content: those whose content is no answer in text.
_NO_CHAT = re.compile(r"-tts|-image|-audio|-live|-robotics|-computer-use")


class Sdk:
    """The SDK's client over connections of ours; `credentials` are Vertex's."""

    def __init__(
        self, settings: ProviderSettings, address: Address, credentials: Credentials | None
    ) -> None:
        self._settings = settings
        self._session = new_session(settings, middlewares=(self._take,))
        # One for all: the SDK would load the authorities for each of its transports anew.
        tls = ssl.create_default_context()
        if settings.project is not None:
            identity: dict[str, Any] = {
                "project": settings.project,
                "location": settings.location or "global",
                "credentials": credentials,
            }
        else:
            assert settings.api_key is not None
            identity = {"api_key": settings.api_key.get_secret_value()}
        # All of it is told, so that the environment has no say.
        self._client = genai.Client(
            vertexai=settings.project is not None,
            http_options=types.HttpOptions(
                base_url=address.root,
                api_version=address.version,
                aiohttp_client=self._session,
                client_args={"verify": tls},
                async_client_args={"verify": tls, "ssl": tls},
            ),
            **identity,
        )

    async def models(self) -> list[ModelInfo]:
        """Return the models that chat."""
        async with self._bounded() as client:
            listing = [model async for model in await client.aio.models.list()]
        return [_info(model) for model in listing if _chats(model)]

    async def count_tokens(
        self, model: str, contents: list[dict[str, Any]], system: str | None
    ) -> int | None:
        """Ask ``countTokens``; a system prompt is counted as a user's message by the Gemini API."""
        config = None
        if system and self._settings.project is not None:
            config = types.CountTokensConfig(system_instruction=system)
        elif system:
            # Only Vertex counts a system instruction as such.
            contents = [{"role": "user", "parts": [{"text": system}]}, *contents]
        async with self._bounded() as client:
            count = await client.aio.models.count_tokens(
                model=model,
                contents=[types.Content.model_validate(content) for content in contents],
                config=config,
            )
        return count.total_tokens

    async def close(self) -> None:
        """Close idle connections."""
        await self._session.close()

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[genai.Client]:
        """Bound a call, and classify what the SDK makes of its answer."""
        limit = self._settings.first_chunk_timeout
        try:
            async with asyncio.timeout(limit):
                yield self._client
        except TimeoutError:
            raise ProviderError("timeout", f"no answer within {limit:g} s") from None
        except GoogleAuthError as error:
            raise without_credentials(error) from None
        except aiohttp.ClientError as error:
            raise not_reached(self._settings, error) from None
        except (ValueError, errors.APIError) as error:
            raise ProviderError("protocol", f"{type(error).__name__}: {error}") from None

    async def _take(
        self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send what the SDK built, and classify failures.

        The SDK follows redirects with its key and tries again after a failure: neither is reached
        when this raises.
        """
        try:
            response = await send(request)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise not_reached(self._settings, error) from None
        if response.status == 200:
            return response
        try:
            raise without_key(self._settings, await refusal_of(response))
        finally:
            response.close()


def _chats(model: types.Model) -> bool:
    name = _name(model)
    if _NO_CHAT.search(name):
        return False
    # Vertex does not tell the actions of its publishers' models.
    if model.supported_actions is None:
        return name.startswith("gemini-") and "embedding" not in name
    return "generateContent" in model.supported_actions


def _name(model: types.Model) -> str:
    return (model.name or "").rpartition("/")[2]


def _info(model: types.Model) -> ModelInfo:
    name = _name(model)
    capabilities: set[Capability] = {"reasoning"} if model.thinking else set()
    if name.startswith("gemini-"):
        capabilities |= {"vision", "documents", "tools"}
    return ModelInfo(
        name=name,
        display_name=model.display_name,
        context_window=model.input_token_limit,
        output_limit=model.output_token_limit,
        capabilities=frozenset(capabilities),
    )
