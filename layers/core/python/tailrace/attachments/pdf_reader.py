"""Reads the text of a PDF from standard input and writes it as JSON, then ends.

Started by `tailrace.attachments.pdf` as a process of its own; imports little, since it starts
often.
"""

import json
import logging
import sys
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdf import PdfReader

_MAX_PAGES = 500
_MAX_CHARS = 200_000
_MAX_MEMORY = 768 << 20
_CUT = "\n\n[The rest of the document is left out.]"


def read(data: bytes) -> dict[str, str]:
    """Return ``text``, or ``problem``."""
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, FileNotDecryptedError

    try:
        reader = PdfReader(BytesIO(data))
        # Many are encrypted against changes alone, which needs no password to read.
        if reader.is_encrypted and not reader.decrypt(""):
            return {"problem": "encrypted"}
        text = _text(reader)
    except (DependencyError, FileNotDecryptedError):
        return {"problem": "encrypted"}
    # Whatever a damaged file can bring about in its reader.
    except Exception:
        return {"problem": "broken"}
    return {"text": text} if text else {"problem": "empty"}


def _text(reader: "PdfReader") -> str:
    pages: list[str] = []
    size = 0
    for number, page in enumerate(reader.pages):
        if number == _MAX_PAGES or size > _MAX_CHARS:
            return "\n\n".join(pages)[:_MAX_CHARS] + _CUT
        words = page.extract_text().replace("\0", "").encode("utf-8", "replace").decode().strip()
        if words:
            pages.append(words)
            size += len(words)
    text = "\n\n".join(pages)
    return text if len(text) <= _MAX_CHARS else text[:_MAX_CHARS] + _CUT


def main() -> None:
    """Read, and write what was found."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    logging.disable()
    json.dump(read(sys.stdin.buffer.read()), sys.stdout)


if __name__ == "__main__":
    main()
