"""Targets: who is told of alerts. A further one is a module beside these and a line in `KINDS`."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tailrace.alerts.targets.base import Target
    from tailrace.settings import AlertTargetSettings

__all__ = ["KINDS", "create"]

#: The module of each URL scheme, imported only where it is in use.
KINDS = {
    "https": "tailrace.alerts.targets.webhook",
    "http": "tailrace.alerts.targets.webhook",
    "sns": "tailrace.alerts.targets.sns",
}


def create(settings: "AlertTargetSettings") -> "Target":
    """Return the target of the settings."""
    scheme = settings.url.get_secret_value().partition(":")[0]
    return import_module(KINDS[scheme]).create(settings)
