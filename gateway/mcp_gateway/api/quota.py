"""What pods and their operator say about the limits of accounts: what is allowed, what is used."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from mcp_gateway.api.fields import Observed

MAX_LIMITS: Final = 256
"""Limits in one message: accounts, and models of accounts."""
MAX_PEERS: Final = 256
MAX_TEXT: Final = 2_048

Number = Annotated[int, Field(ge=0, le=2**53)]
Seconds = Annotated[float, Field(ge=0.0, le=1e12, allow_inf_nan=False)]
Word = Annotated[str, Field(max_length=256)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]


class Quota(Observed):
    """What one pod may use of one limit. A number that is None is not bounded by the grant."""

    provider: Word
    """The provider's name in the document."""

    model: Word = ""
    """The model, where the provider limits every model by itself; empty for the account."""

    account: Word = ""
    """The account this is of, as the pod told it. A pod that uses another credential by now has
    no share of the other account: it takes 0 until it is granted one."""

    share: Number | None = None
    """Requests in flight. 0 holds no slot: requests go to a peer that does."""

    requests_per_minute: Number | None = None
    """Requests begun within any minute."""

    tokens_per_minute: Number | None = None
    """Tokens within any minute."""

    warm: Number | None = None
    """Connections worth keeping open; idle ones above it may be closed."""

    ceiling: Number | None = None
    """What the whole account may have in flight, for people to see."""

    reason: Text = ""
    """Why the ceiling last changed, for people to see."""


class Peer(Observed):
    """A pod of the same gateway that holds slots of a limit."""

    address: Word
    """`host:port` of its peer port."""

    provider: Word
    model: Word = ""

    share: Number
    """Its slots."""


class LimitReport(Observed):
    """How one limit of one account is used by one pod. Counts grow from `Report.since` on."""

    provider: Word
    """The provider's name in the document."""

    model: Word = ""
    """The model, where the provider limits every model by itself; empty for the account."""

    account: Word = ""
    """Identity of the account: a digest of the provider's origin and the credential in use. The
    same wherever the same credential is used, and of no use to who sees it."""

    share: Number | None = None
    """Requests in flight that were granted; None where nothing was."""

    limit: Number = 0
    """Requests in flight that are allowed now: the share, or less after a refusal."""

    in_flight: Number = 0
    """Requests in flight now."""

    waiting: Number = 0
    """Requests that wait for a connection now."""

    idle: Number = 0
    """Connections open and unused now."""

    arrivals: Number = 0
    """Requests that came for this limit: those served at once and those that had to wait."""

    completions: Number = 0
    """Requests that were answered."""

    service_seconds: Seconds = 0.0
    """Time those took at the provider, added up."""

    wait_p50: Seconds = 0.0
    """Median wait for a connection within the last minute."""

    wait_p99: Seconds = 0.0
    """The same, of the hundredth that waited longest."""

    refusals: Annotated[dict[Word, Number], Field(max_length=16)] = Field(default={})
    """Refused attempts by cause: concurrency, frequency, tokens, quota, overload."""

    in_flight_at_refusal: Number | None = None
    """Requests in flight without the refused ones when the provider last refused for concurrency;
    None where it has not since the grant in force."""

    requests_per_minute: Number | None = None
    """Requests within a minute that are allowed now."""

    requests_in_window: Number = 0
    """Requests begun within the last minute."""

    tokens_per_minute: Number | None = None
    """Tokens within a minute that are allowed now."""

    tokens_in_window: Number = 0
    """Tokens charged within the last minute."""

    rate_waiting: Number = 0
    """Requests that wait for a rate now."""
