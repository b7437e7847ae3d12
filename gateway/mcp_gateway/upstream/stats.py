"""What a pool shows of itself: frozen pictures for metrics, the status page and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class CloseReason(StrEnum):
    """Why a connection was closed.

    IDLE: not used for `idle_timeout`. LIFETIME: too old. OVERFLOW: came back beyond
    `max_connections`. STALE: found dead when it was to be lent, or suspected because another one
    was. LOST: the provider closed it while it was idle. USED: it did not survive its last
    exchange (an error, a cancellation, `Connection: close`). SHRUNK: the pool was made smaller.
    DRAINED: the pool ended.
    """

    IDLE = "idle"
    LIFETIME = "lifetime"
    OVERFLOW = "overflow"
    STALE = "stale"
    LOST = "lost"
    USED = "used"
    SHRUNK = "shrunk"
    DRAINED = "drained"


class PoolState(StrEnum):
    """Where a pool stands: NEW until started; DRAINING serves who waits and takes nobody new."""

    NEW = "new"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class LaneStats:
    """One limit of the pool: the account's, or one model's.

    Attributes:
        in_flight: leases now.
        waiting: waiters now.
        limit: the most in flight that is allowed now.
        share: what was granted or is known; None where it has to be found out.
        in_flight_at_refusal: what the last concurrency refusal left in flight, or None.
        refused: concurrency refusals so far.
    """

    in_flight: int
    waiting: int
    limit: int
    share: int | None
    in_flight_at_refusal: int | None
    refused: int


@dataclass(frozen=True, slots=True)
class EndpointStats:
    """One endpoint.

    Attributes:
        failures: failures to connect since the last success.
        aside: seconds it is still put aside for; 0.0 when it is not.
    """

    failures: int
    aside: float


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A pool at one moment. Counters count from its start.

    Attributes:
        name: the provider's.
        state: where it stands.
        connecting, idle, in_flight: connections being opened, ready, and lent.
        waiting: who waits for one.
        capacity: the most that may be open or opening.
        limit: the most in flight that is allowed now.
        share: what was granted or is known; None where it has to be found out.
        in_flight_at_refusal: what the last concurrency refusal left in flight, or None.
        lanes: the limits of single models.
        endpoints: by URL.
        acquired: leases given.
        timeouts: waiters whose time ran out.
        saturated: refused because the queue was full.
        abandoned: waiters that were cancelled.
        refused: concurrency refusals reported by leases.
        created: connections opened.
        connect_failures: tries to open one that failed.
        closed: connections closed, by reason.
        wait_sum, wait_count: seconds waited, and by how many, among those that had to wait and
            got a lease.
        warm: connections that are kept open beside the document's, because demand wants them.
        last_error: why the last try to open a connection failed, or empty.
    """

    name: str
    state: PoolState
    connecting: int
    idle: int
    in_flight: int
    waiting: int
    capacity: int
    limit: int
    share: int | None
    in_flight_at_refusal: int | None
    lanes: Mapping[str, LaneStats]
    endpoints: Mapping[str, EndpointStats]
    acquired: int
    timeouts: int
    saturated: int
    abandoned: int
    refused: int
    created: int
    connect_failures: int
    closed: Mapping[CloseReason, int]
    wait_sum: float
    wait_count: int
    warm: int
    last_error: str


class Counters:
    """What a pool counts as it lends. Written by the pool alone; `PoolStats` says what each is."""

    __slots__ = (
        "abandoned",
        "acquired",
        "refused",
        "saturated",
        "timeouts",
    )

    def __init__(self) -> None:
        self.abandoned = 0
        self.acquired = 0
        self.refused = 0
        self.saturated = 0
        self.timeouts = 0
