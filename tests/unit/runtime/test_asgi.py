"""Payload format 2.0 to an ASGI scope, and an ASGI response to a buffered one."""

import json
from pathlib import Path

import pytest

from tailrace_runtime.asgi import StreamingHandler, request

EVENTS = Path(__file__).parents[2] / "events"


def recorded(name):
    return json.loads((EVENTS / f"{name}.json").read_text())


def test_a_post_becomes_a_scope_and_a_body():
    event = recorded("function_url_post")
    scope, body = request(event, "the context")
    assert {key: value for key, value in scope.items() if key not in ("headers", "asgi")} == {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": "/api/chat",
        "raw_path": b"/api/chat",
        "query_string": b"",
        "root_path": "",
        "client": ("203.0.113.7", 0),
        "server": ("s5nxkmvmpwdoxfqvh6lqkpfhhu0ctnvz.lambda-url.eu-central-1.on.aws", 443),
        "aws.event": event,
        "aws.context": "the context",
    }
    headers = dict(scope["headers"])
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"cookie"] == b"tailrace_guest=Z3Vlc3Q.signature; theme=dark"
    assert int(headers[b"content-length"]) == len(body)
    assert json.loads(body)["messages"][0]["parts"][0]["text"] == "Wie geht's, Zürich?"


def test_a_post_through_a_rest_api_becomes_the_same():
    event = recorded("rest_api_post")
    scope, body = request(event, "the context")
    assert {key: value for key, value in scope.items() if key not in ("headers", "asgi")} == {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": "/api/chat",
        "raw_path": b"/api/chat",
        "query_string": b"trace=b+c&tag=x&tag=y",
        "root_path": "",
        "client": ("203.0.113.7", 0),
        "server": ("chat.example.org", 443),
        "aws.event": event,
        "aws.context": "the context",
    }
    assert dict(scope["headers"])[b"cookie"] == b"tailrace_guest=Z3Vlc3Q.signature; theme=dark"
    assert body == request(recorded("function_url_post"), None)[1]


def test_a_rest_api_tells_nothing_where_there_is_nothing():
    event = recorded("rest_api_post") | {
        "path": "/files/caf%C3%A9 menu",
        "multiValueQueryStringParameters": None,
        "body": None,
    }
    scope, body = request(event, None)
    assert scope["path"] == "/files/café menu"
    assert scope["raw_path"] == b"/files/caf%C3%A9%20menu"
    assert scope["query_string"] == b""
    assert body == b""


def test_path_and_query_keep_what_was_encoded():
    scope, body = request(recorded("function_url_get"), None)
    assert scope["path"] == "/files/café menu"
    assert scope["raw_path"] == b"/files/caf%C3%A9%20menu"
    assert scope["query_string"] == b"limit=20&cursor=a%2Bb&tag=x&tag=y"
    assert dict(scope["headers"])[b"last-event-id"] == b"17"
    assert b"cookie" not in dict(scope["headers"])
    assert body == b""


def test_a_base64_body_is_decoded():
    assert request(recorded("function_url_post_base64"), None)[1] == bytes.fromhex(
        "ff000102feff8081"
    )


@pytest.mark.parametrize(
    "event", [{}, None, [], "text", recorded("scheduler"), {"requestContext": {"http": None}}]
)
def test_another_kind_of_event_is_refused(event):
    with pytest.raises(ValueError, match=r"payload format 2\.0"):
        request(event, None)


def responding(*messages):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        for message in messages:
            await send(message)

    return StreamingHandler(app)


@pytest.mark.parametrize(
    ("sent", "body", "is_base64"),
    [("Zürich".encode(), "Zürich", False), (b"\xff\x00", "/wA=", True), (b"", "", False)],
)
def test_a_buffered_body_is_text_where_it_can_be(sent, body, is_base64):
    handler = responding(
        {"type": "http.response.start", "status": 200, "headers": []},
        {"type": "http.response.body", "body": sent},
    )
    result = handler(recorded("function_url_get"), None)
    assert (result["body"], result["isBase64Encoded"]) == (body, is_base64)


def test_headers_are_joined_and_cookies_kept_apart():
    headers = [
        (b"Vary", b"Cookie"),
        (b"Set-Cookie", b"a=1"),
        (b"vary", b"Accept"),
        (b"set-cookie", b"b=2; HttpOnly"),
        (b"Transfer-Encoding", b"chunked"),
    ]
    handler = responding(
        {"type": "http.response.start", "status": 404, "headers": headers},
        {"type": "http.response.body"},
    )
    result = handler(recorded("function_url_get"), None)
    assert result["statusCode"] == 404
    assert result["headers"] == {"vary": "Cookie, Accept"}
    assert result["cookies"] == ["a=1", "b=2; HttpOnly"]


def test_a_rest_api_is_told_cookies_as_it_knows_them():
    headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"vary", b"Cookie")]
    handler = responding(
        {"type": "http.response.start", "status": 200, "headers": headers},
        {"type": "http.response.body", "body": b"hi"},
    )
    assert handler(recorded("rest_api_post"), None) == {
        "statusCode": 200,
        "headers": {"vary": "Cookie"},
        "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
        "body": "hi",
        "isBase64Encoded": False,
    }


def test_a_rest_api_sends_a_body_in_base64():
    assert (
        request(recorded("rest_api_post_base64"), None)[1]
        == request(recorded("rest_api_post"), None)[1]
    )


def test_a_failed_startup_is_tried_again_with_the_next_event():
    attempts = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            attempts.append(scope)
            if len(attempts) == 1:
                raise OSError("not yet")
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await receive()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    handler = StreamingHandler(app)
    event = recorded("function_url_get")
    with pytest.raises(OSError, match="not yet"):
        handler(event, None)
    assert handler(event, None)["statusCode"] == 204
    assert handler(event, None)["statusCode"] == 204
    assert len(attempts) == 2


def test_a_disconnect_is_seen_only_after_the_response():
    seen = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        seen.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
        seen.append((await receive())["type"])

    assert StreamingHandler(app)(recorded("function_url_get"), None)["body"] == "done"
    assert seen == ["http.request", "http.disconnect"]
