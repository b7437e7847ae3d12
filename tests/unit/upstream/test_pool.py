from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.support.fake_upstream import ENDPOINT, FakeConnector
from tests.support.running_pool import SMALL, running, settle, state_of, waiting

from mcp_gateway.errors import (
    DeadlineExceeded,
    PoolSaturated,
    PoolTimeout,
)
from mcp_gateway.upstream.pool import Pool, PoolSettings, PoolState


async def test_a_connection_is_opened_once_and_lent_again() -> None:
    async with running() as (pool, connector):
        for _ in range(3):
            lease = await pool.acquire()
            assert pool.in_flight == 1
            assert lease.connection.endpoint == ENDPOINT
            lease.release()
        assert len(connector.tried) == 1
        stats = pool.stats()
        assert (stats.idle, stats.in_flight, stats.acquired, stats.created) == (1, 0, 3, 1)


async def test_lending_an_idle_connection_does_not_suspend() -> None:
    async with running() as (pool, _):
        (await pool.acquire()).release()
        acquiring = pool.acquire()
        with pytest.raises(StopIteration) as caught:
            acquiring.send(None)
        lease = caught.value.value
        assert lease.waited == 0.0
        lease.release()


async def test_the_connection_that_was_used_last_is_lent_first() -> None:
    async with running() as (pool, _):
        first, second = await pool.acquire(), await pool.acquire()
        second.release()
        first.release()
        with await pool.acquire() as lease:
            assert lease.connection is first.connection


async def test_nothing_is_lent_without_waiting_where_nothing_is_idle() -> None:
    async with running() as (pool, _):
        assert pool.acquire_nowait() is None
        lease = await pool.acquire()
        assert pool.acquire_nowait() is None
        lease.release()
        again = pool.acquire_nowait()
        assert again is not None
        again.release()


async def test_a_pool_that_was_not_started_starts_by_itself() -> None:
    pool = Pool("kimi", [ENDPOINT], FakeConnector(), SMALL)
    assert pool.stats().state is PoolState.NEW
    (await pool.acquire()).release()
    assert state_of(pool) is PoolState.OPEN
    assert repr(pool) == "<Pool kimi open connecting=0 idle=1 in_flight=0 waiting=0>"
    await pool.aclose()
    assert state_of(pool) is PoolState.CLOSED


async def test_a_pool_that_was_never_used_closes() -> None:
    pool = Pool("kimi", [ENDPOINT], FakeConnector(), SMALL)
    pool.set_share(1)
    pool.resize(SMALL)
    await pool.drain(1.0)
    assert pool.state is PoolState.CLOSED


async def test_the_capacity_holds_and_the_rest_waits() -> None:
    connector = FakeConnector(delay=0.1)
    settings = replace(SMALL, max_overflow=1, max_waiting=100)
    async with running(settings, connector) as (pool, _):
        tasks = [waiting(pool) for _ in range(8)]
        await asyncio.sleep(1)
        assert connector.most == 3
        assert pool.in_flight == 3
        assert pool.waiting == 5
        for task in tasks:
            (await task).release()
        assert connector.most == 3


async def test_connections_are_opened_for_those_who_wait_and_no_more() -> None:
    connector = FakeConnector(delay=1.0)
    async with running(PoolSettings(max_connections=50), connector) as (pool, _):
        tasks = [waiting(pool) for _ in range(4)]
        await asyncio.sleep(0.5)
        assert pool.stats().connecting == 4
        for task in tasks:
            (await task).release()
        assert len(connector.tried) == 4


async def test_whichever_connection_is_ready_first_is_taken() -> None:
    connector = FakeConnector()
    async with running(replace(SMALL, max_waiting=10), connector) as (pool, _):
        held = await pool.acquire()
        connector.delay = 100.0
        late = waiting(pool)
        await asyncio.sleep(1)
        held.release()
        lease = await late
        assert lease.connection is held.connection
        assert lease.waited == 1.0
        lease.release()
        assert pool.stats().connecting == 1


async def test_waiters_are_served_fairly_by_client() -> None:
    settings = replace(SMALL, max_connections=1, max_waiting=10)
    order: list[str] = []
    async with running(settings) as (pool, _):

        async def work(client: str) -> None:
            with await pool.acquire(client=client):
                order.append(client)
                await asyncio.sleep(0.1)

        await asyncio.gather(*[work(client) for client in ["a", "a", "a", "a", "b", "c"]])
    assert order == ["a", "b", "c", "a", "a", "a"]


async def test_a_full_queue_rejects_at_once() -> None:
    async with running() as (pool, _):
        leases = [await pool.acquire() for _ in range(2)]
        tasks = [waiting(pool) for _ in range(3)]
        await settle()
        with pytest.raises(PoolSaturated, match="3 requests wait for kimi") as caught:
            await pool.acquire()
        assert caught.value.provider == "kimi"
        assert pool.stats().saturated == 1
        for lease in leases:
            lease.release()
        for task in tasks:
            (await task).release()


async def test_who_waits_for_a_connection_being_opened_needs_no_place_in_the_queue() -> None:
    settings = replace(SMALL, max_waiting=0)
    async with running(settings, FakeConnector(delay=1.0)) as (pool, _):
        tasks = [waiting(pool) for _ in range(2)]
        await settle()
        with pytest.raises(PoolSaturated):
            await pool.acquire()
        for task in tasks:
            (await task).release()


async def test_a_waiter_gives_up_at_its_time() -> None:
    loop = asyncio.get_running_loop()
    async with running(replace(SMALL, max_connections=1)) as (pool, _):
        lease = await pool.acquire()
        start = loop.time()
        with pytest.raises(PoolTimeout, match=r"within 5\.0 s"):
            await pool.acquire()
        assert loop.time() - start == 5.0
        with pytest.raises(DeadlineExceeded, match=r"within 2\.0 s"):
            await pool.acquire(deadline=loop.time() + 2.0)
        assert pool.waiting == 0
        assert pool.stats().timeouts == 2
        lease.release()


async def test_a_late_deadline_does_not_lengthen_the_wait() -> None:
    async with running(replace(SMALL, max_connections=1)) as (pool, _):
        lease = await pool.acquire()
        with pytest.raises(PoolTimeout):
            await pool.acquire(deadline=asyncio.get_running_loop().time() + 100)
        lease.release()


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    async with running() as (pool, _):
        leases = [await pool.acquire() for _ in range(2)]
        task = waiting(pool)
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.waiting == 0
        assert pool.stats().abandoned == 1
        for lease in leases:
            lease.release()
        assert pool.stats().idle == 2


async def test_a_lease_given_in_the_moment_of_a_cancellation_comes_back() -> None:
    async with running(replace(SMALL, max_connections=1)) as (pool, _):
        lease = await pool.acquire()
        gone, patient = waiting(pool, "a"), waiting(pool, "b")
        await settle()
        lease.release()  # goes to `gone`, whose task has not run yet
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        (await patient).release()
        assert pool.in_flight == 0
        assert pool.stats().idle == 1


async def test_a_waiter_whose_task_was_cancelled_is_passed_over() -> None:
    async with running(replace(SMALL, max_connections=1)) as (pool, _):
        lease = await pool.acquire()
        gone, patient = waiting(pool, "a"), waiting(pool, "b")
        await settle()
        gone.cancel()
        lease.release()  # `gone` declines
        with pytest.raises(asyncio.CancelledError):
            await gone
        (await patient).release()
        lease = await pool.acquire()
        last = waiting(pool)
        await settle()
        last.cancel()
        lease.release()
        assert pool.stats().idle == 1


async def test_an_error_that_meets_a_cancellation_is_dropped() -> None:
    async with running(replace(SMALL, max_connections=1)) as (pool, _):
        lease = await pool.acquire()
        task = waiting(pool)
        await settle()
        closing = asyncio.create_task(pool.aclose())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        lease.release()
        await closing


async def test_waiting_is_measured() -> None:
    async with running(replace(SMALL, max_connections=1)) as (pool, _):
        lease = await pool.acquire()
        task = waiting(pool)
        await asyncio.sleep(3.0)
        lease.release()
        lease = await task
        assert lease.waited == pytest.approx(3.0)
        lease.release()
        stats = pool.stats()
        assert (round(stats.wait_sum, 3), stats.wait_count) == (3.0, 2)
