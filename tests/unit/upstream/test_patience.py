from __future__ import annotations

import asyncio

import pytest
from tests.support.running_pool import SMALL, running, settle, waiting

from mcp_gateway.concurrency.wait_queue import WaitQueue
from mcp_gateway.errors import DeadlineExceeded, PoolSaturated, PoolTimeout
from mcp_gateway.upstream.lease import Lease
from mcp_gateway.upstream.patience import Patience
from mcp_gateway.upstream.stats import Counters


def patience(max_waiting: int = 1) -> tuple[Patience, WaitQueue[Lease], Counters]:
    queue: WaitQueue[Lease] = WaitQueue(max_waiting)
    counters = Counters()
    return Patience("kimi", queue, counters), queue, counters


async def test_a_full_queue_refuses_and_counts() -> None:
    waits, queue, counters = patience()
    waits.join("a", "", 0.0, spare=0)
    with pytest.raises(PoolSaturated, match="1 requests wait for kimi"):
        waits.join("b", "", 0.0, spare=0)
    waits.join("b", "", 0.0, spare=1)
    assert (queue.size, counters.saturated) == (2, 1)


@pytest.mark.parametrize(
    ("deadline", "kind", "after"),
    [(None, PoolTimeout, 5.0), (9.0, PoolTimeout, 5.0), (2.0, DeadlineExceeded, 2.0)],
)
async def test_a_wait_ends_at_the_sooner_of_two_times(
    deadline: float | None, kind: type[Exception], after: float
) -> None:
    loop = asyncio.get_running_loop()
    waits, queue, counters = patience()
    began = loop.time()
    waiter = waits.join("a", "", began, spare=0)
    waits.time_limit(waiter, loop, 5.0, None if deadline is None else began + deadline)
    with pytest.raises(kind):
        await waiter.future
    assert loop.time() - began == pytest.approx(after)
    assert (queue.size, counters.timeouts) == (0, 1)


async def test_what_a_cancelled_waiter_was_given_goes_back() -> None:
    async with running(SMALL) as (pool, _):
        held = [await pool.acquire() for _ in range(pool.stats().limit)]
        task = waiting(pool)
        await settle()
        held[0].release()
        task.cancel()
        await settle()
        assert pool.in_flight == len(held) - 1
        for lease in held[1:]:
            lease.release()


async def test_one_that_was_given_nothing_is_counted() -> None:
    waits, _, counters = patience()
    waiter = waits.join("a", "", 0.0, spare=0)
    waiter.future.cancel()
    waits.cancelled(waiter)
    assert counters.abandoned == 1
