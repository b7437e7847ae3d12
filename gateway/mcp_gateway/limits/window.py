"""Counts of the recent past, in a ring of slices of time."""

from __future__ import annotations


class SlidingWindow:
    """Counts good and bad events over the last `length` seconds, to a tenth of it.

    Args:
        length: seconds looked back.
        slices: how many slices of time make it up.
    """

    __slots__ = ("_bad", "_good", "_slice", "_slices", "_width", "bad", "good")

    def __init__(self, length: float, slices: int = 10) -> None:
        self._width = length / slices
        self._slices = slices
        self._good = [0] * slices
        self._bad = [0] * slices
        self._slice = 0
        self.good = 0
        self.bad = 0

    def add_good(self, now: float) -> None:
        """Count a good event."""
        self.turn_to(now)
        self._good[self._slice % self._slices] += 1
        self.good += 1

    def add_bad(self, now: float) -> None:
        """Count a bad event."""
        self.turn_to(now)
        self._bad[self._slice % self._slices] += 1
        self.bad += 1

    def turn_to(self, now: float) -> None:
        """Forget what is too old at `now`; `good` and `bad` are right from here on."""
        current = int(now / self._width)
        if current <= self._slice:
            return
        if current - self._slice >= self._slices:
            self.clear()
        else:
            for passed in range(self._slice + 1, current + 1):
                place = passed % self._slices
                self.good -= self._good[place]
                self.bad -= self._bad[place]
                self._good[place] = self._bad[place] = 0
        self._slice = current

    def clear(self) -> None:
        """Forget everything."""
        self._good = [0] * self._slices
        self._bad = [0] * self._slices
        self.good = self.bad = 0
