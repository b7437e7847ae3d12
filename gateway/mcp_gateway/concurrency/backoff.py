"""How long to wait before the next try of something that keeps failing."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Delays that double up to a bound, with jitter so that many do not try in step.

    Args:
        initial: the first delay, in seconds.
        maximum: no delay is longer.
        jitter: the part of a delay that is random, 0 to 1: 0.5 means 50 to 100 % of it.
        rng: a source of numbers in [0, 1).
    """

    __slots__ = ("_delay", "_initial", "_jitter", "_maximum", "_rng")

    def __init__(
        self,
        initial: float,
        maximum: float,
        *,
        jitter: float = 0.5,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._initial = initial
        self._maximum = maximum
        self._jitter = jitter
        self._rng = rng
        self._delay = initial

    def next(self) -> float:
        """Return the seconds to wait now, and double what comes after."""
        delay = self._delay
        self._delay = min(delay * 2, self._maximum)
        return delay * (1 - self._jitter * self._rng())

    def reset(self) -> None:
        """Start over: it worked."""
        self._delay = self._initial
