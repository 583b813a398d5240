"""Email addresses, in the one form that accounts are known by."""

import re
import unicodedata

# Whether an address exists is for a mail to find out; this only keeps nonsense away, and what a
# mail's header would read as more than one address, or as another one.
_ADDRESS = re.compile(r'[^@\s<>()\[\]:;,\\"]+@[^@\s<>()\[\]:;,\\"]+\.[^@\s<>()\[\]:;,\\"]+')
_CHARS = 254


def normal(text: str) -> str | None:
    """Return an address as it is kept, ``None`` for what is none.

    The same letters are the same address however a keyboard composes them, and none has
    characters that nobody sees: two accounts that look alike are two different spellings.
    """
    address = unicodedata.normalize("NFC", text.strip())
    is_one = address.isprintable() and _ADDRESS.fullmatch(address) is not None
    return address if is_one and len(address) <= _CHARS else None
