"""Lost passwords: asked for, mailed, used once."""

import asyncio
import re
from collections.abc import AsyncIterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from tailrace.auth import resets
from tailrace.mail import Mail, MailError
from tailrace.maintenance import maintain
from tailrace.services import Services
from tailrace.settings import Settings
from tests.integration.conftest import Database, site
from tests.support.chat_client import ChatClient

ADA = {"email": "ada@example.org", "password": "correct horse battery"}
NEW = "staple battery horse"


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    """Where mails go."""
    return tmp_path / "outbox"


@pytest.fixture
def settings(settings: Settings, outbox: Path) -> Settings:
    """Settings with a mailer."""
    return settings.model_copy(
        update={
            "mail_url": SecretStr(outbox.as_uri()),
            "mail_from": "Tailrace <tailrace@example.org>",
            "public_url": "https://chat.example.org",
        }
    )


@pytest.fixture
async def http(settings: Settings, web_root: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with site(settings, web_root) as client:
        yield client


async def test_a_link_sets_a_new_password_once(
    user: ChatClient, services: Services, outbox: Path
) -> None:
    http = user.http
    assert (await http.get("/api/auth/options")).json()["password_reset"] is True
    asked = await http.post("/api/auth/password-reset", json={"email": "ADA@example.org"})
    assert asked.status_code == 202
    assert not _mails(outbox), "nobody waits for a mail server"

    assert (await maintain(services)).reset_links == 1
    [mail] = _mails(outbox)
    assert mail["to"] == ADA["email"]
    assert mail["from"] == "Tailrace <tailrace@example.org>"
    token = _token(mail)

    assert await _confirm(http, token) == 204
    assert (await http.get("/api/auth/me")).json()["kind"] == "guest", "every session has ended"
    assert (await http.post("/api/auth/login", json=ADA)).status_code == 401
    assert (await http.post("/api/auth/login", json=ADA | {"password": NEW})).status_code == 200
    assert await _confirm(http, token) == 422


async def test_a_token_is_kept_as_a_hash_and_only_for_a_while(
    user: ChatClient, services: Services, outbox: Path, database: Database
) -> None:
    await user.http.post("/api/auth/password-reset", json={"email": ADA["email"]})
    await maintain(services)
    token = _token(_mails(outbox)[0])
    [row] = await database.rows("SELECT * FROM password_resets")
    assert token.encode() not in bytes(row["token_hash"])
    assert (row["expires_at"] - row["created_at"]).total_seconds() == services.settings.reset_ttl

    await database.rows("UPDATE password_resets SET expires_at = now() RETURNING 1")
    assert await _confirm(user.http, token) == 422
    await maintain(services)
    assert await database.rows("SELECT FROM password_resets") == []


async def test_of_two_who_use_a_link_at_once_one_succeeds(
    user: ChatClient, services: Services, outbox: Path
) -> None:
    await user.http.post("/api/auth/password-reset", json={"email": ADA["email"]})
    await maintain(services)
    token = _token(_mails(outbox)[0])

    answers = await asyncio.gather(*(_confirm(user.http, token) for _ in range(3)))

    assert sorted(answers) == [204, 422, 422]


async def test_who_asks_does_not_learn_who_exists(
    user: ChatClient, services: Services, outbox: Path, database: Database
) -> None:
    known = await user.http.post("/api/auth/password-reset", json={"email": ADA["email"]})
    unknown = await user.http.post("/api/auth/password-reset", json={"email": "eve@example.org"})
    assert known.status_code == unknown.status_code == 202
    assert known.content == unknown.content
    # The same was written for both, and nothing looked up: the time cannot differ.
    assert await database.value("SELECT count(*) FROM password_reset_requests") == 2

    await maintain(services)
    assert [mail["to"] for mail in _mails(outbox)] == [ADA["email"]]
    assert await database.value("SELECT count(*) FROM password_reset_requests") == 0


async def test_requests_are_bounded_alike_for_anybody(http: httpx.AsyncClient) -> None:
    await ChatClient(http).register()
    for email in (ADA["email"], "eve@example.org"):
        answers = [
            await http.post("/api/auth/password-reset", json={"email": email}) for _ in range(6)
        ]
        assert [each.status_code for each in answers] == [202] * 5 + [429]
        assert int(answers[-1].headers["retry-after"]) > 0


async def test_whoever_typed_the_address_first_is_out_when_its_owner_comes(
    user: ChatClient, services: Services, outbox: Path
) -> None:
    """An address is not proven at registration, so its owner takes the account over, whole."""
    key = (await user.http.post("/api/keys", json={"name": "k", "scopes": ["read"]})).json()["key"]
    await user.http.post("/api/auth/password-reset", json={"email": ADA["email"]})
    await maintain(services)
    await _confirm(user.http, _token(_mails(outbox)[0]))

    bearer = {"authorization": f"Bearer {key}"}
    assert (await user.http.get("/api/auth/me", headers=bearer)).status_code == 401

    # The second time the address is known to be the user's: keys stay.
    await user.http.post("/api/auth/login", json=ADA | {"password": NEW})
    key = (await user.http.post("/api/keys", json={"name": "k", "scopes": ["read"]})).json()["key"]
    await user.http.post("/api/auth/password-reset", json={"email": ADA["email"]})
    await maintain(services)
    await _confirm(user.http, _token(_mails(outbox)[1]))
    bearer = {"authorization": f"Bearer {key}"}
    assert (await user.http.get("/api/auth/me", headers=bearer)).status_code == 200


async def test_a_mail_server_that_is_down_is_asked_again_later(
    user: ChatClient, services: Services, database: Database
) -> None:
    class Down:
        sent: list[Mail]

        def __init__(self) -> None:
            self.sent = []
            self.down = True

        async def send(self, mail: Mail) -> None:
            if self.down:
                raise MailError("down")
            self.sent.append(mail)

    mailer = Down()
    await user.http.post("/api/auth/password-reset", json={"email": ADA["email"]})
    pool, settings = services.pool, services.settings
    assert await resets.send_due(pool, settings, mailer) == 0
    [row] = await database.rows(
        "SELECT attempts, due_at > now() AS later FROM password_reset_requests"
    )
    assert row == {"attempts": 1, "later": True}

    mailer.down = False
    await database.rows("UPDATE password_reset_requests SET due_at = now() RETURNING 1")
    assert await resets.send_due(pool, settings, mailer) == 1
    assert [mail.to for mail in mailer.sent] == [ADA["email"]]


async def test_a_mail_is_sent_once_by_several_maintenances(
    user: ChatClient, services: Services, outbox: Path
) -> None:
    await user.http.post("/api/auth/password-reset", json={"email": ADA["email"]})

    reports = await asyncio.gather(*(maintain(services) for _ in range(4)))

    assert sum(report.reset_links for report in reports) == 1
    assert len(_mails(outbox)) == 1


async def test_without_a_mailer_nobody_is_promised_a_mail(
    settings: Settings, web_root: Path
) -> None:
    async with site(settings.model_copy(update={"mail_url": None}), web_root) as http:
        assert (await http.get("/api/auth/options")).json()["password_reset"] is False
        asked = await http.post("/api/auth/password-reset", json={"email": ADA["email"]})
    assert asked.status_code == 403


def _mails(outbox: Path) -> list[EmailMessage]:
    """Return what was sent, the oldest first."""
    parser = BytesParser(policy=policy.default)
    return [parser.parsebytes(path.read_bytes()) for path in sorted(outbox.glob("*.eml"))]


def _token(mail: EmailMessage) -> str:
    found = re.search(r"https://chat\.example\.org/reset-password#token=(\S+)", mail.get_content())
    assert found is not None
    return found[1]


async def _confirm(http: httpx.AsyncClient, token: str) -> int:
    body = {"token": token, "password": NEW}
    return (await http.post("/api/auth/password-reset/confirm", json=body)).status_code
