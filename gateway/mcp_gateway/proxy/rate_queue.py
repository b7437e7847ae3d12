"""Those who wait for a rate: fair to clients, bounded, and never with a connection in hand."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final

from mcp_gateway.concurrency.wait_queue import Waiter, WaitQueue
from mcp_gateway.proxy.turn import Turn

SHORTEST: Final = 0.001
"""Seconds between two looks at a rate that is all but free: a wait may round to nothing."""


class RateQueue:
    """Gives turns to waiting requests, one after the other.

    The waiter whose turn it is stands at the door until the rate has room for it: those behind
    it ask for less perhaps, and would overtake it for ever.

    Args:
        loop: its clock and timers.
        reserve: takes what a request of so many tokens needs; the turn, or the seconds until it
            may be asked again.
    """

    __slots__ = ("_costs", "_door", "_loop", "_queue", "_reserve", "_timer")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, reserve: Callable[[int], Turn | float]
    ) -> None:
        self._loop = loop
        self._reserve = reserve
        self._queue: WaitQueue[Turn | None] = WaitQueue(0)
        self._costs: dict[Waiter[Turn | None], int] = {}
        self._door: Waiter[Turn | None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def size(self) -> int:
        """How many wait."""
        return len(self._costs)

    async def wait(self, client: str, tokens: int, until: float, max_waiting: int) -> Turn | None:
        """Wait for a turn until `until` (loop time); None where none came.

        Args:
            client: whose turn it uses.
            tokens: what the request is charged with.
            until: when it gives up.
            max_waiting: how many may wait.

        Raises:
            QueueFull: so many wait already.
        """
        now = self._loop.time()
        self._queue.max_waiting = max_waiting
        waiter = self._queue.join(client, "", now)
        self._costs[waiter] = tokens
        timer = self._loop.call_at(until, waiter.offer, None)
        try:
            self.serve()
            return await waiter.future
        except asyncio.CancelledError:
            self._hand_back(waiter)
            raise
        finally:
            timer.cancel()
            self._queue.leave(waiter)
            del self._costs[waiter]
            if self._door is waiter:
                self.serve()

    def serve(self) -> None:
        """Give turns to whoever may have one now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while True:
            waiter = self._door or self._queue.pop(_any_lane)
            self._door = None
            if waiter is None:
                return
            if waiter.future.done():
                continue  # it left; what it would have taken is the next one's
            found = self._reserve(self._costs[waiter])
            if isinstance(found, Turn):
                waiter.offer(found)
                continue
            self._door = waiter
            if found < math.inf:
                self._timer = self._loop.call_later(max(found, SHORTEST), self.serve)
            return

    def fail_all(self, make_error: Callable[[], Exception]) -> None:
        """End the wait of everybody; each gets an error of its own."""
        door = self._door
        if door is not None and not door.future.done():
            door.future.set_exception(make_error())
        self._queue.fail_all(make_error)

    def _hand_back(self, waiter: Waiter[Turn | None]) -> None:
        """Its task was cancelled; a turn that it was given meanwhile is nobody's."""
        future = waiter.future
        if future.done() and not future.cancelled() and future.exception() is None:
            turn = future.result()
            if turn is not None:
                turn.cancel()


def _any_lane(_: str) -> bool:
    return True
