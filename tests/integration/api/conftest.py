"""A site that counts nobody out, and services beside it, for what goes through every route."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from pydantic import SecretStr

from tailrace.http.site import create_app
from tailrace.services import Services
from tailrace.settings import ProviderSettings, Settings
from tests.support.serving import serve


@pytest.fixture(scope="module")
async def every_route(
    module_database_url: str, module_valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SimpleNamespace]:
    """``services``, and ``http``: a client of the site."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "index.html").touch()
    settings = generous_settings(module_database_url, module_valkey_url, folder)
    services = Services(settings)
    await services.open()
    async with (
        serve(create_app(Services(settings), folder)) as base_url,
        httpx.AsyncClient(base_url=base_url, timeout=120) as http,
    ):
        yield SimpleNamespace(services=services, http=http)
    await services.close()


def generous_settings(database_url: str, redis_url: str, folder: Path) -> Settings:
    """Return settings under which every route works, as often as anybody likes."""
    return Settings(
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        secret_key=SecretStr("a secret key that only tests use"),
        secure_cookies=False,
        public_url="http://localhost",
        mail_url=SecretStr(f"file://{folder}/outbox"),
        attachments_url=f"file://{folder}/attachments",
        # Nobody listens there: a sign-in comes back with an error.
        oidc_issuer="http://127.0.0.1:9",
        oidc_client_id="tailrace",
        sign_in_address_limit=1_000_000,
        sign_in_limit=1_000_000,
        guest_address_limit=1_000_000,
        address_rate="1000000/minute",
        providers=(ProviderSettings(name="scripted", kind="scripted"),),
        default_model="scripted/echo",
    )
