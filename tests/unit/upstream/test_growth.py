from __future__ import annotations

import asyncio

from tests.support.fake_upstream import ENDPOINT, FakeConnector, connect

from mcp_gateway.concurrency.wait_queue import WaitQueue
from mcp_gateway.upstream.growth import Growth
from mcp_gateway.upstream.lane import Lanes
from mcp_gateway.upstream.lease import Lease
from mcp_gateway.upstream.opener import Opener
from mcp_gateway.upstream.stock import Stock


class Parts:
    """The parts of a pool in which `waiting` requests wait, by lane."""

    def __init__(self, waiting: dict[str, int], capacity: int = 10, share: int = 10) -> None:
        self.lanes = Lanes(capacity, share, lane_shares={"big": 2})
        self.queue: WaitQueue[Lease] = WaitQueue(100)
        self.stock = Stock()
        connector = FakeConnector(delay=1.0)
        self.opener = Opener(
            "p", [ENDPOINT], connector, opened=self.stock.add, failed=lambda _error: None
        )
        self.growth = Growth(self.lanes, self.queue, self.stock, self.opener)
        for lane, count in waiting.items():
            for _ in range(count):
                self.queue.join("a", lane, 0.0)

    def missing(self, capacity: int = 10) -> int:
        return max(0, self.growth.missing(capacity, asyncio.get_running_loop().time()))


async def test_nobody_waits_nothing_is_missing() -> None:
    assert Parts({}).missing() == 0


async def test_one_is_missing_for_each_waiter_within_capacity_share_and_lane() -> None:
    assert Parts({"": 3}).missing() == 3
    assert Parts({"": 30}).missing(capacity=4) == 4
    assert Parts({"": 30}, share=5).missing() == 5
    assert Parts({"big": 30}).missing() == 2
    assert Parts({"big": 30, "": 1}).missing() == 3


async def test_what_is_open_or_being_opened_is_counted() -> None:
    parts = Parts({"": 5})
    parts.opener.open(asyncio.get_running_loop())
    assert parts.missing() == 4
    parts.stock.add(connect()[0])
    assert parts.missing(capacity=4) == 2
    parts.lanes.root.in_flight = 8
    assert parts.missing() == 1
    await parts.opener.aclose()


async def test_a_provider_that_does_not_answer_is_tried_once_and_only_without_other_hope() -> None:
    loop = asyncio.get_running_loop()
    parts = Parts({"": 5})
    parts.opener.health.failed(ENDPOINT, loop.time())
    assert parts.missing() == 1
    parts.opener.open(loop)
    assert parts.missing() == 0
    await parts.opener.aclose()
    assert parts.missing() == 1
    parts.stock.add(connect()[0])
    assert parts.missing() == 0
