from __future__ import annotations

import asyncio

import pytest

from mcp_gateway.server.flow import Flow


async def test_nobody_waits_while_there_is_room() -> None:
    await Flow().drained()


async def test_every_waiter_is_woken_when_there_is_room_again() -> None:
    flow = Flow()
    flow.pause(7.0)
    assert flow.congested
    assert flow.since == 7.0
    waiters = [asyncio.create_task(flow.drained()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(waiter.done() for waiter in waiters)
    flow.resume()
    await asyncio.gather(*waiters)


async def test_a_cancelled_waiter_does_not_wake_the_others() -> None:
    flow = Flow()
    flow.pause(0.0)
    one, other = asyncio.create_task(flow.drained()), asyncio.create_task(flow.drained())
    await asyncio.sleep(0)
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one
    assert not other.done()
    flow.resume()
    await other


async def test_a_waiter_waits_on_when_it_is_congested_again_at_once() -> None:
    flow = Flow()
    flow.pause(0.0)
    waiter = asyncio.create_task(flow.drained())
    await asyncio.sleep(0)
    flow.resume()
    flow.pause(1.0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiter.done()
    flow.resume()
    await waiter


def test_a_client_that_reads_slowly_is_not_stuck() -> None:
    flow = Flow()
    flow.pause(0.0)
    assert not flow.stuck(1000, 20.0, 30.0)
    assert not flow.stuck(999, 40.0, 30.0), "a byte was read since the last look"
    assert not flow.stuck(999, 70.0, 30.0)
    assert flow.stuck(999, 71.0, 30.0)
    flow.pause(100.0)
    assert not flow.stuck(500, 130.0, 30.0)
    assert flow.stuck(500, 131.0, 30.0), "what was left at another time is no progress"
