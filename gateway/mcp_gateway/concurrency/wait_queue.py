"""A bounded queue of tasks that wait for something scarce, fair to clients.

Rules that must hold:

1. A waiter is answered once: given an item, failed, or gone by itself (cancelled).
2. A waiter may decline. Between a task's cancellation and its next run its future is already
   done; an item offered then must go to the next waiter and not into the void.
3. A client with a thousand waiters gets no more turns than a client with one. Turns go round
   robin among the clients of a lane; among lanes, to the one whose next client has gone
   longest without a turn, so a client that spreads over many lanes gains little.
4. A waiter whose lane is shut does not hold up those of other lanes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class QueueFull(Exception):
    """The queue holds as many waiters as it may."""


class Waiter(Generic[T]):
    """One place in the queue.

    Attributes:
        client, lane: whose it is, and for which lane.
        since: `loop.time()` when it joined.
        future: resolves to the item.
        queued: it stands in the queue.
    """

    __slots__ = ("client", "future", "lane", "queued", "since")

    def __init__(self, client: str, lane: str, since: float, future: asyncio.Future[T]) -> None:
        self.client = client
        self.lane = lane
        self.since = since
        self.future = future
        self.queued = True

    def offer(self, item: T) -> bool:
        """Give it `item`; False means that it cannot take it any more."""
        if self.future.done():
            return False
        self.future.set_result(item)
        return True


class _Lane(Generic[T]):
    """The waiters of one lane: a rotation of clients, each with its own line.

    Ordered dicts stand in for deques from which any element can be removed at once.
    """

    __slots__ = ("clients", "size")

    def __init__(self) -> None:
        self.clients: OrderedDict[str, OrderedDict[Waiter[T], None]] = OrderedDict()
        self.size = 0


class WaitQueue(Generic[T]):
    """The queue.

    Args:
        max_waiting: how many may wait. May be changed at any time; who waits already, stays.

    Attributes:
        size: how many wait.
    """

    __slots__ = ("_lanes", "_served", "_turn", "max_waiting", "size")

    def __init__(self, max_waiting: int) -> None:
        self.max_waiting = max_waiting
        self._lanes: dict[str, _Lane[T]] = {}
        self.size = 0
        self._turn = 0
        # Last turn of each client that waits anywhere: forgotten when its last waiter leaves.
        self._served: dict[str, int] = {}

    def waiting(self, lane: str) -> int:
        """Return how many wait in `lane`."""
        found = self._lanes.get(lane)
        return 0 if found is None else found.size

    def lanes(self) -> list[tuple[str, int]]:
        """Return the lanes in which somebody waits, with how many do."""
        return [(name, lane.size) for name, lane in self._lanes.items()]

    def join(self, client: str, lane: str, now: float, *, spare: int = 0) -> Waiter[T]:
        """Add a waiter at the end of its client's line.

        Args:
            client: whose turn it uses.
            lane: the lane it waits for.
            now: `loop.time()`.
            spare: how many waiters are not counted, because their item is on its way.

        Raises:
            QueueFull: `max_waiting` wait already.
        """
        if self.size >= self.max_waiting + spare:
            raise QueueFull
        waiter: Waiter[T] = Waiter(client, lane, now, asyncio.get_running_loop().create_future())
        place = self._lanes.get(lane)
        if place is None:
            place = self._lanes[lane] = _Lane()
        line = place.clients.get(client)
        if line is None:
            line = place.clients[client] = OrderedDict()
        line[waiter] = None
        place.size += 1
        self.size += 1
        self._served.setdefault(client, self._turn)
        return waiter

    def leave(self, waiter: Waiter[T]) -> None:
        """Take `waiter` out, wherever it stands. Idempotent."""
        if waiter.queued:
            self._remove(waiter)

    def pop(self, is_open: Callable[[str], bool]) -> Waiter[T] | None:
        """Take out the waiter whose turn it is among the lanes for which `is_open(lane)`.

        The waiter can still decline what it is offered; then its turn is over all the same.
        """
        best: str | None = None
        best_served = 0
        for name, lane in self._lanes.items():
            if not is_open(name):
                continue
            served = self._served[next(iter(lane.clients))]
            if best is None or served < best_served:
                best, best_served = name, served
        if best is None:
            return None
        lane = self._lanes[best]
        client, line = next(iter(lane.clients.items()))
        waiter = next(iter(line))
        lane.clients.move_to_end(client)
        self._turn += 1
        self._served[client] = self._turn
        self._remove(waiter)
        return waiter

    def fail_all(self, make_error: Callable[[], Exception]) -> None:
        """Empty the queue; every waiter gets an error of its own."""
        for lane in list(self._lanes.values()):
            for line in list(lane.clients.values()):
                for waiter in list(line):
                    self._remove(waiter)
                    if not waiter.future.done():
                        waiter.future.set_exception(make_error())

    def fail_lane(self, lane: str, make_error: Callable[[], Exception]) -> None:
        """Empty one lane; every waiter of it gets an error of its own."""
        place = self._lanes.get(lane)
        for line in list(place.clients.values()) if place is not None else ():
            for waiter in list(line):
                self._remove(waiter)
                if not waiter.future.done():
                    waiter.future.set_exception(make_error())

    def _remove(self, waiter: Waiter[T]) -> None:
        waiter.queued = False
        lane = self._lanes[waiter.lane]
        line = lane.clients[waiter.client]
        del line[waiter]
        lane.size -= 1
        self.size -= 1
        if not line:
            del lane.clients[waiter.client]
            if not any(waiter.client in other.clients for other in self._lanes.values()):
                del self._served[waiter.client]
        if not lane.size:
            del self._lanes[waiter.lane]
