"""How long to wait after the n-th failure in a row."""

from __future__ import annotations

import random


def backoff(failures: int, *, first: float = 0.5, most: float = 60.0) -> float:
    """Seconds before the next try: doubled each time, and anywhere in the upper half of it.

    The jitter keeps a thousand objects, or ten replicas, from coming back at one moment.
    """
    whole: float = min(most, first * 2.0 ** min(max(failures, 1) - 1, 16))
    return whole * (0.5 + 0.5 * random.random())
