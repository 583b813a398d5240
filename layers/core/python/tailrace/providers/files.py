"""Files of a prompt in the forms that several APIs share: data URLs, and text as text.

Called by adapters alone. It reads no file and decides nothing about what a model can take.
"""

from base64 import b64encode

from tailrace.providers.base import FilePart, ProviderError

IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def data_url(part: FilePart) -> str:
    """Return the file as a ``data:`` URL (RFC 2397)."""
    return f"data:{part.media_type};base64,{b64encode(part.data).decode()}"


def text_of(part: FilePart) -> str:
    """Return a text file as a model reads it, under its name.

    Raises
    ------
    ProviderError
        ``invalid_request`` when the bytes are not UTF-8.
    """
    try:
        text = part.data.decode()
    except UnicodeDecodeError:
        name = part.filename or "A text file"
        raise ProviderError("invalid_request", f"{name} is not UTF-8 text.") from None
    return f"{part.filename}:\n{text}" if part.filename else text


def not_taken(part: FilePart) -> ProviderError:
    """Return the refusal of a file of a kind that the API has no form for."""
    return ProviderError("invalid_request", f"This API takes no files of type {part.media_type}.")
