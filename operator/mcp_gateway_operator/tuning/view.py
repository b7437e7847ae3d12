"""What the tuner says at each tick: grants for pods, and what it sees and thinks, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mcp_gateway.api.control import Grant
from mcp_gateway_operator.tuning.change import Change

State = Literal["Idle", "Probing", "Holding", "Full", "Frozen", "Listening"]
"""Idle: demand is below the ceiling. Probing: it grows, because requests wait. Holding: it was
cut, and is left alone for a while. Full: all of it is in use, and it may not or need not grow.
Frozen: it is not moved, by a person's wish or because too many pods are silent. Listening: a new
leader has not heard every pod yet, and grants only what is surely free."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What the tuner would do with a limit.

    Attributes:
        lower: requests in flight that demand needs at least.
        target: requests in flight it would allow.
        upper: the ceiling as it is known; None where none is.
        reason: what it saw, in a sentence.
    """

    lower: int
    target: int
    upper: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class RateView:
    """One rate of an account, over all pods; numbers are per minute.

    Attributes:
        stated: what the provider allows.
        granted: the sum of the pods' quotas.
        used: begun or charged within the last minute.
    """

    stated: int
    granted: int
    used: int


@dataclass(frozen=True, slots=True)
class LimitView:
    """One limit of a provider account, over all pods that share it.

    Attributes:
        model: the model, where the provider limits every model by itself; else empty.
        account: identity of the account.
        ceiling: requests that all of it may have in flight; None where it is not governed here.
        stated: the same as the document states it; None where it is to be learned.
        granted: the sum of the shares.
        in_flight, waiting: requests now.
        refused: concurrency refusals since the ceiling last changed.
        warm: connections worth keeping open.
        state: what the tuner is doing.
        reason: why the ceiling is what it is, in a sentence.
        recommendation: in mode `Recommend`.
        shares: by pod name, of this gateway's pods.
        requests, tokens: the rates; None where none is stated.
        recent: the last changes of the ceiling, oldest first; at most ten.
    """

    model: str
    account: str
    ceiling: int | None
    stated: int | None
    granted: int
    in_flight: int
    waiting: int
    refused: int
    warm: int
    state: State
    reason: str
    recommendation: Recommendation | None = None
    shares: Mapping[str, int] = field(default_factory=dict)
    requests: RateView | None = None
    tokens: RateView | None = None
    recent: Sequence[Change] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of a tick.

    Attributes:
        grants: by pod uid, what to send now; only where something must be said.
        views: by gateway and provider, its limits.
        changes: of ceilings, each worth an Event.
    """

    grants: Mapping[str, Grant]
    views: Mapping[tuple[str, str], Sequence[LimitView]]
    changes: Sequence[Change]
