from __future__ import annotations

import asyncio
import time

import pytest
from tests.support import virtual_clock
from tests.support.virtual_clock import Deadlock, VirtualClockLoop


async def test_an_hour_passes_at_once_and_exactly() -> None:
    loop = asyncio.get_running_loop()
    wall, start = time.monotonic(), loop.time()
    await asyncio.sleep(3600)
    assert loop.time() - start == 3600
    assert time.monotonic() - wall < 60


async def test_timers_fire_in_order() -> None:
    fired: list[int] = []
    loop = asyncio.get_running_loop()
    for delay in (3, 1, 2):
        loop.call_later(delay, fired.append, delay)
    await asyncio.sleep(4)
    assert fired == [1, 2, 3]


async def test_the_clock_stands_still_while_a_thread_works() -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with asyncio.timeout(0.001):
        await loop.run_in_executor(None, time.sleep, 0.01)
    assert loop.time() == start
    await asyncio.sleep(1)
    assert loop.time() == start + 1


def test_waiting_for_nothing_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_clock, "PATIENCE", 0.01)
    loop = VirtualClockLoop()
    forever = loop.create_future()
    with pytest.raises(Deadlock):
        loop.run_until_complete(forever)
    forever.cancel()
    loop.close()
