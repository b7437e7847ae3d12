"""Waiting for something that another task or process does, within a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE = 60.0
LOOK_EVERY = 0.01


async def eventually(holds: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Return when `holds()` is true.

    Raises:
        TimeoutError: it was not within `patience` seconds.
    """
    async with asyncio.timeout(patience):
        while not holds():  # noqa: ASYNC110 - what is looked at signals nothing
            await asyncio.sleep(LOOK_EVERY)
