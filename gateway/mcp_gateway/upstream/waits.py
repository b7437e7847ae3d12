"""How long those waited who a pool had no connection for at once, over the last minute.

Requests that are served at once cost nothing here: they are the difference between those that
came and those that waited. Buckets grow by half: a quantile is at most so much too high.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

WINDOW: Final = 60.0
"""Seconds looked back at most; at least half of it."""

BOUNDS: Final = tuple(0.001 * 1.5**step for step in range(28))
"""Upper bounds in seconds, to a minute; longer waits count as that."""


class Waits:
    """Counts waits in two halves of a minute.

    Attributes:
        count, seconds: all there ever were, and added up.
    """

    __slots__ = ("_arrived", "_current", "_previous", "_turned", "count", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        # Counts by bucket of the two halves, and the arrivals when each of them began.
        self._current: list[int] | None = None
        self._previous: list[int] | None = None
        self._arrived = (0, 0)
        self._turned = 0.0

    def add(self, waited: float) -> None:
        """Count one that got what it waited for after `waited` seconds."""
        self.count += 1
        self.seconds += waited
        counts = self._current
        if counts is None:
            counts = self._current = [0] * len(BOUNDS)
        counts[min(bisect_left(BOUNDS, waited), len(BOUNDS) - 1)] += 1

    def turn_to(self, now: float, arrivals: int) -> None:
        """Begin another half when this one is over.

        Args:
            now: a steady clock's seconds.
            arrivals: all who ever came, waited or not.
        """
        age = now - self._turned
        if age < WINDOW / 2:
            return
        stale = age >= WINDOW  # nobody looked for long: what was counted is of any age
        self._previous = None if stale else self._current
        self._arrived = (arrivals if stale else self._arrived[1], arrivals)
        self._current = None
        self._turned = now

    def quantile(self, part: float, arrivals: int) -> float:
        """Seconds that this part of the requests of the last minute waited at most.

        Args:
            part: 0 to 1.
            arrivals: all who ever came, waited or not.
        """
        halves = [half for half in (self._previous, self._current) if half is not None]
        if not halves:
            return 0.0
        counts = [sum(bucket) for bucket in zip(*halves, strict=True)]
        # One that came before the minute may end its wait in it: at least all who waited came.
        came = max(arrivals - self._arrived[0], sum(counts))
        above = came * (1.0 - part)
        for bound, count in zip(reversed(BOUNDS), reversed(counts), strict=True):
            above -= count
            if above < 0:
                return bound
        return 0.0
