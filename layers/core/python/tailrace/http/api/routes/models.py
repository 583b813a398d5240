"""The catalogue of models."""

from fastapi import APIRouter
from pydantic import BaseModel

from tailrace.http.api.deps import CurrentServices
from tailrace.providers.registry import Model
from tailrace.settings import Capability

router = APIRouter(prefix="/api/models", tags=["models"])


class ModelItem(BaseModel):
    """A model on offer.

    `context_window` and `output_limit` are in tokens, prices in USD for a million tokens; each is
    null where it is not known. `reason` says why a model that is not available is not.
    """

    id: str
    provider: str
    name: str
    display_name: str
    context_window: int | None
    output_limit: int | None
    capabilities: list[Capability]
    input_price: str | None
    output_price: str | None
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
    return Catalogue(items=[_item(model, default) for model in models], default=default)


def _item(model: Model, default: str | None) -> ModelItem:
    # Takes most of a second to import, which no other route needs to wait for.
    from tailrace.telemetry.pricing import list_price

    info = model.info
    price = list_price(model.provider, model.kind, info.name)
    return ModelItem(
        id=model.id,
        provider=model.provider,
        name=info.name,
        display_name=info.display_name or info.name,
        context_window=info.context_window,
        output_limit=info.output_limit,
        capabilities=sorted(info.capabilities),
        input_price=format(price.input.normalize(), "f") if price else None,
        output_price=format(price.output.normalize(), "f") if price else None,
        available=model.available,
        reason=model.reason,
        default=model.id == default,
    )
