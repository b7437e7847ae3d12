"""Waiting for what a running simulator shows only in its statistics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE = 60.0


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds, which is looked at every few milliseconds.

    Raises:
        TimeoutError: it did not within `PATIENCE` seconds.
    """
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - statistics are a picture, they signal nothing
            await asyncio.sleep(0.005)
