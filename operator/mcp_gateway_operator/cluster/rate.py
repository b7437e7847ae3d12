"""How many requests a second the operator may send."""

from __future__ import annotations

import asyncio


class Pace:
    """A token bucket whose callers wait in the order they came.

    Args:
        rate: requests a second.
        burst: requests at once after a pause.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1.0 / rate
        self._slack = burst * self._interval
        self._next = float("-inf")

    def reserve(self, now: float) -> float:
        """Take the next place; the seconds to wait until it comes."""
        place = max(self._next, now - self._slack) + self._interval
        self._next = place
        return max(0.0, place - now)

    async def wait(self) -> float:
        """Wait for a place; the seconds it took."""
        delay = self.reserve(asyncio.get_running_loop().time())
        if delay > 0:
            await asyncio.sleep(delay)
        return delay
