"""Two pools of one account, one of which drains: both count under the same limits."""

from __future__ import annotations

import asyncio

from tests.support.running_pool import running, settle, waiting

from mcp_gateway.upstream.pool import PoolSettings

LARGE = PoolSettings(max_connections=10, max_overflow=0, acquire_timeout=50.0)


async def test_what_drains_and_what_begins_are_one_to_the_provider() -> None:
    async with running(LARGE, share=3) as (old, _), running(LARGE, lanes=old.lanes) as (new, _):
        leases = [await old.acquire() for _ in range(2)]
        first = await new.acquire()
        more = [waiting(new) for _ in range(2)]
        await settle()
        assert new.in_flight == old.in_flight == 3
        assert not any(task.done() for task in more)
        draining = asyncio.create_task(old.drain(30.0))
        leases.pop().release()
        await asyncio.sleep(1.5)
        assert [task.done() for task in more].count(True) == 1
        assert new.in_flight == 3
        leases.pop().release()
        await settle()
        assert draining.done(), "what the other has in flight is not waited for"
        first.release()
        for task in more:
            (await task).release()
        assert new.in_flight == 0


async def test_a_share_that_shrinks_holds_for_both() -> None:
    async with running(LARGE, share=4) as (old, _), running(LARGE, lanes=old.lanes) as (new, _):
        kept = [await old.acquire(), await new.acquire()]
        new.set_share(2, governed=True)
        late = [waiting(old), waiting(new)]
        await asyncio.sleep(2.0)
        assert not any(task.done() for task in late)
        for lease in kept:
            lease.release()
        for task in late:
            (await task).release()
