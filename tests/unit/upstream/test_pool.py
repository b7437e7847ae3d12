from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.support.fake_upstream import ENDPOINT, FakeConnector, FakeTransport, answer

from mcp_gateway.errors import (
    ConnectFailed,
    DeadlineExceeded,
    PoolClosed,
    PoolSaturated,
    PoolTimeout,
    UpstreamTimeout,
)
from mcp_gateway.upstream.connection import State, Timeouts
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.pool import Lease, Pool, PoolSettings, PoolState

SMALL = PoolSettings(max_connections=2, max_overflow=0, acquire_timeout=5.0, max_waiting=3)


@asynccontextmanager
async def running(
    settings: PoolSettings = SMALL, connector: FakeConnector | None = None, **options: Any
) -> AsyncIterator[tuple[Pool, FakeConnector]]:
    connector = connector or FakeConnector()
    options.setdefault("rng", lambda: 0.0)
    pool = Pool("kimi", [ENDPOINT], connector, settings, **options)
    pool.start()
    try:
        yield pool, connector
    finally:
        await pool.aclose()
        assert connector.open == 0, "nothing stays open behind a closed pool"
        assert connector.connecting == 0


def waiting(pool: Pool, client: str = "", **options: Any) -> asyncio.Task[Lease]:
    return asyncio.create_task(pool.acquire(client=client, **options))


def closed(pool: Pool) -> dict[str, int]:
    """The counts that are not zero."""
    return {reason.value: count for reason, count in pool.stats().closed.items() if count}


def state_of(pool: Pool) -> PoolState:
    """Its state, which a type checker would take for unchanged after an assert."""
    return pool.state


async def settle() -> None:
    """Let everything that is ready run."""
    await asyncio.sleep(0.001)


# Lending.


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


# Growing and waiting.


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


async def test_having_to_wait_is_told() -> None:
    told: list[str] = []
    async with running() as (pool, _):
        (await pool.acquire(on_queued=lambda: told.append("first"))).release()
        (await pool.acquire(on_queued=lambda: told.append("second"))).release()
        assert told == ["first"]


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


# What ends connections.


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


# Connecting that fails.


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


# Limits.


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


# Other settings.


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


# The end.


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
