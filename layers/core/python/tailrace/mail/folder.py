"""An outbox in a folder: mails are files, for the embedded stack and for tests."""

import asyncio
import os
from email import policy
from pathlib import Path
from urllib.parse import SplitResult, unquote

from tailrace.ids import uuid7
from tailrace.mail.base import Mail, MailError, message_of


class FolderMailer:
    """Writes each mail as an ``.eml`` file whose name sorts by time.

    Parameters
    ----------
    url
        ``file:///folder``; made when missing, and readable by its owner alone.
    """

    def __init__(self, url: SplitResult, sender: str) -> None:
        self._folder = Path(unquote(url.path))
        self._sender = sender

    async def send(self, mail: Mail) -> None:
        content = message_of(mail, self._sender).as_bytes(policy=policy.SMTPUTF8)
        await asyncio.to_thread(self._write, content)

    def _write(self, content: bytes) -> None:
        path = self._folder / f"{uuid7()}.eml"
        part = path.with_suffix(".part")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.touch(mode=0o600)
            part.write_bytes(content)
            # Whoever watches the folder sees whole mails only.
            os.replace(part, path)
        except OSError as error:
            raise MailError(f"the outbox cannot be written: {error.strerror}") from error
