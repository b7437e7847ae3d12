"""Each key once, one at a time, and later after a failure."""

from __future__ import annotations

import asyncio

from mcp_gateway_operator.facts import Key
from mcp_gateway_operator.reconcile.queue import MOST, KeyQueue

A, B = Key("n", "a"), Key("n", "b")


async def taken(queue: KeyQueue, within: float) -> Key | None:
    try:
        async with asyncio.timeout(within):
            return await queue.take()
    except TimeoutError:
        return None


async def test_a_key_waits_once() -> None:
    depths: list[int] = []
    queue = KeyQueue(depths.append)
    queue.add(A)
    queue.add(A)
    queue.add(B)
    assert [await queue.take(), await queue.take()] == [A, B]
    assert await taken(queue, 1.0) is None
    assert depths == [1, 1, 2, 1, 0]
    assert len(queue) == 0


async def test_a_key_is_worked_on_by_one_and_comes_back() -> None:
    queue = KeyQueue()
    queue.add(A)
    await queue.take()
    queue.add(A)
    assert await taken(queue, 1.0) is None
    queue.done(A)
    assert await taken(queue, 1.0) == A


async def test_backoff_grows_and_success_forgets_it() -> None:
    queue, loop = KeyQueue(), asyncio.get_running_loop()
    queue.add(A)
    waits = []
    for _ in range(10):
        started = loop.time()
        await queue.take()
        waits.append(loop.time() - started)
        queue.done(A, failed=True)
    assert waits[1] < waits[4] < waits[7] <= MOST
    await queue.take()
    queue.done(A)
    queue.add(A)
    await queue.take()
    queue.done(A, failed=True)
    started = loop.time()
    await queue.take()
    assert loop.time() - started <= 0.5


async def test_what_is_asked_for_during_a_failure_waits_with_it() -> None:
    queue = KeyQueue()
    queue.add(A)
    await queue.take()
    queue.add(A)
    queue.done(A, failed=True, at_least=30.0)
    assert await taken(queue, 29.0) is None
    assert await taken(queue, 2.0) == A


async def test_an_earlier_wish_overtakes_a_later_one() -> None:
    queue = KeyQueue()
    queue.add_after(A, 100.0)
    queue.add_after(A, 10.0)
    queue.add_after(A, 50.0)
    assert await taken(queue, 11.0) == A
    queue.done(A)
    assert await taken(queue, 200.0) is None
    queue.add_after(A, 100.0)
    queue.add(A)
    assert await taken(queue, 1.0) == A
