"""How long to wait before the next try to connect."""

from __future__ import annotations

from collections.abc import Callable
from random import random


class Backoff:
    """Exponential delays with full jitter, so that clients of one gateway do not come in step.

    The n-th delay is drawn from [0, min(cap, base * 2^n)) seconds.
    """

    __slots__ = ("_base", "_cap", "_random", "_tries")

    def __init__(
        self, base: float = 0.1, cap: float = 5.0, *, random: Callable[[], float] = random
    ) -> None:
        self._base = base
        self._cap = cap
        self._random = random
        self._tries = 0

    def delay(self) -> float:
        """Return the next delay in seconds and count the try."""
        # The exponent is bounded: 2.0 ** 1024 would overflow after a long outage.
        ceiling = min(self._cap, self._base * 2.0 ** min(self._tries, 32))
        self._tries += 1
        return self._random() * ceiling

    def reset(self) -> None:
        """Start over: a connection came about."""
        self._tries = 0
