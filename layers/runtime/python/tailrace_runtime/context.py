"""The context object that a handler gets, with the names that AWS documents for Python.

Made by `runtime_api` for every invocation. https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
"""

import json
import os
import time
from collections.abc import Mapping
from typing import Any


class LambdaContext:
    """One invocation, as the headers of the Runtime API describe it.

    Parameters
    ----------
    headers
        Headers of ``GET /runtime/invocation/next``, names in lower case.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn", "")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        self.client_context: Any = json.loads(headers.get("lambda-runtime-client-context", "null"))
        self.identity: Any = json.loads(headers.get("lambda-runtime-cognito-identity", "null"))
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        self._deadline_ms = int(headers.get("lambda-runtime-deadline-ms", "0"))

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation, never below 0."""
        return max(0, self._deadline_ms - int(time.time() * 1000))
