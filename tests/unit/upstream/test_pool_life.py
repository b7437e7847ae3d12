"""How connections of a pool come about and end, and how the pool ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.support.fake_upstream import ENDPOINT, FakeConnector, FakeTransport, answer
from tests.support.running_pool import SMALL, closed, running, settle, state_of, waiting

from mcp_gateway.errors import (
    ConnectFailed,
    PoolClosed,
    UpstreamTimeout,
)
from mcp_gateway.upstream.connection import State, Timeouts
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.pool import Pool, PoolSettings, PoolState


async def test_overflow_is_closed_on_return_when_nobody_waits() -> None:
    settings = replace(SMALL, max_connections=1, max_overflow=2)
    async with running(settings) as (pool, _):
        leases = [await pool.acquire() for _ in range(3)]
        for lease in leases:
            lease.release()
        assert pool.stats().idle == 1
        assert closed(pool) == {"overflow": 2}


async def test_overflow_nobody_wants_any_more_is_closed_when_it_comes() -> None:
    settings = replace(SMALL, max_connections=1, max_overflow=2)
    connector = FakeConnector()
    async with running(settings, connector) as (pool, _):
        lease = await pool.acquire()
        connector.delay = 1.0
        task = waiting(pool)
        await settle()
        task.cancel()
        await asyncio.sleep(1.5)
        assert closed(pool) == {"overflow": 1}
        lease.release()


async def test_a_connection_that_did_not_survive_is_replaced_for_who_waits() -> None:
    async with running(replace(SMALL, max_connections=1)) as (pool, connector):
        lease = await pool.acquire()
        task = waiting(pool)
        await settle()
        lease.connection.abort()
        lease.release()
        (await task).release()
        assert len(connector.tried) == 2
        assert closed(pool) == {"used": 1}


async def test_idle_connections_are_closed_above_the_minimum() -> None:
    settings = PoolSettings(min_connections=1, max_connections=4, idle_timeout=30.0)
    async with running(settings) as (pool, _):
        leases = [await pool.acquire() for _ in range(4)]
        for lease in leases:
            lease.release()
        await asyncio.sleep(28)
        assert pool.stats().idle == 4
        await asyncio.sleep(4)
        assert pool.stats().idle == 1
        assert closed(pool) == {"idle": 3}


async def test_lifetimes_are_jittered() -> None:
    settings = PoolSettings(max_connections=1, max_lifetime=100.0, idle_timeout=1e6)
    for chance, alive_at in [(0.0, 99.0), (0.999, 89.0)]:
        async with running(settings, rng=lambda chance=chance: chance) as (pool, _):
            (await pool.acquire()).release()
            await asyncio.sleep(alive_at)
            assert pool.stats().idle == 1
            await asyncio.sleep(3.0)
            assert pool.stats().idle == 0
            assert closed(pool) == {"lifetime": 1}


async def test_the_minimum_is_kept_warm() -> None:
    settings = PoolSettings(min_connections=3, max_connections=10)
    async with running(settings) as (pool, connector):
        await settle()
        assert pool.stats().idle == 3
        connector.transports[0].eof()
        assert pool.stats().idle == 2
        await asyncio.sleep(1.1)
        assert pool.stats().idle == 3
        assert closed(pool) == {"lost": 1}


async def test_the_minimum_does_not_exceed_the_share() -> None:
    settings = PoolSettings(min_connections=3, max_connections=10)
    async with running(settings, share=2) as (pool, _):
        await asyncio.sleep(5)
        assert pool.stats().idle == 2


async def test_warming_up_does_not_hammer_a_provider_that_is_down() -> None:
    connector = FakeConnector()
    connector.fail_with = lambda: ConnectFailed("refused")
    async with running(PoolSettings(min_connections=2), connector) as (pool, _):
        await asyncio.sleep(60)
        assert len(connector.tried) < 20
        connector.fail_with = None
        await asyncio.sleep(40)
        assert pool.stats().idle == 2


async def test_a_dead_idle_connection_is_noticed_before_it_is_lent() -> None:
    async with running() as (pool, connector):
        lease = await pool.acquire()
        assert not lease.connection.readable()
        lease.release()
        transport = connector.transports[0]
        assert transport.socket is not None
        transport.socket.make_readable()
        await asyncio.sleep(1.5)
        again = await pool.acquire()
        assert again.connection is not lease.connection
        again.release()
        assert closed(pool) == {"stale": 1}


async def test_after_a_stale_connection_the_next_is_a_new_one() -> None:
    async with running(PoolSettings(max_connections=4)) as (pool, connector):
        connector.on_write = lambda transport, _data: transport.feed(answer())
        leases = [await pool.acquire() for _ in range(4)]
        for lease in leases:
            await lease.connection.exchange(b"x", Timeouts())
            lease.release()
        for transport in connector.transports:
            transport.on_write = lambda transport, _data: transport.eof()
        lease = await pool.acquire()
        with pytest.raises(Exception, match="closed the connection"):
            await lease.connection.exchange(b"x", Timeouts())
        lease.release()
        fresh = await pool.acquire()
        assert fresh.connection.exchanges == 0
        fresh.release()
        assert closed(pool) == {"stale": 4}


def failing(error: Callable[[], BaseException], delay: float = 0.0) -> FakeConnector:
    connector = FakeConnector(delay)
    connector.fail_with = error
    return connector


async def test_where_no_connection_can_be_opened_all_who_wait_are_told_at_once() -> None:
    connector = failing(lambda: ConnectFailed("refused"), 0.5)
    async with running(replace(SMALL, max_waiting=10), connector) as (pool, _):
        tasks = [waiting(pool) for _ in range(6)]
        await asyncio.wait(tasks, timeout=1.0)
        errors = [task.exception() for task in tasks]
        assert all(isinstance(error, ConnectFailed) for error in errors)
        assert len({id(error) for error in errors}) == 6
        stats = pool.stats()
        assert stats.last_error == "refused"
        assert stats.connect_failures == len(connector.tried) == 2
        assert stats.endpoints[str(ENDPOINT)].failures == 2


async def test_a_timeout_is_told_as_one() -> None:
    connector = failing(lambda: UpstreamTimeout("late", phase="connect"))
    async with running(SMALL, connector) as (pool, _):
        with pytest.raises(UpstreamTimeout) as caught:
            await pool.acquire()
        assert caught.value.phase == "connect"
        assert caught.value.provider == "kimi"


async def test_every_later_request_is_one_try_while_the_provider_is_down() -> None:
    connector = failing(lambda: ConnectFailed("refused"))
    async with running(replace(SMALL, max_waiting=100), connector) as (pool, _):
        for _ in range(5):
            tasks = [waiting(pool) for _ in range(10)]
            await asyncio.wait(tasks, timeout=0.05)
            assert all(task.exception() for task in tasks)
        assert len(connector.tried) <= 2 + 5
        connector.fail_with = None
        (await pool.acquire()).release()


async def test_while_a_connection_is_open_waiters_wait_for_it() -> None:
    connector = FakeConnector()
    async with running(replace(SMALL, max_connections=3), connector) as (pool, _):
        lease = await pool.acquire()
        connector.fail_with = lambda: ConnectFailed("refused")
        task = waiting(pool)
        await asyncio.sleep(4.0)
        assert not task.done()
        assert 2 <= len(connector.tried) <= 6
        lease.release()
        again = await task
        assert again.connection is lease.connection
        again.release()


async def test_growth_goes_on_when_the_provider_is_back() -> None:
    connector = FakeConnector()
    async with running(SMALL, connector) as (pool, _):
        lease = await pool.acquire()
        connector.fail_with = lambda: ConnectFailed("refused")
        task = waiting(pool)
        await settle()
        connector.fail_with = None
        (await task).release()
        lease.release()


async def test_another_endpoint_is_tried_at_once() -> None:
    other = Endpoint.parse("http://other.test")

    class Half(FakeConnector):
        async def connect(self, endpoint: Endpoint) -> Any:
            self.fail_with = None if endpoint is other else lambda: ConnectFailed("refused")
            return await super().connect(endpoint)

    connector = Half()
    pool = Pool("kimi", [ENDPOINT, other], connector, SMALL)
    leases = [await pool.acquire() for _ in range(2)]
    assert {lease.connection.endpoint for lease in leases} == {other}
    for lease in leases:
        lease.release()
    await pool.aclose()


async def test_draining_serves_who_waits_and_takes_nobody_new() -> None:
    loop = asyncio.get_running_loop()
    async with running(replace(SMALL, max_connections=1)) as (pool, connector):
        lease = await pool.acquire()
        task = waiting(pool)
        await settle()
        draining = asyncio.create_task(pool.drain(60.0))
        await settle()
        assert pool.state is PoolState.DRAINING
        with pytest.raises(PoolClosed):
            await pool.acquire()
        lease.release()
        lease = await task
        await asyncio.sleep(2.0)
        assert not draining.done()
        start = loop.time()
        lease.release()
        await draining
        assert loop.time() - start < 2.0
        assert state_of(pool) is PoolState.CLOSED
        assert len(connector.tried) == 1


async def test_what_comes_back_while_draining_is_not_kept() -> None:
    async with running() as (pool, _):
        leases = [await pool.acquire() for _ in range(2)]
        draining = asyncio.create_task(pool.drain(60.0))
        await settle()
        leases[0].release()
        assert pool.stats().idle == 0
        leases[1].release()
        await draining


async def test_draining_ends_at_once_where_nothing_is_going_on() -> None:
    loop = asyncio.get_running_loop()
    async with running() as (pool, _):
        (await pool.acquire()).release()
        start = loop.time()
        await pool.drain(60.0)
        assert loop.time() - start < 2.0
        await pool.drain(60.0)


async def test_draining_ends_when_the_last_waiter_leaves() -> None:
    connector = FakeConnector(delay=30.0)
    async with running(SMALL, connector) as (pool, _):
        task = waiting(pool)
        await settle()
        draining = asyncio.create_task(pool.drain(60.0))
        await settle()
        task.cancel()
        await asyncio.wait_for(draining, 2.0)


async def test_a_connection_that_comes_while_draining_is_lent_or_closed() -> None:
    connector = FakeConnector(delay=1.0)
    settings = replace(SMALL, max_connections=2)
    async with running(settings, connector) as (pool, _):
        tasks = [waiting(pool), waiting(pool)]
        await settle()
        draining = asyncio.create_task(pool.drain(60.0))
        await settle()
        tasks[1].cancel()
        lease = await tasks[0]
        assert pool.stats().idle == 0
        lease.release()
        await draining


async def test_after_the_grace_what_is_left_is_aborted() -> None:
    loop = asyncio.get_running_loop()
    async with running() as (pool, connector):
        lease = await pool.acquire()
        exchange = asyncio.create_task(lease.connection.exchange(b"x", Timeouts()))
        start = loop.time()
        await pool.drain(5.0)
        assert loop.time() - start == pytest.approx(5.0)
        with pytest.raises(Exception, match="the gateway closed"):
            await exchange
        lease.release()
        assert pool.in_flight == 0
        assert connector.transports[0].ended == "abort"
        assert closed(pool) == {"drained": 1}


async def test_closing_answers_every_waiter() -> None:
    async with running() as (pool, _):
        leases = [await pool.acquire() for _ in range(2)]
        tasks = [waiting(pool) for _ in range(3)]
        await settle()
        await pool.aclose()
        for task in tasks:
            with pytest.raises(PoolClosed):
                await task
        with pytest.raises(PoolClosed):
            pool.acquire_nowait()
        for lease in leases:
            assert lease.connection.state is State.CLOSED
            lease.release()


async def test_a_lease_outlives_nothing_that_was_promised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running() as (pool, connector):
        lease = await pool.acquire()
        connector.on_write = None
        transport: FakeTransport = connector.transports[0]
        transport.eof()
        assert pool.in_flight == 1, "a dead connection keeps its place until it is given back"
        lease.release()
        assert pool.in_flight == 0
    assert not caplog.records
