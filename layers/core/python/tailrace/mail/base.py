"""What a mailer is, and what it sends."""

import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import NamedTuple, Protocol

# What needs quotes in a header is nobody's address in practice, and somebody's trick.
_ADDRESS = re.compile(r"""([^\s@<>()\[\],;:\\"\x00-\x1f]+)@([^\s@<>()\[\],;:\\"\x00-\x1f]+)""")


class MailError(Exception):
    """A mail was not sent, and may be later; the text holds no address and no secret."""


class Undeliverable(MailError):
    """No mail can ever be sent to this address."""


class Mail(NamedTuple):
    """A mail to one person, in plain text."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Sends mails."""

    async def send(self, mail: Mail) -> None:
        """Send a mail.

        Raises
        ------
        MailError
            When it was not taken.
        """
        ...


def message_of(mail: Mail, sender: str) -> EmailMessage:
    """Return a mail as a message.

    Raises
    ------
    Undeliverable
        When the address is none that a mail can be sent to.
    """
    message = EmailMessage()
    match = _ADDRESS.fullmatch(mail.to)
    try:
        if match is None:
            raise Undeliverable("the address cannot be used")
        # Mail servers know a domain of other letters by its ASCII name alone.
        domain = match[2].encode("idna").decode()
    except UnicodeError:
        raise Undeliverable("the address cannot be used") from None
    message["From"] = sender
    message["To"] = Address(username=match[1], domain=domain)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].rstrip(">") or None)
    message["Auto-Submitted"] = "auto-generated"
    # A long link stays in one piece, also for who reads the file of an outbox.
    message.set_content(mail.text, cte="7bit" if mail.text.isascii() else None)
    return message
