"""What a mailer is, and what it sends."""

from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import NamedTuple, Protocol


class MailError(Exception):
    """A mail was not sent, and may be later; the text holds no address and no secret."""


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
    MailError
        When the address is none that a mail can be sent to.
    """
    message = EmailMessage()
    try:
        message["From"] = sender
        message["To"] = Address(addr_spec=mail.to)
    except (ValueError, IndexError, AttributeError) as error:
        raise MailError("the address cannot be used") from error
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].rstrip(">") or None)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message
