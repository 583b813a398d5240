"""Money as it leaves Tailrace: decimal text, since a float would round it."""

from decimal import Decimal


def usd(amount: Decimal | None) -> str | None:
    """Return an amount without trailing zeros or an exponent, such as ``0.0012``.

    Examples
    --------
    >>> usd(Decimal("0.001200000000"))
    '0.0012'
    """
    return None if amount is None else format(amount.normalize(), "f")
