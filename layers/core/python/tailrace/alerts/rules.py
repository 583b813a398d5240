"""What an alert rule is, in the settings as in the admin API."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal[
    "error_rate",
    "duration_p95",
    "time_to_first_chunk_p95",
    "cost_per_hour",
    "cost_per_user_day",
    "ingestion_lag",
    "dead_letters",
    "nothing_ingested",
]
Severity = Literal["info", "warning", "critical"]

#: Kinds that look at the calls of a window, and may look at those of one provider or model alone.
OF_CALLS: frozenset[Kind] = frozenset(
    ("error_rate", "duration_p95", "time_to_first_chunk_p95", "cost_per_hour")
)

Threshold = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
Seconds = Annotated[int, Field(ge=0, le=86_400)]
Window = Annotated[int, Field(ge=60, le=86_400)]
Calls = Annotated[int, Field(ge=1, le=1_000_000)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]

Of = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]


class RuleFields(BaseModel):
    """A rule: it fires when a number has been at its threshold or beyond for some time.

    Parameters
    ----------
    threshold
        In the number's unit: a share of 1 for ``error_rate``, seconds for ``duration_p95``,
        ``time_to_first_chunk_p95`` and ``ingestion_lag``, USD for ``cost_…``, and how many there
        are for ``dead_letters`` and ``nothing_ingested``.
    resolve_threshold
        The number has to fall below this for the alert to end; `threshold` by default.
    window
        Seconds before now whose calls are looked at.
    for_seconds
        For so long the threshold must have been reached before anybody is told.
    minimum_calls
        With fewer calls in the window nothing begins.
    provider_name, request_model
        The calls of these alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    kind: Kind
    threshold: Threshold
    resolve_threshold: Threshold | None = None
    window: Window = 300
    for_seconds: Seconds = 0
    minimum_calls: Calls = 20
    severity: Severity = "warning"
    provider_name: Of | None = None
    request_model: Of | None = None
    enabled: bool = True

    @model_validator(mode="after")
    def _that_can_be(self) -> "RuleFields":
        if self.resolve_threshold is not None and self.resolve_threshold > self.threshold:
            raise ValueError("resolve_threshold must not be above threshold")
        if self.kind == "error_rate" and self.threshold > 1:
            raise ValueError("threshold of error_rate is a share, from 0 to 1")
        if self.kind not in OF_CALLS and (self.provider_name or self.request_model):
            raise ValueError(f"{self.kind} is not of one provider or model")
        return self
