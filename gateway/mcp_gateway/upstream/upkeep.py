"""What a pool does by itself once a second: close what is idle, keep warm, probe limits."""

from __future__ import annotations

from mcp_gateway.concurrency.wait_queue import WaitQueue
from mcp_gateway.upstream.lane import Lanes
from mcp_gateway.upstream.lease import Lease
from mcp_gateway.upstream.opener import Opener
from mcp_gateway.upstream.settings import PoolSettings
from mcp_gateway.upstream.stock import Stock


class Upkeep:
    """Looks after the parts of one pool. Time is passed in.

    Attributes:
        warm: connections worth keeping open, beside `min_connections`: the idle timeout closes
            only what is above it.
    """

    __slots__ = ("_lanes", "_opener", "_queue", "_stock", "warm")

    def __init__(self, lanes: Lanes, queue: WaitQueue[Lease], stock: Stock, opener: Opener) -> None:
        self._lanes = lanes
        self._queue = queue
        self._stock = stock
        self._opener = opener
        self.warm = 0

    def turn(self, now: float, settings: PoolSettings) -> None:
        """Close what is idle for too long, and let limits grow that may."""
        self._stock.reap(now, settings.idle_timeout, max(settings.min_connections, self.warm))
        queue, root = self._queue, self._lanes.root
        root.limit.probe(now, queue.size, root.in_flight)
        root.waits.turn_to(now, root.arrivals)
        for lane in self._lanes:
            lane.limit.probe(now, queue.waiting(lane.name), lane.in_flight)
            lane.waits.turn_to(now, lane.arrivals)

    def missing(self, now: float, settings: PoolSettings) -> int:
        """Return how many connections to open, so that `min_connections` are."""
        if not self._opener.health.available(now):
            return 0
        limit = self._lanes.root.limit.limit
        target = min(settings.min_connections, settings.capacity, limit)
        return target - len(self._stock.open) - self._opener.connecting
