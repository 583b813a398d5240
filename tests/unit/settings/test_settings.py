"""A bad setting is one line that names it, and never shows its value."""

import json

import pytest

from tailrace.providers.registry import Providers
from tailrace.settings import Settings, SettingsError

GOOD = {
    "TAILRACE_DATABASE_URL": "postgresql://u:hunter2@db/tailrace",
    "TAILRACE_REDIS_URL": "rediss://:hunter2@cache:6379/0",
    "TAILRACE_SECRET_KEY": "hunter2-hunter2-hunter2-hunter2-hunter2",
}


def _load(monkeypatch: pytest.MonkeyPatch, **changes: str | None) -> Settings:
    for name, value in (GOOD | {f"TAILRACE_{k.upper()}": v for k, v in changes.items()}).items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    return Settings.load()


def _providers(**changes: object) -> str:
    provider = {"name": "local", "kind": "openai_compatible", "base_url": "http://127.0.0.1:1/v1"}
    return json.dumps([provider | {"api_key": "sk-hunter2"} | changes])


def test_one_variable_holds_many(monkeypatch: pytest.MonkeyPatch) -> None:
    many = {
        "guest_limit": 0,
        "budget_usd_per_day": 50,
        "fallbacks": {"a/x": ["b/y"]},
        "previews": False,
        "registration": "closed",
        "title_model": None,
        "guest_window": 10,
    }
    settings = _load(monkeypatch, settings=json.dumps(many), guest_window="20")
    assert settings.guest_limit == 0
    assert settings.budget_usd_per_day == 50
    assert settings.fallbacks == {"a/x": ("b/y",)}
    assert settings.previews is False
    assert settings.registration == "closed"
    assert settings.title_model is None
    # What is set by itself wins.
    assert settings.guest_window == 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "TAILRACE_SETTINGS: not a JSON object"),
        ("guest_limit=1", "TAILRACE_SETTINGS: not a JSON object"),
        ('{"guest_limits": 1}', "TAILRACE_SETTINGS: there is no setting 'guest_limits'"),
        ('{"guest_limit": "many"}', "TAILRACE_GUEST_LIMIT: "),
    ],
)
def test_a_bad_one_of_many_is_named(monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"^{said}"):
        _load(monkeypatch, settings=text)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"database_url": None}, "TAILRACE_DATABASE_URL: is required"),
        ({"secret_key": "hunter2"}, "TAILRACE_SECRET_KEY: Value should have at least 32"),
        ({"guest_limit": "many"}, "TAILRACE_GUEST_LIMIT: Input should be a valid integer"),
        ({"guest_limit": "-1"}, "TAILRACE_GUEST_LIMIT: Input should be greater than or equal to 0"),
        ({"registration": "ajar"}, "TAILRACE_REGISTRATION: Input should be 'open' or 'closed'"),
        ({"public_url": "https://chat.example.org/page"}, "TAILRACE_PUBLIC_URL: String should"),
        ({"mail_url": "hunter2"}, "TAILRACE_MAIL_URL: Value error, allowed are smtp://"),
        ({"mail_url": "smtp://u:hunter2@"}, "TAILRACE_MAIL_URL: Value error, a host is needed"),
        ({"mail_url": "smtp://box:hunter2"}, "TAILRACE_MAIL_URL: Value error, not a URL"),
        ({"mail_url": "file://hunter2"}, "TAILRACE_MAIL_URL: Value error, a folder is needed"),
        ({"attachments_url": "hunter2"}, "TAILRACE_ATTACHMENTS_URL: Value error, allowed are s3:"),
        ({"attachments_url": "file:///"}, "TAILRACE_ATTACHMENTS_URL: Value error, allowed are s3"),
        ({"attachments_url": "s3://UPPER"}, "TAILRACE_ATTACHMENTS_URL: Value error, allowed are"),
        (
            {"queue_url": "hunter2"},
            "TAILRACE_QUEUE_URL: Value error, allowed are URLs with redis://",
        ),
        ({"queue_url": "redis://hunter2:x"}, "TAILRACE_QUEUE_URL: Value error, not a URL"),
        ({"queue_url": "https:///a/b"}, "TAILRACE_QUEUE_URL: Value error, a host is needed"),
        (
            {"queue_url": "https://key:hunter2@sqs.eu-west-1.amazonaws.com/123456789012/e"},
            "TAILRACE_QUEUE_URL: Value error, SQS takes the credentials of the role",
        ),
        (
            {"queue_url": "https://sqs.eu-west-1.amazonaws.com/123456789012/hunter2.fifo"},
            "TAILRACE_QUEUE_URL: Value error, the URL of a standard queue",
        ),
        ({"queue_max_deliveries": "2"}, "TAILRACE_QUEUE_MAX_DELIVERIES: Input should be greater"),
        ({"cloudwatch_namespace": "a:b"}, "TAILRACE_CLOUDWATCH_NAMESPACE: String should match"),
        ({"mail_from": "a@b.c\nBcc: x@y.z"}, "TAILRACE_MAIL_FROM: String should match"),
        (
            {"oidc_issuer": "https://login.example.org"},
            "TAILRACE_OIDC_CLIENT_ID: Value error, TAILRACE_OIDC_ISSUER and",
        ),
        (
            {"oidc_issuer": "https://login.example.org", "oidc_client_id": "x"},
            "TAILRACE_OIDC_CLIENT_ID: Value error, single sign-on needs TAILRACE_PUBLIC_URL",
        ),
        ({"user_rate": "often"}, "TAILRACE_USER_RATE: Value error, must read like '60/minute'"),
        ({"budget_usd_per_day": "NaN"}, "TAILRACE_BUDGET_USD_PER_DAY: Input should be a finite"),
        ({"guest_ipv6_prefix": "129"}, "TAILRACE_GUEST_IPV6_PREFIX: Input should be less than"),
        ({"trusted_proxies": "all"}, "TAILRACE_TRUSTED_PROXIES: Input should be a valid integer"),
        ({"secure_cookies": "perhaps"}, "TAILRACE_SECURE_COOKIES: Input should be a valid boolean"),
        ({"providers": "[{hunter2"}, "TAILRACE_PROVIDERS: not valid JSON"),
        ({"providers": _providers(name="Has Space")}, "TAILRACE_PROVIDERS (0.name): String should"),
        ({"providers": _providers(base_url="hunter2")}, "TAILRACE_PROVIDERS (0.base_url): String"),
        (
            {"providers": _providers(base_url="http://u:hunter2@box/v1")},
            "TAILRACE_PROVIDERS (0.base_url): String",
        ),
        (
            {"providers": _providers(api_key="sk-hunter2\n")},
            "TAILRACE_PROVIDERS (0.api_key): Value error, must be printable ASCII",
        ),
        ({"providers": _providers(colour="red")}, "TAILRACE_PROVIDERS (0.colour): Extra inputs"),
        ({"providers": _providers(kind="hal")}, "TAILRACE_PROVIDERS (local.kind): must be one of"),
        ({"providers": _providers(base_url=None)}, "TAILRACE_PROVIDERS (local.base_url): is requ"),
        ({"default_model": "nowhere/m"}, "TAILRACE_DEFAULT_MODEL: must be <provider>/<model>"),
        ({"title_model": "m"}, "TAILRACE_TITLE_MODEL: must be <provider>/<model>"),
        (
            {"providers": json.dumps([*json.loads(_providers()), *json.loads(_providers())])},
            "TAILRACE_PROVIDERS: Value error, every one needs a name of its own",
        ),
    ],
)
def test_a_bad_setting_is_one_line(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | None], said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Providers(_load(monkeypatch, **changes))

    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url", ["http://[::1]:8000", "https://gate.example/accounts/1/@cf/v1", "http://box:1/v1/"]
)
def test_an_address_may_have_any_path(monkeypatch: pytest.MonkeyPatch, base_url: str) -> None:
    settings = _load(monkeypatch, providers=_providers(base_url=base_url))

    assert settings.providers[0].base_url == base_url


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(monkeypatch, providers=_providers())

    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.model_dump())
    assert settings.providers[0].api_key is not None
    assert settings.providers[0].api_key.get_secret_value() == "sk-hunter2"
