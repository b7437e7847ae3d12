"""What the operator writes into the resource: what it sees, and what it thinks of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mcp_gateway.api.fields import CAMEL_CASE, Observed, list_by

Text = Annotated[str, Field(max_length=32_768)]
Word = Annotated[str, Field(max_length=1_024)]
Number = Annotated[int, Field(ge=0)]


class Condition(Observed):
    """One thing that is true, false or unknown of the resource."""

    type: Annotated[str, Field(max_length=316, pattern=CAMEL_CASE)]
    """Which thing: `Ready`, `Progressing`, `ConfigApplied`, `ProvidersReachable`, `Tuned`,
    `Degraded`."""

    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""

    reason: Annotated[str, Field(min_length=1, max_length=1_024, pattern=CAMEL_CASE)]
    """Why, in one word for programs."""

    message: Text = ""
    """Why, in a sentence for people."""

    last_transition_time: Annotated[
        str, Field(max_length=64, json_schema_extra={"format": "date-time"})
    ]
    """When `status` last changed, in RFC 3339."""

    observed_generation: Number = 0
    """The generation of the resource that this was said of."""


class Recommendation(Observed):
    """What the tuner would do with a provider account."""

    lower: Number
    """Requests in flight that demand needs at least."""

    target: Number
    """Requests in flight it would allow."""

    upper: Number | None = None
    """The account's ceiling as it is known; left out where it is not."""

    reason: Text = ""
    """What it saw, in a sentence."""


class CeilingChange(Observed):
    """One change of a ceiling."""

    time: Annotated[str, Field(max_length=64, json_schema_extra={"format": "date-time"})]
    """When, in RFC 3339."""

    before: Number | None = None
    """What it was; left out where it was not known."""

    after: Number
    """What it became."""

    reason: Text = ""
    """Why, in a sentence."""


class RateStatus(Observed):
    """How a limit of requests or tokens within a minute is used."""

    stated: Number | None = None
    """What the document or its tier states for the whole account."""

    granted: Number | None = None
    """The sum of what the pods were given."""

    used: Number = 0
    """What the pods used within the last minute."""


class Share(Observed):
    """What one pod may have in flight."""

    pod: Word
    """Its name."""

    share: Number
    """Requests in flight."""


class LimitStatus(Observed):
    """One limit of a provider account, over all pods."""

    ceiling: Number | None = None
    """Requests that the whole account may have in flight, as it is known now."""

    stated: Number | None = None
    """The same, as the document or its tier states it. The ceiling is never above it."""

    granted: Number | None = None
    """The sum of the pods' shares."""

    in_flight: Number | None = None
    """Requests in flight now."""

    waiting: Number | None = None
    """Requests waiting for a connection now."""

    refused: Number | None = None
    """Concurrency refusals since the ceiling last changed."""

    warm: Number | None = None
    """Connections worth keeping open, over all pods."""

    state: Word | None = None
    """What the tuner does: `Idle`, `Probing`, `Holding`, `Full`, `Frozen`, `Listening`."""

    reason: Text | None = None
    """Why the ceiling is what it is, in a sentence."""

    shares: Annotated[list[Share], Field(max_length=64)] | None = None
    """What each pod may have in flight; the largest ones where there are many."""

    requests_per_minute: RateStatus | None = None
    """Requests begun within a minute, where that is limited."""

    tokens_per_minute: RateStatus | None = None
    """Tokens within a minute, where that is limited."""

    recommendation: Recommendation | None = None
    """What the tuner would do, in mode `Recommend`."""

    changes: Annotated[list[CeilingChange], Field(max_length=10)] | None = None
    """The last changes of the ceiling, the oldest first. A new leader goes on from here."""


class ModelStatus(LimitStatus):
    """The limit of one model, where the provider limits every model by itself."""

    model: Word
    """The provider's name of it."""


class ProviderStatus(LimitStatus):
    """One provider account, over all pods."""

    name: Word
    """The provider's name in the document."""

    reachable: bool | None = None
    """Whether the last probe, from one pod, was answered."""

    message: Text = ""
    """What the last probe found."""

    # None where there are none: what an API server fills in would differ from what was written.
    by_model: (
        Annotated[list[ModelStatus], Field(max_length=64, json_schema_extra=list_by("model"))]
        | None
    ) = None
    """The limits of models, where the provider limits every model by itself."""


class Status(Observed):
    """What is seen of an MCPGateway. Written by the operator alone."""

    observed_generation: Number = 0
    """The generation of the resource that the rest was said of."""

    conditions: Annotated[
        list[Condition], Field(max_length=32, json_schema_extra=list_by("type"))
    ] = Field(default=[])
    """What is true of it."""

    replicas: Number = 0
    """Pods there are; the scale subresource shows it."""

    ready_replicas: Number = 0
    """Pods that serve."""

    selector: Word = ""
    """Label selector of the pods, for the scale subresource."""

    endpoint: Word = ""
    """Where clients reach it from within the cluster."""

    config_generation: Number = 0
    """Number of the configuration that pods are to run: a counter of changes to the part of
    the spec that concerns them."""

    config_applied: Word = ""
    """How many pods run it: `2/2`."""

    tuning: Word = ""
    """Mode of the tuning, and what it does where it tunes: `Off`, `Auto/Holding`."""

    providers: Annotated[
        list[ProviderStatus], Field(max_length=64, json_schema_extra=list_by("name"))
    ] = Field(default=[])
    """The provider accounts."""
