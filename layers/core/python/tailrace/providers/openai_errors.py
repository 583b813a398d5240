"""Errors that stand inside a stream, as OpenAI and the servers that speak its APIs write them.

Called by the adapters of those APIs. It knows nothing of HTTP responses: `providers.http` does.
https://platform.openai.com/docs/guides/error-codes
"""

import re
from typing import Any

from tailrace.providers.base import ErrorType, ProviderError
from tailrace.providers.http import classify, message_in

_BY_CODE: dict[str, ErrorType] = {
    "context_length_exceeded": "context_length",
    "exceed_context_size_error": "context_length",
    "insufficient_quota": "rate_limited",
    "invalid_api_key": "authentication",
    "model_not_found": "not_found",
    "overloaded_error": "overloaded",
    "rate_limit_exceeded": "rate_limited",
    "server_error": "server_error",
    "server_is_overloaded": "overloaded",
    "slow_down": "overloaded",
    "vector_store_timeout": "timeout",
}
_OF_THE_REQUEST = re.compile(r"invalid|image|unsupported|policy|data_residency", re.IGNORECASE)
_TRY_AGAIN_IN = re.compile(r"try again in (\d+(?:\.\d+)?)(ms|s)\b")


def error_in_stream(error: Any) -> ProviderError:
    """Return the error that an object, or a bare sentence, stands for.

    Parameters
    ----------
    error
        ``{"code": …, "type": …, "message": …}``; a code is a word or an HTTP status.
    """
    told = error if isinstance(error, dict) else {}
    message = message_in(error)
    words = [str(told[name]) for name in ("code", "type") if told.get(name)]
    wait = _TRY_AGAIN_IN.search(message)
    return ProviderError(
        _class_of(words, message),
        ": ".join([*words[:1], message] if message else words),
        retry_after=float(wait[1]) / (1000 if wait[2] == "ms" else 1) if wait else None,
    )


def _class_of(words: list[str], message: str) -> ErrorType:
    for word in words:
        if word in _BY_CODE:
            return _BY_CODE[word]
        if word.isdecimal() and 400 <= int(word) < 600:
            return classify(int(word), message)
    if classify(400, message) == "context_length":
        return "context_length"
    if any(_OF_THE_REQUEST.search(word) for word in words):
        return "invalid_request"
    return "server_error"
