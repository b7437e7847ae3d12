"""How many connections a pool begins to open, for those who wait."""

from __future__ import annotations

from mcp_gateway.concurrency.wait_queue import WaitQueue
from mcp_gateway.upstream.lane import Lane, Lanes
from mcp_gateway.upstream.lease import Lease
from mcp_gateway.upstream.opener import Opener
from mcp_gateway.upstream.stock import Stock


class Growth:
    """Looks at the parts of one pool, and decides by demand. Changes nothing."""

    __slots__ = ("_lanes", "_opener", "_queue", "_stock")

    def __init__(self, lanes: Lanes, queue: WaitQueue[Lease], stock: Stock, opener: Opener) -> None:
        self._lanes = lanes
        self._queue = queue
        self._stock = stock
        self._opener = opener

    def missing(self, capacity: int, now: float) -> int:
        """Return how many to begin opening: never more than waiters who may be in flight.

        Args:
            capacity: connections that may be open or opening at one time.
            now: `loop.time()`.
        """
        if not self._queue.size:
            return 0
        opener = self._opener
        if not opener.health.available(now):
            # A provider that does not answer is not hammered: whoever has hope waits for that,
            # and otherwise one try stands for all who wait.
            return 0 if self._stock.open or opener.connecting else 1
        wanted = 0
        for name, waiting in self._queue.lanes():
            lane = self._lanes.find(name, self._queue.waiting)
            wanted += min(waiting, max(0, lane.limit.limit - lane.in_flight))
        return min(wanted - opener.connecting, self.room(capacity, self._lanes.root))

    def room(self, capacity: int, lane: Lane) -> int:
        """Return how many more may be opened for a lane; below one where none may."""
        root, connecting = self._lanes.root, self._opener.connecting
        return min(
            capacity - len(self._stock.open) - connecting,
            root.limit.limit - root.in_flight - connecting,
            lane.limit.limit - lane.in_flight - connecting,
        )
