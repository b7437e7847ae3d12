"""Waiting for what other processes do, bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

INTERVAL = 0.02


async def until(fact: Callable[[], bool], *, within: float = 60.0) -> None:
    """Return when `fact` has become true. It runs in a thread, and may block for a moment.

    Raises:
        TimeoutError: it had not within that many seconds.
    """
    await asyncio.to_thread(_watch, fact, time.monotonic() + within)


def _watch(fact: Callable[[], bool], deadline: float) -> None:
    while not fact():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(INTERVAL)
