"""Which provider gets a request, and what happens when it can not take it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mcp_gateway.api.fields import RE2, DurationOrZero, Model, ModelName, Name, Ratio
from mcp_gateway.api.recording import RecordingMode

Strategy = Literal["round_robin", "least_connections"]
Factor = Annotated[float, Field(ge=0.0, le=60.0)]
FailureWord = Literal["connect", "refused", "overload", "stale", "timeout", "serverError"]


class Match(Model):
    """Which requests a route takes. All that is given must match; what is left out matches all.

    Each is an RE2 expression that must match the whole value: `kimi-.*`, not `kimi`.
    """

    provider: RE2 | None = None
    """The provider a client asks for by name. A client that asks for none has the empty value,
    which `.*` matches and `.+` does not."""

    model: RE2 | None = None
    """The model a client asks for: `(kimi|moonshot)-.*`."""

    tool: RE2 | None = None
    """The MCP tool that is called: `chat`, `kimi_chat`."""

    method: RE2 | None = None
    """The method: `tools/call`, or `chat/completions` on the OpenAI face."""

    client: RE2 | None = None
    """The client's name, as its key or token says: `batch-.*`."""


class Backend(Model):
    """One provider that a route may use."""

    provider: Name
    """Name of a provider of this document."""

    priority: Annotated[int, Field(ge=0, le=100)] = 0
    """Lower is tried first; the next is used when none of the lower can take the request."""

    weight: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Share of the requests among backends of one priority: 3 beside 1 gets three quarters."""

    model: ModelName | None = None
    """Model to ask this provider for, in place of the client's: a fallback from one family to
    another needs it."""


class RouteRecording(Model):
    """What this route's records keep, where it differs from the document's `recording`."""

    enabled: bool | None = None
    """Whether this route's interactions are recorded. Without it: as everywhere."""

    mode: RecordingMode | None = None
    """What content is kept. Without it: as everywhere."""


class Route(Model):
    """One rule of the routing table. The first route that matches takes the request."""

    name: Name
    """The route's name in metrics, logs and records."""

    match: Match = Match()
    """Which requests it takes. Empty: all of them, so it belongs at the end."""

    backends: Annotated[list[Backend], Field(min_length=1, max_length=16)]
    """Who may answer, by priority and weight."""

    strategy: Strategy = "round_robin"
    """How to choose among backends of one priority: in turn by weight, or the one with the
    fewest requests in flight for its weight."""

    recording: RouteRecording | None = None
    """What this route's records keep."""


class Retry(Model):
    """When and how a failed call is tried again, here or at the next backend."""

    max_retries: Annotated[int, Field(ge=0, le=20)] = 3
    """Tries after the first. 0 switches retrying off."""

    backoff_factor: Factor = 0.5
    """Seconds of the first wait, doubled each time: half of what is drawn at random between
    nothing and `backoffFactor * 2^attempt`, on average."""

    max_backoff: DurationOrZero = 10.0
    """Longest wait. A provider's `Retry-After` longer than this ends the tries."""

    budget: Ratio = 0.2
    """Retries allowed for each first try, over time: 0.2 adds at most a fifth to the load of a
    provider that is failing."""

    on: Annotated[list[FailureWord], Field(max_length=6)] = Field(
        default=["connect", "refused", "overload", "stale"]
    )
    """What is tried again. `connect`: no connection came about; `refused`: 429 or 503, nothing
    generated; `overload`: the provider says it is busy; `stale`: a reused connection closed
    before the answer, once. Not by default, because a chat may have been generated and
    charged: `timeout` and `serverError` (500, 502, 504). A bare `on` is read as `true` by kubectl:
    quote it."""
