"""The process that Lambda runs: start the handler, then take events one after another for ever.

Started by the wrapper script `tailrace-runtime`. One event loop serves the whole life of the
process, and where the instance takes several requests at once (``AWS_LAMBDA_MAX_CONCURRENCY``), all
of them; it also turns while the next event is awaited, until Lambda freezes it. Any failure of the
Runtime API itself ends the process, and Lambda starts another.
"""

import asyncio
import gc
import os
import sys
from importlib import import_module
from typing import Any

from tailrace_runtime import logs
from tailrace_runtime.response import StreamedResponse
from tailrace_runtime.runtime_api import Invocation, RuntimeApi


def main() -> None:
    """Run the function named by ``_HANDLER`` against ``AWS_LAMBDA_RUNTIME_API``."""
    logs.configure()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    run = loop.run_until_complete
    api = RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"])
    snapshot = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"
    # What is imported stays: searching it for garbage, then and later, is a tenth of a start.
    gc.disable()
    try:
        handler = load(os.environ["_HANDLER"])
        gc.freeze()
        gc.enable()
        if not snapshot:
            run(startup(handler))
    except Exception as error:
        logs.failure("the function cannot start", error)
        run(api.init_error(error))
        sys.exit(1)
    if snapshot:
        run(api.restore_next())
        try:
            if hasattr(handler, "restore"):
                handler.restore()
            # After the snapshot, not before it: no connection would survive in a restored copy.
            run(startup(handler))
        except Exception as error:
            logs.failure("the restored function cannot start", error)
            run(api.restore_error(error))
            sys.exit(1)
    at_once = int(os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY", "1"))
    if at_once > 1 and hasattr(handler, "stream"):
        run(serve_many(api, handler, at_once))
    while True:
        serve(run, api, handler, run(api.next()))


def load(name: str) -> Any:
    """Import a handler by its Lambda name, such as ``handler.handler``."""
    task_root = os.environ.get("LAMBDA_TASK_ROOT", os.getcwd())
    if task_root not in sys.path:
        sys.path.insert(0, task_root)
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module.replace("/", ".")), attribute)


async def startup(handler: Any) -> None:
    """Let a handler that has something to start do so."""
    if hasattr(handler, "startup"):
        await handler.startup()


async def serve_many(api: RuntimeApi, handler: Any, at_once: int) -> None:
    """Answer invocations for ever, so many at once: what a managed instance sends."""

    async def serve_one_by_one() -> None:
        while True:
            invocation = await api.next()
            with logs.request(invocation.context.aws_request_id):
                await stream(api, handler, invocation)

    # Whatever ends one of them ends the process. No trace is in the environment, which all share.
    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(serve_one_by_one())


def serve(run: Any, api: RuntimeApi, handler: Any, invocation: Invocation) -> None:
    """Answer one invocation, by a stream where the handler has one."""
    if invocation.trace_id:
        os.environ["_X_AMZN_TRACE_ID"] = invocation.trace_id
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    with logs.request(invocation.context.aws_request_id):
        if hasattr(handler, "stream"):
            run(stream(api, handler, invocation))
            return
        try:
            # Outside the running loop, so that a plain handler may turn it itself.
            result = handler(invocation.event, invocation.context)
        except Exception as error:
            logs.failure("the handler failed", error)
            run(api.fail(invocation, error))
        else:
            run(api.respond(invocation, result))


async def stream(api: RuntimeApi, handler: Any, invocation: Invocation) -> None:
    """Answer one invocation with a streamed response."""
    response = StreamedResponse(api, invocation)
    try:
        await handler.stream(invocation.event, invocation.context, response)
    except Exception as error:
        logs.failure("the handler failed", error)
        if response.started:
            await response.finish(error)
        else:
            await api.fail(invocation, error)
    else:
        await response.finish()


if __name__ == "__main__":
    main()
