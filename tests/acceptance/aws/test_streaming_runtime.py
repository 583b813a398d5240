"""The built runtime layer under small ASGI apps: what streams, what fails, and how it says so."""

import asyncio
import json

import pytest

from tests.acceptance.aws.conftest import recorded
from tests.acceptance.aws.runtime_api import ARN, TRACE_ID, FunctionError, RuntimeExited

GET = recorded("function_url_get")

STREAM = """
import asyncio, os
from pathlib import Path

async def lifespan(scope, receive, send):
    assert (await receive())["type"] == "lifespan.startup"
    scope["state"]["started"] = asyncio.get_running_loop()
    await send({"type": "lifespan.startup.complete"})
    await receive()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(scope, receive, send)
    assert scope["state"]["started"] is asyncio.get_running_loop()
    headers = [(b"content-type", b"text/plain"), (b"x-a", b"1"), (b"X-A", b"2"),
               (b"set-cookie", b"a=1; HttpOnly"), (b"set-cookie", b"b=2"),
               (b"connection", b"keep-alive")]
    await send({"type": "http.response.start", "status": 203, "headers": headers})
    for step in range(3):
        while not Path(os.environ["GATE"], str(step)).exists():
            await asyncio.sleep(0.002)
        await send({"type": "http.response.body", "body": b"step %d" % step, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
"""

FAILS = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
    if scope["path"] == "/early":
        raise KeyError("before the response")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more = scope["path"] != "/late"
    await send({"type": "http.response.body", "body": b"half", "more_body": more})
    if scope["path"] != "/returns":
        raise ValueError("in the middle: ü")
"""

CONTEXT = """
import json, os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
    context = scope["aws.context"]
    body = json.dumps({
        "request_id": context.aws_request_id, "arn": context.invoked_function_arn,
        "remaining": context.get_remaining_time_in_millis(), "memory": context.memory_limit_in_mb,
        "trace": os.environ.get("_X_AMZN_TRACE_ID"), "path": scope["path"],
        "query": scope["query_string"].decode(), "client": scope["client"][0],
        "body": (await receive())["body"].hex(), "pid": os.getpid()})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})
"""


def path(value):
    return {**GET, "rawPath": value}


async def test_chunks_leave_one_by_one(api, function, app, tmp_path):
    async with function(app(STREAM), {"GATE": str(tmp_path)}):
        invocation = api.invoke(GET)
        assert await invocation.prelude() == {
            "statusCode": 203,
            "headers": {"content-type": "text/plain", "x-a": "1, 2"},
            "cookies": ["a=1; HttpOnly", "b=2"],
        }
        assert invocation.streamed
        assert (
            invocation.headers["content-type"]
            == "application/vnd.awslambda.http-integration-response"
        )
        assert invocation.headers["lambda-runtime-invocation-id"] == invocation.invocation_id
        chunks = aiter(invocation.chunks())
        for step in range(3):
            (tmp_path / str(step)).touch()
            # The app cannot go past its next gate, so this chunk left before the next was made.
            assert await anext(chunks) == b"step %d" % step
        assert [chunk async for chunk in chunks] == []
        assert invocation.trailers == {}


async def test_failure_in_the_middle_is_a_trailer(api, function, app):
    async with function(app(FAILS)) as instance:
        invocation = api.invoke(path("/middle"))
        await invocation.prelude()
        chunks = aiter(invocation.chunks())
        assert await anext(chunks) == b"half"
        with pytest.raises(FunctionError) as failure:
            await anext(chunks)
        assert invocation.headers["trailer"] == (
            "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"
        )
        assert invocation.trailers["lambda-runtime-function-error-type"] == "ValueError"
        assert failure.value.details["errorMessage"] == "in the middle: ü"
        assert any("handler.py" in frame for frame in failure.value.details["stackTrace"])
        line = instance.logged()[-1]
        assert line["level"] == "ERROR"
        assert line["requestId"] == invocation.request_id
        assert line["errorType"] == "ValueError"


async def test_a_response_left_incomplete_is_a_failure(api, function, app):
    async with function(app(FAILS)):
        invocation = api.invoke(path("/returns"))
        with pytest.raises(FunctionError, match="before its response was complete"):
            await asyncio.wait_for(_all(invocation), 120)


async def test_failure_before_the_response_is_a_500_with_a_prelude(api, function, app):
    async with function(app(FAILS)) as instance:
        invocation = api.invoke(path("/early"))
        prelude = await invocation.prelude()
        assert prelude["statusCode"] == 500
        assert prelude["headers"] == {"content-type": "application/problem+json"}
        problem = json.loads(b"".join([chunk async for chunk in invocation.chunks()]))
        assert problem == {"type": "about:blank", "title": "Internal error", "status": 500}
        assert instance.logged()[-1]["errorType"] == "KeyError"


async def test_failure_after_the_response_leaves_it_whole(api, function, app):
    async with function(app(FAILS)) as instance:
        invocation = api.invoke(path("/late"))
        await invocation.prelude()
        assert [chunk async for chunk in invocation.chunks()] == [b"half"]
        assert instance.logged()[-1]["errorType"] == "ValueError"


async def test_an_event_that_is_no_request_is_an_error(api, function, app):
    async with function(app(FAILS)):
        invocation = api.invoke({"source": "aws.events"})
        with pytest.raises(FunctionError, match=r"payload format 2\.0"):
            await _all(invocation)
        assert f"POST invocation/{invocation.request_id}/error" in api.calls
        # The process lives on.
        assert (await api.invoke(path("/late")).prelude())["statusCode"] == 200


async def test_an_app_sees_its_request_and_context(api, function, app):
    async with function(app(CONTEXT)):
        invocation = api.invoke(recorded("function_url_post_base64"), timeout=30.0)
        seen = json.loads((await _all(invocation))[-1])
        assert seen["request_id"] == invocation.request_id
        assert seen["arn"] == ARN
        assert seen["trace"] == TRACE_ID
        assert seen["memory"] == "1024"
        assert 0 < seen["remaining"] <= 30_000
        assert seen["body"] == "ff000102feff8081"
        seen = json.loads((await _all(api.invoke(GET)))[-1])
        assert seen["path"] == "/files/café menu"
        assert seen["query"] == "limit=20&cursor=a%2Bb&tag=x&tag=y"
        assert seen["client"] == "2001:db8::17"


async def test_an_event_of_many_megabytes_arrives_whole(api, function, app):
    event = {**recorded("function_url_post_base64"), "body": "AAAA" * 1_400_000}
    async with function(app(CONTEXT)):
        seen = json.loads((await _all(api.invoke(event)))[-1])
        assert len(seen["body"]) == 2 * 4_200_000


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("raise RuntimeError('no database url')\napp = None", "RuntimeError", "no database url"),
        ("import nothing_of_this_name\napp = None", "ModuleNotFoundError", "nothing_of_this_name"),
        (
            "async def app(scope, receive, send):\n    raise OSError('lifespan broke')",
            "OSError",
            "lifespan broke",
        ),
        (
            "async def app(scope, receive, send):\n    await receive()",
            "RuntimeError",
            "the app ended its lifespan without starting",
        ),
    ],
)
async def test_a_function_that_cannot_start_says_why(api, function, app, source, kind, message):
    async with function(app(source)) as instance:
        report = await asyncio.wait_for(api.init_error, 120)
        assert await instance.exit_code() == 1
        assert report["errorType"] == kind
        assert message in report["errorMessage"]
        assert report["headers"]["lambda-runtime-function-error-type"] == kind
        assert api.calls == ["POST init/error"]
        assert instance.logged()[-1]["message"] == "the function cannot start"


async def test_a_snapshot_is_offered_before_anything_connects(api, function, app):
    source = (
        "print('{\"imported\": true}')\n"
        "async def app(scope, receive, send):\n    raise OSError('started')"
    )
    environment = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    async with function(app(source), environment) as instance:
        await asyncio.wait_for(api.snapshot_offered.wait(), 120)
        assert instance.logged() == [{"imported": True}]
        api.restored.set()
        report = await asyncio.wait_for(api.restore_error, 120)
        assert report["errorMessage"] == "started"
        assert (
            report["headers"]["lambda-runtime-function-error-type"] == "Runtime.AfterRestoreError"
        )
        assert await instance.exit_code() == 1
        assert not api.init_error.done()


async def test_an_event_survives_a_runtime_killed_while_it_waited(api, function, app):
    async with function(app(CONTEXT)) as instance:
        first = json.loads((await _all(api.invoke(GET)))[-1])
        await instance.kill()
    invocation = api.invoke(GET)
    async with function(app(CONTEXT)):
        assert json.loads((await _all(invocation))[-1])["pid"] != first["pid"]


async def test_a_runtime_killed_in_mid_answer_is_noticed(api, function, app, tmp_path):
    async with function(app(STREAM), {"GATE": str(tmp_path)}) as instance:
        invocation = api.invoke(GET)
        await invocation.prelude()
        await instance.kill()
        with pytest.raises(RuntimeExited):
            await _all(invocation)


async def test_an_instance_that_takes_several_requests_serves_them_side_by_side(
    api, function, app, tmp_path
):
    environment = {"GATE": str(tmp_path), "AWS_LAMBDA_MAX_CONCURRENCY": "2"}
    async with function(app(STREAM), environment) as instance:
        both = [api.invoke(GET), api.invoke(GET)]
        # Both have begun before either can go on.
        for invocation in both:
            assert (await invocation.prelude())["statusCode"] == 203
        for step in range(3):
            (tmp_path / str(step)).touch()
        for invocation in both:
            assert await _all(invocation) == [b"step 0", b"step 1", b"step 2"]
        assert instance.process.returncode is None


async def test_a_plain_handler_runs_under_the_streaming_runtime(api, function, tmp_path):
    (tmp_path / "handler.py").write_text(
        "def handler(event, context):\n"
        "    return {'doubled': event['n'] * 2, 'id': context.aws_request_id}\n"
    )
    async with function(tmp_path):
        invocation = api.invoke({"n": 21})
        assert await invocation.result() == {"doubled": 42, "id": invocation.request_id}
        assert not invocation.streamed
        with pytest.raises(FunctionError, match="KeyError"):
            await api.invoke({}).result()


async def test_under_the_stock_runtime_the_same_handler_answers_buffered(
    api, function, app, stock, tmp_path
):
    for step in range(3):
        (tmp_path / str(step)).touch()
    async with function(app(STREAM), {"GATE": str(tmp_path)}, stock=stock):
        for _ in range(2):
            invocation = api.invoke(GET)
            assert await invocation.result() == {
                "statusCode": 203,
                "headers": {"content-type": "text/plain", "x-a": "1, 2"},
                "cookies": ["a=1; HttpOnly", "b=2"],
                "body": "step 0step 1step 2",
                "isBase64Encoded": False,
            }
            assert not invocation.streamed


async def test_under_the_stock_runtime_a_cut_response_is_an_error(api, function, app, stock):
    async with function(app(FAILS), stock=stock):
        with pytest.raises(FunctionError, match="in the middle"):
            await api.invoke(path("/middle")).result()


async def _all(invocation) -> list[bytes]:
    return [chunk async for chunk in invocation.chunks()]
