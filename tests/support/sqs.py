"""A server that speaks the API of SQS, and queues in it."""

import itertools
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
}

# Servers of one process share their queues.
_names = (f"events-{os.getpid()}-{number}" for number in itertools.count(1))


class Sqs:
    """A running server."""

    def __init__(self, endpoint_url: str) -> None:
        self.client: Any = boto3.Session().client("sqs", endpoint_url=endpoint_url)

    def create_queue(self, **attributes: str) -> str:
        """Return the URL of a new queue."""
        return self.client.create_queue(QueueName=next(_names), Attributes=attributes)["QueueUrl"]

    def create_queues(self, max_receives: int) -> tuple[str, str]:
        """Return the URLs of a new queue and of the one that takes what it gives up on."""
        dead = self.create_queue()
        answer = self.client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        policy = {
            "deadLetterTargetArn": answer["Attributes"]["QueueArn"],
            "maxReceiveCount": max_receives,
        }
        return self.create_queue(RedrivePolicy=json.dumps(policy)), dead


@contextmanager
def serve_sqs() -> Iterator[Sqs]:
    """Run a server on a loopback port."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _ENVIRONMENT.items():
            patch.setenv(name, value)
        # A line for every request.
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        app = DomainDispatcherApplication(create_backend_app)
        # One request at a time: two at once might be given the same message.
        server = make_server("127.0.0.1", 0, app, threaded=False)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Sqs(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
