"""Settings: environment variables with the prefix ``TAILRACE_``, read once at start.

A bad setting stops the start with one line that names it, the shape of what it holds and what is
allowed; the value itself is never shown, since it may be a secret.
"""

import json
import re
from base64 import b64decode
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, quote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from tailrace.alerts.rules import RuleFields
from tailrace.alerts.targets import KINDS as ALERT_TARGET_KINDS
from tailrace.environment import PREFIX, Environment, SettingsError, field_of, one_line
from tailrace.limits.rate import parse as parse_rate
from tailrace.queue import KINDS as QUEUE_KINDS

# Scheme, host and port, and nothing after them.
_ORIGIN = r"^https?://[^\s/?#@]+$"
# An address, or a name and an address in angle brackets; a line break would begin a header.
_SENDER = r"^[^\r\n<>@]*<?[^\s<>@]+@[^\s<>@]+>?$"
_TOPIC = r"sns:arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?"
_MAIL_SCHEMES = ("smtp", "smtps", "ses", "file")
# Seconds; times have an end, in Python as in PostgreSQL.
_CENTURY = 100 * 366 * 86_400


def _rate(text: str) -> str:
    parse_rate(text)
    return text


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        # What is no number shows only when it is asked for.
        _ = parts.port
    except ValueError:
        raise ValueError("not a URL") from None
    return parts


RateText = Annotated[str, AfterValidator(_rate)]
# Seconds; None for ever.
KeptFor = Annotated[float | None, Field(ge=86_400, le=_CENTURY)]
Usd = Annotated[Decimal, Field(ge=0, max_digits=20, decimal_places=12)]

Capability = Literal["vision", "documents", "reasoning", "tools"]


class ModelSettings(BaseModel):
    """A model that a provider is to offer; what is given here wins over what the provider tells.

    Parameters
    ----------
    name
        The provider's own name for it.
    context_window, output_limit
        Tokens.
    capabilities
        Any of ``vision``, ``documents``, ``reasoning``, ``tools``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=200)
    display_name: str | None = Field(default=None, max_length=200)
    context_window: int | None = Field(default=None, ge=1)
    output_limit: int | None = Field(default=None, ge=1)
    capabilities: frozenset[Capability] | None = None


class ProviderSettings(BaseModel):
    """One configured instance of a provider; several of one kind may stand side by side.

    Parameters
    ----------
    name
        Instance name, the part of a model id before the slash.
    kind
        Adapter, a key of `tailrace.providers.registry.KINDS`.
    base_url
        Root of the API, version included where the API has it in its path, such as
        ``http://127.0.0.1:11434/v1``; most kinds know their own. It holds no credentials, since
        it is no secret.
    api_key
        Sent to ``base_url`` alone.
    project, location
        Google Cloud project and location: Gemini is then called through Vertex AI.
    region
        AWS region of Bedrock; the function's own by default.
    models
        Models offered, by name or as `ModelSettings`; empty means those the provider lists.
    connect_timeout, first_chunk_timeout, chunk_timeout
        Seconds to connect, to the first chunk, and between chunks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,31}$")
    kind: str
    base_url: str | None = Field(default=None, pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")
    api_key: SecretStr | None = None
    project: str | None = None
    location: str | None = None
    region: str | None = None
    models: tuple[ModelSettings, ...] = ()
    connect_timeout: float = Field(default=5.0, gt=0, le=60)
    first_chunk_timeout: float = Field(default=60.0, gt=0, le=600)
    chunk_timeout: float = Field(default=30.0, gt=0, le=600)

    @field_validator("api_key")
    @classmethod
    def _fit_for_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        # Whoever refuses a header for the line break of a key from a file quotes the key.
        if key is not None and not re.fullmatch(r"[\x21-\x7e]*", key.get_secret_value()):
            raise ValueError("must be printable ASCII without spaces or line breaks")
        return key

    @field_validator("models", mode="before")
    @classmethod
    def _of_names(cls, models: object) -> object:
        if not isinstance(models, list | tuple):
            return models
        return [{"name": model} if isinstance(model, str) else model for model in models]


class AlertTargetSettings(BaseModel):
    """Somebody who is told of alerts.

    Parameters
    ----------
    name
        What the history calls the target.
    url
        ``https://…`` of a webhook, which may be a secret itself, or ``sns:`` and a topic's ARN.
    secret
        Of a webhook, which checks signatures with it: ``whsec_`` and 24 to 64 bytes in base64.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,31}$")
    url: SecretStr = Field(max_length=2000)
    secret: SecretStr | None = None

    @field_validator("url")
    @classmethod
    def _of_a_known_target(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        parts = _split(text)
        if parts.scheme not in ALERT_TARGET_KINDS:
            raise ValueError("allowed are https:// URLs, and sns: with the ARN of a topic")
        if parts.scheme == "sns":
            if not re.fullmatch(_TOPIC, text):
                raise ValueError("the ARN of a topic is needed after sns:")
        elif not parts.hostname or not re.fullmatch(r"[\x21-\x7e]+", text):
            raise ValueError("a host is needed after //, and no spaces or line breaks")
        return url

    @model_validator(mode="after")
    def _that_is_signed(self) -> "AlertTargetSettings":
        is_webhook = self.url.get_secret_value().startswith("http")
        if not is_webhook:
            if self.secret is not None:
                raise ValueError("a topic has no secret")
            return self
        text = self.secret.get_secret_value() if self.secret else ""
        try:
            key = b64decode(text.removeprefix("whsec_"), validate=True)
        except ValueError:
            key = b""
        if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
            raise ValueError("a secret is needed: whsec_ and 24 to 64 bytes in base64")
        return self


class Settings(BaseSettings):
    """Every setting of Tailrace; docs/settings.md describes each one."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    database_url: SecretStr
    database_pool_size: int = Field(default=8, ge=1, le=100)
    database_timeout: float = Field(default=3.0, gt=0, le=60)
    database_sleeps: bool = False
    redis_url: SecretStr
    redis_timeout: float = Field(default=0.5, gt=0, le=10)
    secret_key: SecretStr = Field(min_length=32)

    providers: tuple[ProviderSettings, ...] = ()
    default_model: str | None = None
    title_model: str | None = None
    fallbacks: dict[str, tuple[str, ...]] = {}
    system_prompt: str | None = Field(default=None, max_length=100_000)
    model_attempts: int = Field(default=3, ge=1, le=10)
    first_chunk_patience: float = Field(default=120.0, gt=0, le=900)
    provider_failures: int = Field(default=5, ge=1, le=1000)
    provider_cooling: float = Field(default=30.0, ge=1, le=3600)
    max_output_tokens: int = Field(default=4096, ge=1, le=1_000_000)
    max_message_chars: int = Field(default=32_000, ge=1, le=1_000_000)
    max_attachments: int = Field(default=4, ge=0, le=20)
    max_attachment_bytes: int = Field(default=3 << 20, ge=1, le=50 << 20)
    attachments_url: str | None = Field(default=None, max_length=1000)
    attachments_endpoint_url: str | None = Field(
        default=None, max_length=500, pattern=r"^https?://[^\s?#@]+$"
    )
    max_upload_bytes: int = Field(default=10 << 20, ge=1, le=50 << 20)
    max_stored_bytes: int = Field(default=1 << 30, ge=0, le=1 << 50)
    uploads_kept_for: float = Field(default=86_400, ge=60, le=366 * 86_400)
    run_timeout: float = Field(default=900.0, gt=0, le=86_400)
    run_dead_after: float = Field(default=30.0, ge=1, le=3600)
    journal_ttl: int = Field(default=900, ge=10, le=86_400)

    public_url: str | None = Field(default=None, max_length=500, pattern=_ORIGIN)
    registration: Literal["open", "closed"] = "open"
    deleted_kept_for: float = Field(default=30 * 86_400, ge=0, le=10 * 366 * 86_400)
    max_import_bytes: int = Field(default=32 << 20, ge=1, le=1 << 30)
    export_volume_bytes: int = Field(default=100 << 20, ge=1, le=1 << 40)

    session_ttl: int = Field(default=30 * 86_400, ge=60)
    sign_in_limit: int = Field(default=10, ge=1, le=1_000_000)
    sign_in_address_limit: int = Field(default=60, ge=1, le=1_000_000)
    sign_in_window: int = Field(default=900, ge=1, le=86_400)
    mail_url: SecretStr | None = None
    mail_from: str = Field(default="tailrace@localhost", max_length=320, pattern=_SENDER)
    reset_ttl: int = Field(default=3600, ge=60, le=7 * 86_400)
    oidc_issuer: str | None = Field(default=None, max_length=500, pattern=r"^https?://[^\s?#]+$")
    oidc_client_id: str | None = Field(
        default=None, min_length=1, max_length=500, validate_default=True
    )
    oidc_client_secret: SecretStr | None = None
    oidc_name: str = Field(default="single sign-on", min_length=1, max_length=80)
    user_rate: RateText = "60/minute"
    key_rate: RateText = "60/minute"
    address_rate: RateText = "600/minute"
    request_rate: RateText = "120/minute"
    user_tokens_per_day: int | None = Field(default=None, ge=0, le=10**15)
    user_tokens_per_month: int | None = Field(default=None, ge=0, le=10**15)
    user_usd_per_day: Usd | None = None
    user_usd_per_month: Usd | None = None
    budget_usd_per_day: Usd | None = None
    budget_usd_per_month: Usd | None = None
    trusted_proxies: int = Field(default=0, ge=0, le=10)
    client_address_header: Literal[
        "x-forwarded-for", "cloudfront-viewer-address", "x-tailrace-viewer-address"
    ] = "x-forwarded-for"
    guest_ttl: int = Field(default=30 * 86_400, ge=60)
    guest_limit: int = Field(default=20, ge=0, le=1_000_000)
    guest_address_limit: int = Field(default=60, ge=0, le=1_000_000)
    guest_window: int = Field(default=86_400, ge=1, le=366 * 86_400)
    guest_ipv4_prefix: int = Field(default=24, ge=8, le=32)
    guest_ipv6_prefix: int = Field(default=56, ge=16, le=128)
    secure_cookies: bool = True

    previews: bool = True
    preview_chars: int = Field(default=500, ge=0, le=10_000)
    queue_url: SecretStr | None = None
    queue_max_length: int = Field(default=1_000_000, ge=1)
    queue_max_deliveries: int = Field(default=10, ge=3, le=1000)
    event_lost_after: float = Field(default=600.0, gt=0, le=7 * 86_400)
    ingest_batch_size: int = Field(default=5_000, ge=1, le=100_000)
    ingest_linger: float = Field(default=0.0, ge=0, le=840)
    cloudwatch_namespace: str | None = Field(
        default=None, max_length=255, pattern=r"^[A-Za-z0-9_.#/-][A-Za-z0-9_.#/ -]*$"
    )
    metrics_token: SecretStr | None = Field(default=None, min_length=16)
    partitions_ahead: int = Field(default=7, ge=1, le=366)
    events_kept_for: KeptFor = None
    previews_kept_for: KeptFor = None
    minute_rollups_kept_for: KeptFor = None
    hour_rollups_kept_for: KeptFor = None
    day_rollups_kept_for: KeptFor = None
    dead_letters_kept_for: float | None = Field(default=None, ge=7 * 86_400, le=_CENTURY)
    archive_url: str | None = Field(default=None, max_length=1000)
    archive_endpoint_url: str | None = Field(
        default=None, max_length=500, pattern=r"^https?://[^\s?#@]+$"
    )
    archive_contents: Literal["numbers", "everything"] = "numbers"
    alerts: tuple[RuleFields, ...] = Field(default=(), max_length=100)
    alert_targets: tuple[AlertTargetSettings, ...] = Field(default=(), max_length=20)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: Any,
        env_settings: Any,
        dotenv_settings: Any,
        file_secret_settings: Any,
    ) -> tuple[Any, ...]:
        """Read the environment alone, and what it names by ARN."""
        return init_settings, Environment(settings_cls)

    @field_validator("database_url", mode="before")
    @classmethod
    def _of_rds(cls, url: object) -> object:
        # As Amazon RDS keeps it; its certificates are not among those that systems trust.
        if not isinstance(url, str) or not url.startswith("{"):
            return url
        try:
            told = json.loads(url)
            user, password = (quote(told[name], safe="") for name in ("username", "password"))
            host, port = told["host"], int(told.get("port", 5432))
            name = quote(told.get("dbname", "postgres"), safe="")
        except (ValueError, KeyError, TypeError):
            raise ValueError("a JSON object needs username, password and host") from None
        return f"postgresql://{user}:{password}@{host}:{port}/{name}?sslmode=require"

    @field_validator("providers", "alerts", "alert_targets")
    @classmethod
    def _called_apart(cls, named: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [each.name for each in named]
        if len(set(names)) != len(names):
            raise ValueError("every one needs a name of its own")
        return named

    @field_validator("queue_url")
    @classmethod
    def _of_a_known_queue(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        parts = _split(url.get_secret_value())
        if parts.scheme not in QUEUE_KINDS:
            raise ValueError(
                f"allowed are URLs with {', '.join(f'{kind}://' for kind in QUEUE_KINDS)}"
            )
        if not parts.hostname:
            raise ValueError("a host is needed after //")
        if parts.scheme in ("http", "https"):
            if "@" in parts.netloc:
                raise ValueError("SQS takes the credentials of the role or the environment alone")
            if len(parts.path.strip("/").split("/")) != 2 or parts.path.endswith(".fifo"):
                raise ValueError("the URL of a standard queue of SQS is needed, as SQS gives it")
        return url

    @field_validator("mail_url")
    @classmethod
    def _of_a_known_kind(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        parts = _split(url.get_secret_value())
        if parts.scheme not in _MAIL_SCHEMES:
            raise ValueError("allowed are smtp://, smtps://, ses:// and file:// URLs")
        if parts.scheme in ("smtp", "smtps") and not parts.hostname:
            raise ValueError("a host is needed after //")
        if parts.scheme == "file" and (parts.netloc or not parts.path):
            raise ValueError("a folder is needed, as file:///folder")
        return url

    @field_validator("attachments_url", "archive_url")
    @classmethod
    def _of_a_known_store(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = _split(url)
        if parts.scheme == "file" and not parts.netloc and parts.path.strip("/"):
            return url
        if parts.scheme == "s3" and re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc):
            return url
        raise ValueError("allowed are s3://bucket/prefix and file:///folder")

    @field_validator("oidc_client_id")
    @classmethod
    def _with_its_issuer(cls, client_id: str | None, info: ValidationInfo) -> str | None:
        if (client_id is None) != (info.data.get("oidc_issuer") is None):
            raise ValueError("TAILRACE_OIDC_ISSUER and TAILRACE_OIDC_CLIENT_ID go together")
        if client_id is not None and info.data.get("public_url") is None:
            raise ValueError("single sign-on needs TAILRACE_PUBLIC_URL")
        return client_id

    def provider(self, name: str) -> ProviderSettings:
        """Return the settings of the provider of this name, which must be configured."""
        return next(provider for provider in self.providers if provider.name == name)

    @classmethod
    def load(cls) -> "Settings":
        """Read the environment.

        Raises
        ------
        SettingsError
            With one line naming the first setting that cannot be used.
        """
        try:
            return cls()  # pyright: ignore[reportCallIssue]
        except ValidationError as error:
            raise SettingsError(one_line(error)) from None
        except SourceError as error:
            raise SettingsError(f"{field_of(error)}: not valid JSON") from None
