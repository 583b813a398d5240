"""The migrate function: schema migrations, before the other functions take traffic.

CloudFormation calls it as a custom resource at every deployment; ``aws lambda invoke`` with any
other event runs the migrations and returns what was applied. A deletion of the stack changes
nothing: the data is not the stack's to delete.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-responses.html
"""

import asyncio
import json
import logging
import time
from typing import Any
from urllib.request import Request, urlopen

from tailrace.db.migrate import migrate
from tailrace.lambda_loop import run
from tailrace.settings import Settings

# Seconds before Lambda's own end at which we give up, so that a stack is told rather than hangs.
_MARGIN = 10.0

# CloudFormation takes 4096 bytes in all.
_REASON_LENGTH = 1000

_log = logging.getLogger("tailrace.migrate")


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Migrate, and tell CloudFormation how it went if it was CloudFormation that asked.

    Raises
    ------
    Exception
        Whatever kept a plain invocation from migrating. A failure of the answer to
        CloudFormation is raised too: Lambda then tries the whole event again.
    """
    if "ResponseURL" not in event:
        return {"applied": _migrate(context)}
    answer: dict[str, Any] = {
        "Status": "SUCCESS",
        "PhysicalResourceId": "tailrace-schema",
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    try:
        if event["RequestType"] != "Delete":
            answer["Data"] = {"Applied": len(_migrate(context))}
    except Exception as error:
        _log.exception("migration failed")
        reason = f"{type(error).__name__}: {error}"
        answer |= {"Status": "FAILED", "Reason": reason[:_REASON_LENGTH]}
    _answer(event["ResponseURL"], answer)
    return answer


def _migrate(context: Any) -> list[str]:
    # Loaded here, not at import: a bad setting must reach CloudFormation as an answer.
    settings = Settings.load()
    if settings.cloudwatch_namespace is None:
        return _apply(settings, context)
    from aws_lambda_powertools.metrics import Metrics

    metrics = Metrics(service="migrate", namespace=settings.cloudwatch_namespace)

    def measured(settings: Settings, context: Any) -> list[str]:
        began_at = time.monotonic()
        applied = None
        try:
            applied = _apply(settings, context)
            return applied
        finally:
            metrics.add_metric("Errors", "Count", int(applied is None))
            metrics.add_metric("Duration", "Seconds", time.monotonic() - began_at)
            if applied is not None:
                metrics.add_metric("Applied", "Count", len(applied))

    return metrics.log_metrics(measured, capture_cold_start_metric=True)(settings, context)


def _apply(settings: Settings, context: Any) -> list[str]:
    remaining = context.get_remaining_time_in_millis() / 1000
    applied = run(_within(remaining - _MARGIN, settings.database_url.get_secret_value()))
    _log.info("migrated", extra={"applied": applied})
    return applied


async def _within(seconds: float, database_url: str) -> list[str]:
    try:
        async with asyncio.timeout(seconds):
            return await migrate(database_url)
    except TimeoutError:
        raise TimeoutError(f"the migrations did not end within {seconds:.0f} seconds") from None


def _answer(url: str, answer: dict[str, Any]) -> None:
    # The URL is signed for a request without a content type.
    request = Request(url, json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT")  # noqa: S310
    with urlopen(request, timeout=10):  # noqa: S310
        pass
