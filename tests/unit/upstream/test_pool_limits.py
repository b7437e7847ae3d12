"""Shares, refusals and lanes of a pool, and what other settings change."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.support.fake_upstream import FakeConnector
from tests.support.running_pool import SMALL, closed, running, settle, waiting

from mcp_gateway.upstream.connection import Timeouts
from mcp_gateway.upstream.pool import NOTICED, PoolSettings


async def test_no_request_starts_above_the_share() -> None:
    async with running(PoolSettings(max_connections=10), share=2) as (pool, connector):
        leases = [await pool.acquire() for _ in range(2)]
        task = waiting(pool)
        await asyncio.sleep(3)
        assert not task.done()
        assert len(connector.tried) == 2
        pool.set_share(3)
        (await task).release()
        for lease in leases:
            lease.release()


async def test_what_was_broken_off_counts_until_the_provider_has_seen_it() -> None:
    async with running(PoolSettings(max_connections=10), share=1) as (pool, _):
        with await pool.acquire() as lease:
            exchange = asyncio.create_task(lease.connection.exchange(b"x", Timeouts()))
            await settle()
            exchange.cancel()
            await settle()
        task = waiting(pool)
        await settle()
        assert (pool.in_flight, task.done()) == (1, False)
        start = asyncio.get_running_loop().time()
        (await task).release()
        assert asyncio.get_running_loop().time() - start >= NOTICED - 0.01
        assert pool.in_flight == 0


async def test_where_no_limit_is_known_what_was_broken_off_is_over_at_once() -> None:
    async with running(PoolSettings(max_connections=10)) as (pool, _):
        with await pool.acquire() as lease:
            exchange = asyncio.create_task(lease.connection.exchange(b"x", Timeouts()))
            await settle()
            exchange.cancel()
            await settle()
        assert pool.in_flight == 0


async def test_an_idle_connection_above_the_share_stays_idle() -> None:
    async with running(PoolSettings(max_connections=10), share=3) as (pool, _):
        leases = [await pool.acquire() for _ in range(3)]
        for lease in leases:
            lease.release()
        pool.set_share(1, governed=True)
        lease = await pool.acquire()
        assert pool.acquire_nowait() is None
        task = waiting(pool)
        await asyncio.sleep(1.5)
        assert (pool.stats().idle, pool.waiting) == (2, 1)
        lease.release()
        (await task).release()


async def test_who_may_go_on_when_the_share_grows_gets_no_dead_connection() -> None:
    async with running(PoolSettings(max_connections=10), share=2) as (pool, connector):
        leases = [await pool.acquire() for _ in range(2)]
        for lease in leases:
            assert not lease.connection.readable()
            lease.release()
        pool.set_share(0, governed=True)
        task = waiting(pool)
        await asyncio.sleep(2)
        for transport in connector.transports:
            assert transport.socket is not None
            transport.socket.make_readable()
        pool.set_share(1, governed=True)
        lease = await task
        assert closed(pool) == {"stale": 2}
        lease.release()


async def test_starting_twice_is_starting_once() -> None:
    async with running(PoolSettings(min_connections=1)) as (pool, connector):
        pool.start()
        await settle()
        assert len(connector.tried) == 1


async def test_a_waiter_answered_in_the_moment_its_time_ends_keeps_its_answer() -> None:
    loop = asyncio.get_running_loop()
    async with running(replace(SMALL, max_connections=1)) as (pool, _):
        lease = await pool.acquire()
        loop.call_at(loop.time() + 5.0, lease.release)  # before the waiter's own timer
        other = await pool.acquire()
        assert pool.stats().timeouts == 0
        other.release()


async def test_a_refusal_cuts_the_limit_to_what_is_in_flight_without_it() -> None:
    async with running(PoolSettings(max_connections=10)) as (pool, _):
        pool.set_share(10, governed=True)
        leases = [await pool.acquire() for _ in range(5)]
        leases[0].refused()
        leases[1].refused()  # neither has been released yet
        stats = pool.stats()
        assert (stats.limit, stats.in_flight_at_refusal, stats.refused) == (3, 3, 2)
        for lease in leases:
            lease.release()
        await asyncio.sleep(100)
        assert pool.stats().limit == 3
        pool.set_share(8, governed=True)
        assert pool.stats().limit == 8
        assert pool.stats().in_flight_at_refusal is None


async def test_a_refused_request_that_has_ended_counts_no_longer() -> None:
    async with running(PoolSettings(max_connections=10), by_lane=True) as (pool, _):
        for left in (4, 3):
            pool.set_share(10, "m", governed=True)
            leases = [await pool.acquire(lane="m") for _ in range(left + 1)]
            leases[0].refused()
            assert pool.stats().lanes["m"].in_flight_at_refusal == left
            for lease in leases:
                lease.release()


async def test_an_accounts_refusals_count_each_other_out_only_while_they_last() -> None:
    async with running(PoolSettings(max_connections=10)) as (pool, _):
        for _ in range(2):
            leases = [await pool.acquire() for _ in range(3)]
            leases[0].refused()
            assert pool.stats().in_flight_at_refusal == 2
            for lease in leases:
                lease.release()
            pool.set_share(10)


async def test_the_accounts_share_bounds_what_is_opened_for_all_lanes_together() -> None:
    connector = FakeConnector(delay=1.0)
    async with running(PoolSettings(), connector, by_lane=True, share=2) as (pool, _):
        tasks = [waiting(pool, lane=lane) for lane in "abc" for _ in range(2)]
        await asyncio.sleep(0.5)
        pool.set_share(2)
        assert len(connector.tried) == 2
        for task in tasks:
            (await task).release()


async def test_alone_a_cut_limit_recovers_by_probing() -> None:
    async with running(PoolSettings(max_connections=4, acquire_timeout=100.0)) as (pool, _):
        leases = [await pool.acquire() for _ in range(3)]
        leases.pop().refused()
        assert pool.stats().limit == 2
        task = waiting(pool)
        await asyncio.sleep(20)
        assert task.done()
        assert pool.stats().limit > 2
        for lease in [*leases, await task]:
            lease.release()


async def test_a_model_at_its_limit_holds_up_no_other() -> None:
    settings = PoolSettings(max_connections=10)
    async with running(settings, by_lane=True, lane_shares={"big": 1}) as (pool, _):
        big = await pool.acquire(lane="big")
        stuck = waiting(pool, lane="big")
        await settle()
        (await pool.acquire(lane="small")).release()
        assert pool.acquire_nowait("big") is None
        small = pool.acquire_nowait("small")
        assert small is not None
        lanes = pool.stats().lanes
        assert (lanes["big"].in_flight, lanes["big"].waiting, lanes["big"].limit) == (1, 1, 1)
        assert (lanes["small"].in_flight, lanes["small"].waiting) == (1, 0)
        assert pool.in_flight == 2
        small.release()
        assert not stuck.done()
        big.release()
        (await stuck).release()
        assert all(lane.in_flight == 0 for lane in pool.stats().lanes.values())


async def test_a_refusal_in_a_lane_cuts_that_lane_only() -> None:
    settings = PoolSettings(max_connections=10)
    async with running(settings, by_lane=True) as (pool, _):
        leases = [await pool.acquire(lane="m") for _ in range(3)]
        leases[0].refused()
        stats = pool.stats()
        assert (stats.limit, stats.lanes["m"].limit, stats.lanes["m"].refused) == (30, 2, 1)
        for lease in leases:
            lease.release()


async def test_a_refusal_counts_against_the_account_where_models_have_no_limits() -> None:
    settings = PoolSettings(max_connections=10)
    async with running(settings, lane_shares={"m": 5}) as (pool, _):
        leases = [await pool.acquire(lane="m") for _ in range(3)]
        leases[0].refused()
        stats = pool.stats()
        assert (stats.limit, stats.lanes["m"].limit) == (2, 5)
        for lease in leases:
            lease.release()


async def test_a_smaller_pool_closes_what_is_too_much() -> None:
    async with running(PoolSettings(max_connections=6, max_overflow=0)) as (pool, _):
        leases = [await pool.acquire() for _ in range(6)]
        leases.pop().release()
        pool.resize(PoolSettings(max_connections=2, max_overflow=0))
        assert closed(pool) == {"shrunk": 1}
        tasks = [waiting(pool) for _ in range(2)]
        await settle()
        for lease in leases:
            lease.release()
        for task in tasks:
            (await task).release()
        stats = pool.stats()
        assert (stats.idle, stats.capacity, stats.limit) == (2, 2, 2)


async def test_a_larger_pool_serves_who_waits() -> None:
    async with running(replace(SMALL, max_connections=1)) as (pool, _):
        lease = await pool.acquire()
        task = waiting(pool)
        await settle()
        pool.resize(PoolSettings(max_connections=2))
        (await task).release()
        lease.release()
