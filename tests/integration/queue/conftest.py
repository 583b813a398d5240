"""A server of SQS for the tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.support.sqs import Sqs, serve_sqs


@pytest.fixture(scope="session")
def sqs() -> Iterator[Sqs]:
    with serve_sqs() as server:
        yield server
