"""At most so much within any minute, as a provider counts it."""

from __future__ import annotations

import math
from typing import Final

SLICE: Final = 0.1
"""Seconds of a slice; what falls into one is forgotten together."""

KEPT: Final = 61.0
"""Seconds for which what was begun counts at least: a minute, and a second by which two requests
may come closer to each other on their way."""

RETRY: Final = 0.25
"""Seconds after which to look again where what is reserved stands in the way: nobody knows when
it will be sent."""

_SLICES: Final = round(KEPT / SLICE) + 1


class MinuteQuota:
    """Counts what was begun within the last minute, and what is about to be.

    What is to be sent is reserved first and counts from then on, for as long as it takes; a
    minute after it was begun it is forgotten. So the amount begun within any 60 seconds is never
    above what was allowed when it was reserved. Memory is bounded by the slices of a minute.

    Attributes:
        amount: what is allowed within a minute; 0 allows nothing.
    """

    __slots__ = ("_begun", "_reserved", "_used", "amount")

    def __init__(self, amount: int) -> None:
        self.amount = amount
        self._begun: dict[int, int] = {}  # by slice, in the order of time
        self._used = 0
        self._reserved = 0

    def used(self, now: float) -> int:
        """Return what counts now: what was begun within the minute, and what is reserved."""
        self._forget(now)
        return self._used + self._reserved

    def wait(self, now: float, amount: int) -> float:
        """Return the seconds until `amount` may be reserved; 0.0 when it may now.

        More than a whole minute's worth never fits: it waits until nothing else counts. Infinite
        where nothing is allowed at all.
        """
        if self.amount <= 0:
            return math.inf
        taken = self.used(now)
        excess = min(taken + amount - self.amount, taken)
        if excess <= 0:
            return 0.0
        for place, begun in self._begun.items():
            excess -= begun
            if excess <= 0:
                return max((place + _SLICES) * SLICE - now, 0.001)
        return RETRY

    def reserve(self, amount: int) -> None:
        """Set `amount` aside for a request that will be sent."""
        self._reserved += amount

    def begin(self, now: float, amount: int) -> None:
        """What was reserved is sent now."""
        self._reserved -= amount
        self.charge(now, amount)

    def undo(self, amount: int) -> None:
        """What was reserved is not sent."""
        self._reserved -= amount

    def charge(self, now: float, amount: int) -> None:
        """Count what was not reserved: more was used than estimated."""
        place = int(now / SLICE)
        self._begun[place] = self._begun.get(place, 0) + amount
        self._used += amount

    def give_back(self, at: float, amount: int) -> None:
        """Take back what was begun at a moment, where that counts still."""
        place = int(at / SLICE)
        if place in self._begun:
            self._begun[place] -= amount
            self._used -= amount

    def _forget(self, now: float) -> None:
        oldest = int(now / SLICE) - _SLICES
        begun = self._begun
        while begun:
            place = next(iter(begun))
            if place > oldest:
                return
            self._used -= begun.pop(place)
