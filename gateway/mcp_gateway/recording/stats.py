"""Pictures of the recording's state, for metrics, the status page and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class DropReason(StrEnum):
    """Why a record was lost. A closed set: the label of a metric.

    queue_full: more records waited in memory than the queue takes.
    spool_full: the spool reached its size, and the policy gave this record up.
    expired: it was older than the spool keeps.
    too_large: it alone would fill a quarter of the spool.
    unencodable: it cannot be written as JSON.
    disk: the disk took no writes until the gateway stopped.
    """

    QUEUE_FULL = "queue_full"
    SPOOL_FULL = "spool_full"
    EXPIRED = "expired"
    TOO_LARGE = "too_large"
    UNENCODABLE = "unencodable"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class ShipperStats:
    """What the shipper did. `lag` is the age, in seconds, of the oldest record that waits.

    Attributes:
        shipped: records the destination has, counted once each as far as this process knows.
        batches, failures: calls that worked, and that did not.
        dead_lettered: records the destination rejected for good.
        waiting: records not shipped yet; an upper bound, exact while nothing was dropped.
        lag: age in seconds of the oldest of them; 0 when there is none.
        problem: why nothing is being shipped; empty while it works.
    """

    shipped: int = 0
    batches: int = 0
    failures: int = 0
    dead_lettered: int = 0
    waiting: int = 0
    lag: float = 0.0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RecorderStats:
    """The whole recording in numbers. Counters count since the start.

    Attributes:
        recorded: records committed to the spool.
        queued: records accepted and not committed yet.
        dropped: lost records by reason.
        commits, commit_failures: transactions that worked, and that did not.
        exposure: the longest a record waited for its commit, in seconds, since the start.
        spool_bytes: size of the spool on the disk.
        dead_letters: dead letters in the spool now.
        shipper: None where nothing is shipped.
        degraded: why the recording is not what it should be, in words; empty when it is.
            A detail of readiness, never a reason not to be ready.
    """

    recorded: int = 0
    queued: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    commits: int = 0
    commit_failures: int = 0
    exposure: float = 0.0
    spool_bytes: int = 0
    dead_letters: int = 0
    shipper: ShipperStats | None = None
    degraded: str = ""
