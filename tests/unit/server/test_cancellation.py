from __future__ import annotations

import asyncio

import pytest

from mcp_gateway.server.cancellation import Cancellations

KEY = ("key", "192.0.2.1", 5)


async def _sleep() -> None:
    await asyncio.sleep(100)


async def test_the_one_exchange_that_is_meant_is_cancelled() -> None:
    cancellations = Cancellations()
    task = asyncio.create_task(_sleep())
    cancellations.add(KEY, task)
    assert cancellations.cancel(KEY)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancellations.remove(KEY, task)
    assert not cancellations.cancel(KEY)


async def test_nothing_else_is_cancelled() -> None:
    cancellations = Cancellations()
    task = asyncio.create_task(_sleep())
    cancellations.add(KEY, task)
    for other in (("other", *KEY[1:]), (KEY[0], "192.0.2.2", 5), (*KEY[:2], "5"), (*KEY[:2], 6)):
        assert not cancellations.cancel(other)
    assert not cancellations.remove(KEY, task)
    task.cancel()


async def test_an_ambiguous_id_cancels_nothing() -> None:
    cancellations = Cancellations()
    one, other = asyncio.create_task(_sleep()), asyncio.create_task(_sleep())
    cancellations.add(KEY, one)
    cancellations.add(KEY, other)
    assert not cancellations.cancel(KEY)
    assert not cancellations.remove(KEY, other)
    assert cancellations.cancel(KEY)
    assert cancellations.remove(KEY, one)
    for task in (one, other):
        task.cancel()
