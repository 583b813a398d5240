"""Whose address a request comes from, and the range that counts as one guest's.

Around both HTTP applications stands `TrustedProxies`, when proxies are configured at all: what a
request says of its own origin is believed only as far as the proxies in front have written it.
"""

import ipaddress

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from tailrace.settings import Settings


def trusted_proxies(settings: Settings) -> list[Middleware]:
    """Return what stands around an application: `TrustedProxies`, or nothing."""
    if not settings.trusted_proxies:
        return []
    return [Middleware(TrustedProxies, settings.trusted_proxies, settings.client_address_header)]


class TrustedProxies:
    """Puts the address of the client into the ASGI scope, where that of the last proxy stood.

    Parameters
    ----------
    proxies
        How many proxies stand in front, each of which appends the address it was called from.
    header
        Where the address is told. ``cloudfront-viewer-address`` is written by CloudFront itself.
    """

    def __init__(self, app: ASGIApp, proxies: int, header: str) -> None:
        self._app = app
        self._proxies = proxies
        self._header = header.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (address := self._address(scope)) is not None:
            # Not in a copy: whoever stands around us reads there which route it became.
            scope["client"] = (address, 0)
        await self._app(scope, receive, send)

    def _address(self, scope: Scope) -> str | None:
        values = [value for name, value in scope["headers"] if name == self._header]
        told = b",".join(values).decode("latin-1").split(",")
        if self._header == b"cloudfront-viewer-address":
            # Of two such headers one is the client's own invention.
            return _parsed(told[0].rpartition(":")[0]) if len(values) == 1 else None
        # The client may have sent entries of its own; those of our proxies stand at the end.
        return _parsed(told[-self._proxies]) if len(told) >= self._proxies else None


def network_of(address: str, ipv4_prefix: int, ipv6_prefix: int) -> str:
    """Return the range of an address; what is no address is a range of its own.

    Parameters
    ----------
    ipv4_prefix, ipv6_prefix
        Bits that addresses of one range share.
    """
    parsed = _parse(address)
    if parsed is None:
        return address
    prefix = ipv4_prefix if parsed.version == 4 else ipv6_prefix
    return str(ipaddress.ip_network((parsed, prefix), strict=False))


def _parsed(text: str) -> str | None:
    address = _parse(text)
    return None if address is None else str(address)


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    text = text.strip().removeprefix("[")
    try:
        address = ipaddress.ip_address(text.partition("]")[0].partition("%")[0])
    except ValueError:
        # Some proxies append the port.
        host, colon, port = text.partition(":")
        if not colon or not port.isdigit():
            return None
        try:
            return ipaddress.IPv4Address(host)
        except ValueError:
            return None
    # The same machine, seen through a socket of both protocols.
    return getattr(address, "ipv4_mapped", None) or address
