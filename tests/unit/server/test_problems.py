"""What a defect of ours leaves in the answer and in the log."""

import httpx
import pytest
from fastapi import FastAPI

from tailrace.http import problems


async def test_a_defect_tells_neither_its_insides_nor_the_token_of_a_link(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = FastAPI(exception_handlers=problems.HANDLERS)

    @app.get("/api/shared/{token}")
    def fail(token: str) -> None:
        raise RuntimeError("insides")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        response = await http.get("/api/shared/a-token")

    assert (response.status_code, "insides" in response.text) == (500, False)
    [record] = [record for record in caplog.records if record.name == problems.__name__]
    assert record.getMessage() == "GET /api/shared/{token} failed"
