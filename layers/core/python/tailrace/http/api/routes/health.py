"""Health: is the process up, and can it reach what it needs."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from tailrace.db.pool import connect
from tailrace.http.api.deps import CurrentServices
from tailrace.problems import Problem
from tailrace.queue.base import QueueUnavailable

router = APIRouter(tags=["health"])

State = Literal["ok", "down"]


class Readiness(BaseModel):
    """What the service reaches; a chat needs the database, numbers need the queue as well."""

    status: State
    checks: dict[str, State]


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answer while the process lives."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(services: CurrentServices, response: Response) -> Readiness:
    """Ask the database and the queue."""
    checks: dict[str, State] = {"database": "ok", "queue": "ok"}
    try:
        async with connect(services.pool) as connection:
            await connection.execute("SELECT 1")
    except Problem:
        checks["database"] = "down"
    try:
        await services.queue.ping()
    except QueueUnavailable:
        checks["queue"] = "down"
    ready = all(state == "ok" for state in checks.values())
    response.status_code = 200 if ready else 503
    return Readiness(status="ok" if ready else "down", checks=checks)
