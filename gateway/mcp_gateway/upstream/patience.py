"""How long those wait who a pool has no connection for, and how their wait ends."""

from __future__ import annotations

import asyncio

from mcp_gateway.concurrency.wait_queue import QueueFull, Waiter, WaitQueue
from mcp_gateway.errors import DeadlineExceeded, Misdirected, PoolSaturated, PoolTimeout
from mcp_gateway.upstream.lease import Lease
from mcp_gateway.upstream.stats import Counters


class Patience:
    """Lets tasks into one pool's queue and out of it again, but for those who get what they want.

    Args:
        name: the pool's, for errors.
        queue: where they wait.
        counters: what became of them.
    """

    __slots__ = ("_counters", "_name", "_queue")

    def __init__(self, name: str, queue: WaitQueue[Lease], counters: Counters) -> None:
        self._name = name
        self._queue = queue
        self._counters = counters

    def join(self, client: str, lane: str, now: float, *, spare: int) -> Waiter[Lease]:
        """Put a waiter in the queue; see `WaitQueue.join`.

        Raises:
            PoolSaturated: the queue is full.
        """
        try:
            return self._queue.join(client, lane, now, spare=spare)
        except QueueFull:
            self._counters.saturated += 1
            message = f"{self._queue.size} requests wait for {self._name} already"
            raise PoolSaturated(message, provider=self._name) from None

    def time_limit(
        self,
        waiter: Waiter[Lease],
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        deadline: float | None,
    ) -> asyncio.TimerHandle:
        """End the wait after `seconds`, or at the request's own `deadline` where that is sooner."""
        gives_up = waiter.since + seconds
        if deadline is not None and deadline < gives_up:
            return loop.call_at(deadline, self._expire, waiter, loop, DeadlineExceeded)
        return loop.call_at(gives_up, self._expire, waiter, loop, PoolTimeout)

    def turn_away(self, lane: str) -> None:
        """End the wait of everybody in a lane: what they wait for is to be had elsewhere."""
        message = f"no slot of {self._name} is held here"
        self._queue.fail_lane(lane, lambda: Misdirected(message, provider=self._name))

    async def wait(self, waiter: Waiter[Lease], timer: asyncio.TimerHandle) -> Lease:
        """Wait for what `waiter` stands for.

        Args:
            waiter: in the queue.
            timer: ends the wait; cancelled here when it ends otherwise.
        """
        try:
            return await waiter.future
        except asyncio.CancelledError:
            self.cancelled(waiter)
            raise
        finally:
            timer.cancel()
            self._queue.leave(waiter)

    def cancelled(self, waiter: Waiter[Lease]) -> None:
        """The task that waited was cancelled; what it was given meanwhile goes back."""
        future = waiter.future
        if not future.done() or future.cancelled() or future.exception() is not None:
            self._counters.abandoned += 1
        else:
            future.result().release()

    def _expire(
        self,
        waiter: Waiter[Lease],
        loop: asyncio.AbstractEventLoop,
        kind: type[PoolTimeout] | type[DeadlineExceeded],
    ) -> None:
        self._queue.leave(waiter)
        if not waiter.future.done():
            self._counters.timeouts += 1
            waited = loop.time() - waiter.since
            message = f"no connection to {self._name} was free within {waited:.1f} s"
            waiter.future.set_exception(kind(message, provider=self._name))
