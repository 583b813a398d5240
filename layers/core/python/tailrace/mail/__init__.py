"""Mail: one interface, over SMTP, Amazon SES, or a folder on this machine.

`create` chooses by the setting ``TAILRACE_MAIL_URL``. Used by maintenance, which sends what was
asked for; nobody waits for a mail server.
"""

from urllib.parse import urlsplit

from tailrace.mail.base import Mail, Mailer, MailError, Undeliverable
from tailrace.settings import Settings

__all__ = ["Mail", "MailError", "Mailer", "Undeliverable", "create"]


def create(settings: Settings) -> Mailer | None:
    """Return the mailer of the settings, ``None`` when these name none.

    Each kind is imported only where it is the one in use.
    """
    if settings.mail_url is None:
        return None
    url = urlsplit(settings.mail_url.get_secret_value())
    if url.scheme == "file":
        from tailrace.mail.folder import FolderMailer

        return FolderMailer(url, settings.mail_from)
    if url.scheme == "ses":
        from tailrace.mail.ses import SesMailer

        return SesMailer(url, settings.mail_from)
    from tailrace.mail.smtp import SmtpMailer

    return SmtpMailer(url, settings.mail_from)
