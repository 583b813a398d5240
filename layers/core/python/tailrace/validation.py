"""What is wrong with a field, in a sentence for whoever filled it in.

Called where pydantic checks what somebody sent; its own sentences are written for programmers.
"""

from collections.abc import Mapping
from typing import Any

_SENTENCES = {
    "missing": "This is required.",
    "extra_forbidden": "There is no such field.",
    "string_type": "This must be text.",
    "string_too_short": "This must have at least {min_length} {characters}.",
    "string_too_long": "This must have at most {max_length} {characters}.",
    "string_pattern_mismatch": "This has a form or a character that is not allowed.",
    "too_short": "At least {min_length} must be given.",
    "too_long": "At most {max_length} may be given.",
    "greater_than": "This must be more than {gt}.",
    "greater_than_equal": "This must be at least {ge}.",
    "less_than": "This must be less than {lt}.",
    "less_than_equal": "This must be at most {le}.",
    "literal_error": "This must be {expected}.",
    "enum": "This must be {expected}.",
    "int_type": "This must be a whole number.",
    "int_parsing": "This must be a whole number.",
    "int_from_float": "This must be a whole number.",
    "float_type": "This must be a number.",
    "float_parsing": "This must be a number.",
    "finite_number": "This must be a number.",
    "decimal_type": "This must be a number.",
    "decimal_parsing": "This must be a number.",
    "bool_type": "This must be true or false.",
    "bool_parsing": "This must be true or false.",
    "datetime_type": "This must be a time.",
    "datetime_parsing": "This must be a time, such as 2026-01-02T03:04:05Z.",
    "datetime_from_date_parsing": "This must be a time, such as 2026-01-02T03:04:05Z.",
    "timezone_aware": "This must be a time with its zone, such as 2026-01-02T03:04:05Z.",
}


def sentence(error: Mapping[str, Any]) -> str:
    """Return what is wrong, for one of the ``errors()`` of pydantic's ``ValidationError``.

    Examples
    --------
    >>> sentence({"type": "string_too_short", "ctx": {"min_length": 12}, "msg": "String should …"})
    'This must have at least 12 characters.'
    >>> sentence({"type": "value_error", "msg": "Value error, The first day is after the last."})
    'The first day is after the last.'
    """
    limits = error.get("ctx", {})
    if template := _SENTENCES.get(error["type"]):
        most = limits.get("max_length", limits.get("min_length"))
        return template.format(**limits, characters="character" if most == 1 else "characters")
    text = error["msg"].removeprefix("Value error, ")
    return text if text.endswith(".") else f"{text}."
