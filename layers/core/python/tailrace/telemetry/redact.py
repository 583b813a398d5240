"""Redaction: takes secrets, email addresses and card numbers out of text that telemetry keeps.

Called wherever a preview or an error message is made, always before the text is cut: half a
secret is still a secret, and may no longer look like one. It is a net, not a guarantee: what has
no telling shape stays.

Every pattern takes time linear in the text: repeats are bounded or of a single character class,
and none is nested in another that could take the same characters.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from tailrace.storable import storable

# Keys and tokens whose issuers gave them a prefix, with the least that follows it.
_PREFIXED = (
    r"sk-[\w-]{16,}",  # OpenAI, Anthropic, OpenRouter, DeepSeek
    r"AIza[\w-]{30,}",  # Google
    r"ya29\.[\w.-]{20,}",  # Google OAuth
    r"gsk_\w{20,}",  # Groq
    r"(?:xai|pplx|csk|nvapi|tvly)-[\w-]{16,}",  # xAI, Perplexity, Cerebras, NVIDIA, Tavily
    r"(?:hf|r8|fw|npm)_\w{20,}",  # Hugging Face, Replicate, Fireworks, npm
    r"tgp_v1_[\w-]{20,}",  # Together
    r"gh[opsur]_\w{30,}",  # GitHub
    r"github_pat_\w{30,}",
    r"(?:glpat|pypi)-[\w-]{16,}",  # GitLab, PyPI
    r"xox[abeoprs]-[\w-]{10,}",  # Slack
    r"[rs]k_(?:live|test)_\w{16,}",  # Stripe
    r"SG\.[\w-]{16,64}\.[\w-]{16,}",  # SendGrid
    r"tr_[a-z0-9]{8}_\w{40,}",  # our own
    r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?!\w)",  # AWS access keys
    r"(?:ABSK|bedrock-api-key-)[\w+/=]{30,}",  # Amazon Bedrock
)

# Names under which a secret of no telling shape is written down.
_NAMED = (
    r"(?:api|access|account|private|secret|secret[_-]?access)[_-]?key",
    r"(?:access|auth|bearer|refresh|security|session)[_-]?token",
    r"client[_-]?secret",
    r"passw(?:or)?d|passphrase|pwd",
)


def _redact_card(match: re.Match[str]) -> str:
    """Redact digits that pass the check of card numbers (Luhn's), and leave others be."""
    digits = [int(char) for char in match[0] if char.isdigit()]
    total = sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return match[0] if total % 10 else "[redacted card]"


class _Rule(NamedTuple):
    #: Text that every match contains, in lower case: most texts are spared most patterns.
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str]


_RULES = (
    _Rule(
        ("private key-----",),
        # An end that was cut off leaves no reason to trust what follows.
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"
            r".*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        "[redacted private key]",
    ),
    _Rule(
        ("://",),
        re.compile(r"(://[^\s/:@]{0,128}:)(?!\[redacted)[^\s/@]{1,256}@"),
        r"\1[redacted password]@",
    ),
    _Rule(
        ("bearer", "basic", "authorization"),
        # A capital, digit or sign tells a token from a word.
        re.compile(
            r"\b((?i:bearer|basic)\s{1,4}|(?i:authorization)\\?[\"']?\s?[:=]\s?\\?[\"']?)"
            r"(?=[a-z.-]{0,64}[A-Z0-9_~+/=])[\w.~+/=-]{12,}"
        ),
        r"\1[redacted token]",
    ),
    # What is JSON in base64 begins like this, and every JSON Web Token does.
    _Rule(("eyj",), re.compile(r"(?<!\w)eyJ[\w-]{20,}(?:\.[\w-]*){0,4}"), "[redacted token]"),
    _Rule(
        ("-", "_", "aiza", "ya29", "sg.", "akia", "asia", "abia", "acca", "absk"),
        re.compile(rf"(?<!\w)(?:{'|'.join(_PREFIXED)})", re.ASCII),
        "[redacted key]",
    ),
    _Rule(
        ("key", "token", "secret", "pass", "pwd"),
        re.compile(
            rf"((?:{'|'.join(_NAMED)})\\?[\"']?\s{{0,3}}[:=]\s{{0,3}}\\?[\"']?)"
            r"(?!\[redacted)[^\s\"',;&\\]{6,}",
            re.IGNORECASE,
        ),
        r"\1[redacted secret]",
    ),
    _Rule(
        ("@",),
        re.compile(r"[\w.%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"),
        "[redacted email]",
    ),
    _Rule(
        tuple("0123456789"),
        re.compile(r"(?<![\w.-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\w-])", re.ASCII),
        _redact_card,
    ),
)

# Every pattern knows a secret by fewer than this many of its first characters.
_REACH = 512


def redact(text: str) -> str:
    """Return the text with what looks secret or personal replaced by a word in brackets.

    Examples
    --------
    >>> redact("mail ada@example.org, key sk-proj-0123456789abcdefghij")
    'mail [redacted email], key [redacted key]'
    """
    lower = text.lower()
    for hints, pattern, replacement in _RULES:
        if any(hint in lower for hint in hints):
            text = pattern.sub(replacement, text)
    return text


def preview(text: str, limit: int) -> str:
    """Return the first `limit` characters of the redacted text, fit for PostgreSQL.

    It equals ``redact(text)[:limit]``, but reads only as much of a long text as it takes.
    """
    window = limit + 2 * _REACH
    while window < len(text):
        redacted = redact(text[:window])
        # What stands at the window's edge may yet prove secret by what follows.
        if len(redacted) >= limit + _REACH:
            return storable(redacted[:limit])
        window *= 2
    return storable(redact(text)[:limit])
