"""Mailers: over SMTP, through SES's API, into a folder."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from tailrace import mail
from tailrace.mail import Mail, MailError, Undeliverable
from tailrace.settings import Settings

MAIL = Mail(
    to="jürgen@xn--bcher-kva.example", subject="Ein Link für dich", text="Grüße:\n\nhttps://x/#t\n"
)
PLAIN = Mail(to="ada@example.org", subject="A link", text="https://x/#t\n")


def _mailer(settings: Settings, url: str) -> mail.Mailer:
    changed = settings.model_copy(
        update={"mail_url": SecretStr(url), "mail_from": "Tailrace <from@example.org>"}
    )
    mailer = mail.create(changed)
    assert mailer is not None
    return mailer


class SmtpServer:
    """As much of a mail server as a client needs; what it takes is in `taken`."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.recipients: list[str] = []
        self.extensions = [b"8BITMIME", b"SMTPUTF8"]
        self.refusal: bytes | None = None

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            command = line.upper()
            if command.startswith(b"EHLO"):
                lines = [b"250-hello", *(b"250-" + each for each in self.extensions), b"250 OK"]
                writer.write(b"\r\n".join(lines) + b"\r\n")
            elif command.startswith(b"RCPT"):
                self.recipients.append(line.decode().partition("<")[2].partition(">")[0])
                writer.write(self.refusal or b"250 OK\r\n")
            elif command.startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                self.taken.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 OK\r\n")
            elif command.startswith(b"QUIT"):
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 OK\r\n")
        writer.close()


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpServer]:
    server = SmtpServer()
    yield server
    server.stop()


@pytest.mark.parametrize("sent", [MAIL, PLAIN], ids=["international", "plain"])
async def test_smtp_hands_the_mail_over(settings: Settings, smtp: SmtpServer, sent: Mail) -> None:
    mailer = _mailer(settings, f"smtp://{await smtp.start()}")
    await mailer.send(sent)

    message = BytesParser(policy=policy.default).parsebytes(smtp.taken[0])
    assert smtp.recipients == [sent.to]
    assert message["to"] == sent.to
    assert message["from"] == "Tailrace <from@example.org>"
    assert message["subject"] == sent.subject
    assert "https://x/#t" in message.get_content()
    assert message["message-id"].endswith("@example.org>")
    assert message["auto-submitted"] == "auto-generated"


async def test_smtp_tells_no_password_in_the_clear(settings: Settings, smtp: SmtpServer) -> None:
    mailer = _mailer(settings, f"smtp://user:p%40ss@{await smtp.start()}")
    with pytest.raises(MailError, match="no TLS"):
        await mailer.send(PLAIN)
    assert smtp.taken == []


async def test_a_refused_mail_is_an_error_without_the_address(
    settings: Settings, smtp: SmtpServer
) -> None:
    smtp.refusal = b"550 ada@example.org is unknown\r\n"
    mailer = _mailer(settings, f"smtp://{await smtp.start()}")
    with pytest.raises(MailError) as refused:
        await mailer.send(PLAIN)
    assert "ada" not in str(refused.value)


async def test_a_domain_of_other_letters_is_known_by_its_ascii_name(
    settings: Settings, smtp: SmtpServer
) -> None:
    mailer = _mailer(settings, f"smtp://{await smtp.start()}")
    await mailer.send(PLAIN._replace(to="ada@bücher.example"))
    assert smtp.recipients == ["ada@xn--bcher-kva.example"]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_server_that_is_down_is_an_error(settings: Settings, scheme: str) -> None:
    with pytest.raises(MailError):
        await _mailer(settings, f"{scheme}://127.0.0.1:9").send(PLAIN)


@pytest.mark.parametrize(
    "to", ["a b@example.org", "a@b@c.d", "x\r\nBcc: y@z.org", '"a,b"@c.d', "a@" + "x" * 64 + ".d"]
)
async def test_an_address_that_cannot_be_is_an_error(settings: Settings, to: str) -> None:
    for url in ("smtp://127.0.0.1:9", "file:///nowhere", "ses://eu-central-1"):
        with pytest.raises(Undeliverable):
            await _mailer(settings, url).send(PLAIN._replace(to=to))


async def test_ses_is_sent_the_whole_mail(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[tuple[str, dict[str, Any]]] = []

    async def answer(request: web.Request) -> web.Response:
        requests.append((request.path, json.loads(await request.read())))
        if len(requests) > 1:
            return web.json_response(
                {"message": "not verified"},
                status=400,
                headers={"x-amzn-errortype": "MessageRejected"},
            )
        return web.json_response({"MessageId": "1"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{runner.addresses[0][1]}",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        mailer = _mailer(settings, "ses://eu-central-1")
        await mailer.send(PLAIN)
        with pytest.raises(MailError, match="MessageRejected"):
            await mailer.send(PLAIN)
    finally:
        await runner.cleanup()

    path, body = requests[0]
    assert path == "/v2/email/outbound-emails"
    assert body["FromEmailAddress"] == "Tailrace <from@example.org>"
    assert body["Destination"] == {"ToAddresses": [PLAIN.to]}
    message = BytesParser(policy=policy.default).parsebytes(
        base64.b64decode(body["Content"]["Raw"]["Data"])
    )
    assert (message["to"], message["subject"]) == (PLAIN.to, PLAIN.subject)


async def test_a_folder_keeps_mails_in_order_and_to_itself(
    settings: Settings, tmp_path: Path
) -> None:
    outbox = tmp_path / "mails of today"
    mailer = _mailer(settings, outbox.as_uri())
    for number in range(3):
        await mailer.send(MAIL._replace(subject=f"Nr. {number}"))

    parser = BytesParser(policy=policy.default)
    files = sorted(outbox.iterdir())
    assert [parser.parsebytes(file.read_bytes())["subject"] for file in files] == [
        f"Nr. {number}" for number in range(3)
    ]
    assert all(file.stat().st_mode & 0o077 == 0 for file in (outbox, *files))


async def test_a_link_can_be_copied_from_the_file(settings: Settings, tmp_path: Path) -> None:
    link = f"http://localhost/reset-password#token={'x=y' * 30}"
    outbox = tmp_path / "outbox"
    await _mailer(settings, outbox.as_uri()).send(MAIL._replace(text=f"Here:\n\n{link}\n"))

    [file] = outbox.iterdir()
    assert link in file.read_text().splitlines()


async def test_a_folder_that_cannot_be_is_an_error(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MailError):
        await _mailer(settings, (tmp_path / "file" / "outbox").as_uri()).send(PLAIN)


def test_no_setting_is_no_mailer(settings: Settings) -> None:
    assert mail.create(settings) is None
