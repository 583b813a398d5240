"""Whose address a request comes from, whatever the request says, and which range that is."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from tailrace.limits.addresses import TrustedProxies, network_of

PEER = "10.0.0.9"


async def _seen(proxies: int, header: str, headers: list[tuple[str, str]]) -> str:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["client"][0])

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    scope = {
        "type": "http",
        "client": (PEER, 1),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    await TrustedProxies(app, proxies, header)(scope, receive, send)
    return seen[0]


@pytest.mark.parametrize(
    ("proxies", "told", "seen"),
    [
        (1, ["203.0.113.7"], "203.0.113.7"),
        (1, ["1.1.1.1, 203.0.113.7"], "203.0.113.7"),
        (1, ["1.1.1.1", "203.0.113.7"], "203.0.113.7"),
        (2, ["1.1.1.1, 203.0.113.7, 10.0.0.1"], "203.0.113.7"),
        (2, ["203.0.113.7"], PEER),
        (1, [], PEER),
        (1, ["nonsense"], PEER),
        (1, ["203.0.113.7, "], PEER),
        (1, ["203.0.113.7:4711"], "203.0.113.7"),
        (1, ["2001:db8::1"], "2001:db8::1"),
        (1, ["[2001:db8::1]:4711"], "2001:db8::1"),
        (1, ["::ffff:203.0.113.7"], "203.0.113.7"),
        (1, ["fe80::1%eth0"], "fe80::1"),
    ],
)
async def test_only_what_our_proxies_appended_is_believed(
    proxies: int, told: list[str], seen: str
) -> None:
    headers = [("x-forwarded-for", value) for value in told]

    assert await _seen(proxies, "x-forwarded-for", headers) == seen


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        (["203.0.113.7:4711"], "203.0.113.7"),
        (["2001:db8:0:0:0:0:0:1:4711"], "2001:db8::1"),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
        (["1.1.1.1:1", "203.0.113.7:4711"], PEER),
        (["nonsense"], PEER),
        ([], PEER),
    ],
)
async def test_cloudfront_tells_the_viewer_with_a_port(told: list[str], seen: str) -> None:
    headers = [("cloudfront-viewer-address", value) for value in told]
    headers.append(("x-forwarded-for", "9.9.9.9"))

    assert await _seen(1, "cloudfront-viewer-address", headers) == seen


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2ff:3::4", "2001:db8:1:200::/56"),
        ("fe80::1%eth0", "fe80::/56"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_neighbours_share_a_range(address: str, network: str) -> None:
    assert network_of(address, 24, 56) == network
