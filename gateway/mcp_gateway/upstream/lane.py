"""The limits of one pool: the account's own, and those of single models.

A *lane* is a model with a concurrency limit of its own, as GLM has them. Requests that have no
lane of their own count against the account alone, which is the lane with the empty name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from mcp_gateway.limits.adaptive import AdaptiveLimit
from mcp_gateway.upstream.settings import UNBOUNDED
from mcp_gateway.upstream.waits import Waits

MAX_LANES = 256
"""Models come from clients' requests: what is remembered about them is bounded."""

FIRST_LIMIT = 2
"""Where a limit begins that nothing bounds and nobody knows."""


class Lane:
    """One limit, how much of it is used, and how it was used since the pool began.

    Attributes:
        name: the model, or empty for the account.
        limit: the limit.
        in_flight: leases under it.
        refused_pending: leases among them that were refused and not yet released.
        pinned: somebody set its share; it is never forgotten.
        arrivals: requests that came: those served at once and those that had to wait.
        completions, service_seconds: answers, and the time they took at the provider. Noted by
            whoever holds the leases, under the lease's own lane only.
        refusals: refused requests by cause; noted likewise.
        waits: how long those waited who had to.
    """

    __slots__ = (
        "arrivals",
        "completions",
        "in_flight",
        "limit",
        "name",
        "pinned",
        "refusals",
        "refused_pending",
        "service_seconds",
        "waits",
    )

    def __init__(self, name: str, limit: AdaptiveLimit, *, pinned: bool) -> None:
        self.name = name
        self.limit = limit
        self.in_flight = 0
        self.refused_pending = 0
        self.pinned = pinned
        self.arrivals = 0
        self.completions = 0
        self.service_seconds = 0.0
        self.refusals: dict[str, int] = {}
        self.waits = Waits()

    @property
    def has_room(self) -> bool:
        """One more may be in flight."""
        return self.in_flight < self.limit.limit


class Lanes:
    """The lanes of one pool.

    Args:
        capacity: connections the pool may have.
        share: the account's known limit.
        by_lane: the provider limits every model by itself: lanes are made on demand.
        lane_share: the known limit of a model that is not listed.
        lane_shares: the known limits of models.

    Attributes:
        capacity: as given, or as set since.
        root: the account's own.
        by_lane: as given.
    """

    def __init__(
        self,
        capacity: int,
        share: int | None,
        *,
        by_lane: bool = False,
        lane_share: int | None = None,
        lane_shares: Mapping[str, int] | None = None,
    ) -> None:
        self.by_lane = by_lane
        self.capacity = capacity
        self._lane_share = lane_share
        self._governed = False
        # Where models are limited one by one, the account is not: only the capacity bounds it.
        root = AdaptiveLimit(share, capacity, start=None if by_lane else self._start())
        self.root = Lane("", root, pinned=True)
        self._lanes: dict[str, Lane] = {}
        for name, known in (lane_shares or {}).items():
            self._add(name, known, pinned=True)

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def find(self, name: str, waiting: Callable[[str], int]) -> Lane:
        """Return the lane of a model; the account's where it has none.

        Args:
            name: the model, or empty.
            waiting: how many wait in a lane; one that is waited for cannot be forgotten.
        """
        lane = self._lanes.get(name)
        if lane is not None:
            return lane
        if not name or not self.by_lane:
            return self.root
        if len(self._lanes) >= MAX_LANES and not self._forget_one(waiting):
            return self.root
        return self._add(name, self._lane_share, pinned=False)

    def share(self, name: str) -> int | None:
        """What was granted or is known of a model's limit: its own, else the account's."""
        lane = self._lanes.get(name)
        return (self.root if lane is None else lane).limit.share

    def place(self, name: str) -> str:
        """The name under which requests for a model wait."""
        return name if name in self._lanes else ""

    def is_open(self, name: str) -> bool:
        """Whether one more may be in flight in the lane of this name."""
        return self._lanes[name].has_room if name else True

    def set_share(
        self, name: str, share: int | None, *, governed: bool, start: int | None = None
    ) -> None:
        """Set the limit of the account (empty name) or of a model; see `AdaptiveLimit`."""
        if not name:
            self.root.limit.set_share(share, governed=governed, start=start)
            return
        lane = self._lanes.get(name) or self._add(name, share, pinned=True)
        lane.pinned = True
        lane.limit.set_share(share, governed=governed, start=start)

    def set_unlisted(self, share: int | None, *, governed: bool) -> None:
        """Set what models begin with whose share nobody sets. Those there are stay as they are."""
        self._lane_share = share
        self._governed = governed

    def unpin(self, name: str) -> None:
        """Let a model be forgotten when nobody uses it: its share is no longer anybody's word."""
        lane = self._lanes.get(name)
        if lane is not None:
            lane.pinned = False

    def set_capacity(self, capacity: int) -> None:
        """Change what bounds every limit."""
        self.capacity = capacity
        self.root.limit.set_cap(capacity)
        for lane in self:
            lane.limit.set_cap(capacity)

    # What happens under a lane counts under the account as well.

    def came(self, lane: Lane) -> None:
        """A request came."""
        self.root.arrivals += 1
        if lane is not self.root:
            lane.arrivals += 1

    def waited(self, lane: Lane, seconds: float) -> None:
        """A request that had to wait got a lease."""
        self.root.waits.add(seconds)
        if lane is not self.root:
            lane.waits.add(seconds)

    def lent(self, lane: Lane) -> None:
        """A lease was assigned."""
        self.root.in_flight += 1
        if lane is not self.root:
            lane.in_flight += 1

    def ended(self, lane: Lane, *, refused: bool) -> None:
        """A lease ended."""
        root = self.root
        root.in_flight -= 1
        root.refused_pending -= refused
        if lane is not root:
            lane.in_flight -= 1
            lane.refused_pending -= refused

    def refused(self, lane: Lane) -> None:
        """A lease was refused for concurrency: cut the limit that it counts against."""
        self.root.refused_pending += 1
        if lane is not self.root:
            lane.refused_pending += 1
        cut = lane if self.by_lane else self.root
        cut.limit.refused(cut.in_flight - cut.refused_pending)

    def _start(self) -> int | None:
        return FIRST_LIMIT if self.capacity >= UNBOUNDED else None

    def _add(self, name: str, share: int | None, *, pinned: bool) -> Lane:
        limit = AdaptiveLimit(share, self.capacity, start=self._start())
        limit.governed = self._governed
        lane = self._lanes[name] = Lane(name, limit, pinned=pinned)
        return lane

    def _forget_one(self, waiting: Callable[[str], int]) -> bool:
        for name, lane in self._lanes.items():
            if not lane.pinned and not lane.in_flight and not waiting(name):
                del self._lanes[name]
                return True
        return False
