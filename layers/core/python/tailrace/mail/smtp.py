"""Mail over SMTP, encrypted wherever the server can."""

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import SplitResult, unquote

from tailrace.mail.base import Mail, MailError, message_of

# Seconds for each answer of the server.
_TIMEOUT = 10.0


class SmtpMailer:
    """Sends over one connection for each mail.

    Parameters
    ----------
    url
        ``smtps://user:password@host`` speaks TLS from the first byte (port 465); ``smtp://…`` goes
        over to it when the server offers that (port 587), and tells no password without it.
    """

    def __init__(self, url: SplitResult, sender: str) -> None:
        self._host = url.hostname or ""
        self._encrypted = url.scheme == "smtps"
        self._port = url.port or (465 if self._encrypted else 587)
        self._user = unquote(url.username or "")
        self._password = unquote(url.password or "")
        self._sender = sender

    async def send(self, mail: Mail) -> None:
        await asyncio.to_thread(self._send, message_of(mail, self._sender))

    def _send(self, message: EmailMessage) -> None:
        try:
            with self._connect() as server:
                if self._user:
                    server.login(self._user, self._password)
                server.send_message(message)
        except smtplib.SMTPResponseException as error:
            raise MailError(f"{self._host} answered {error.smtp_code}") from error
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise MailError(f"{self._host}: {type(error).__name__}") from error

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._encrypted:
            return smtplib.SMTP_SSL(self._host, self._port, timeout=_TIMEOUT, context=context)
        server = smtplib.SMTP(self._host, self._port, timeout=_TIMEOUT)
        try:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=context)
            elif self._user:
                raise MailError(f"{self._host} offers no TLS, and a password needs it")
        except BaseException:
            server.close()
            raise
        return server
