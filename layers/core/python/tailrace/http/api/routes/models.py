"""The catalogue of models."""

from fastapi import APIRouter
from pydantic import BaseModel

from tailrace.http.api.deps import CurrentServices

router = APIRouter(prefix="/api/models", tags=["models"])


class ModelItem(BaseModel):
    """A model on offer; `reason` says why one that is not available is not."""

    id: str
    provider: str
    name: str
    available: bool
    reason: str | None
    default: bool


class Catalogue(BaseModel):
    """Every model of every configured provider."""

    items: list[ModelItem]
    default: str | None


@router.get("")
async def list_models(services: CurrentServices) -> Catalogue:
    """List the models."""
    default = await services.providers.default()
    models = await services.providers.catalogue()
    return Catalogue(
        items=[ModelItem(**model._asdict(), default=model.id == default) for model in models],
        default=default,
    )
