from __future__ import annotations

import os
import random

import pytest

from mcp_gateway.concurrency.wait_queue import QueueFull, Waiter, WaitQueue


def any_lane(_lane: str) -> bool:
    return True


def names(queue: WaitQueue[int], count: int) -> list[str]:
    """The clients of the next `count` waiters."""
    found = []
    for _ in range(count):
        waiter = queue.pop(any_lane)
        assert waiter is not None
        found.append(waiter.client)
    return found


async def test_one_client_is_served_in_order() -> None:
    queue: WaitQueue[int] = WaitQueue(10)
    waiters = [queue.join("a", "", float(i)) for i in range(3)]
    assert [queue.pop(any_lane) for _ in range(4)] == [*waiters, None]
    assert queue.size == 0


async def test_clients_take_turns_however_many_waiters_they_have() -> None:
    queue: WaitQueue[int] = WaitQueue(10)
    for _ in range(4):
        queue.join("greedy", "", 0.0)
    queue.join("b", "", 1.0)
    queue.join("c", "", 2.0)
    assert names(queue, 6) == ["greedy", "b", "c", "greedy", "greedy", "greedy"]


async def test_a_full_queue_rejects_at_once() -> None:
    queue: WaitQueue[int] = WaitQueue(1)
    queue.join("a", "", 0.0)
    with pytest.raises(QueueFull):
        queue.join("b", "", 0.0)
    queue.join("b", "", 0.0, spare=1)
    queue.max_waiting = 3
    queue.join("b", "", 0.0)
    assert queue.size == 3


async def test_a_waiter_that_left_is_not_served() -> None:
    queue: WaitQueue[int] = WaitQueue(10)
    first = queue.join("a", "", 0.0)
    second = queue.join("a", "", 0.0)
    queue.leave(first)
    queue.leave(first)
    assert queue.pop(any_lane) is second
    queue.leave(second)
    assert queue.size == 0


async def test_a_waiter_is_answered_once_and_may_decline() -> None:
    queue: WaitQueue[int] = WaitQueue(10)
    waiter = queue.join("a", "", 0.0)
    assert waiter.offer(1)
    assert not waiter.offer(2)
    assert await waiter.future == 1
    cancelled = queue.join("a", "", 0.0)
    cancelled.future.cancel()
    assert not cancelled.offer(3)


async def test_a_shut_lane_holds_nobody_else_up() -> None:
    queue: WaitQueue[int] = WaitQueue(10)
    queue.join("a", "busy", 0.0)
    queue.join("b", "free", 0.0)
    waiter = queue.pop(lambda lane: lane == "free")
    assert waiter is not None
    assert waiter.client == "b"
    assert queue.pop(lambda lane: lane == "free") is None
    assert queue.lanes() == [("busy", 1)]
    assert queue.waiting("busy") == 1
    assert queue.waiting("free") == 0


async def test_a_client_of_many_lanes_gains_nothing() -> None:
    queue: WaitQueue[int] = WaitQueue(100)
    for lane in ("x", "y", "z"):
        for _ in range(3):
            queue.join("wide", lane, 0.0)
    for _ in range(9):
        queue.join("narrow", "w", 0.0)
    served = names(queue, 8)
    assert served.count("narrow") == 4


async def test_all_waiters_can_be_failed_each_with_its_own_error() -> None:
    queue: WaitQueue[int] = WaitQueue(10)
    waiters = [queue.join(client, lane, 0.0) for client in "ab" for lane in "xy"]
    waiters[0].future.cancel()
    queue.fail_all(lambda: LookupError("gone"))
    errors = [waiter.future.exception() for waiter in waiters[1:]]
    assert all(isinstance(error, LookupError) for error in errors)
    assert len({id(error) for error in errors}) == 3
    assert queue.size == 0
    assert queue.pop(any_lane) is None


async def test_one_lane_can_be_emptied() -> None:
    queue: WaitQueue[int] = WaitQueue(10)
    waiters = {lane: [queue.join(client, lane, 0.0) for client in "ab"] for lane in "xy"}
    waiters["x"][0].future.cancel()
    queue.fail_lane("x", lambda: LookupError("elsewhere"))
    queue.fail_lane("z", lambda: LookupError("nobody is there"))
    assert isinstance(waiters["x"][1].future.exception(), LookupError)
    assert not any(waiter.future.done() for waiter in waiters["y"])
    assert (queue.size, queue.waiting("x")) == (2, 0)
    assert queue.pop(any_lane) is waiters["y"][0]


class Model:
    """The same queue, slow and obvious; every step compares the two."""

    def __init__(self, seed: int) -> None:
        print(f"seed {seed}")
        self.rng = random.Random(seed)
        self.queue: WaitQueue[int] = WaitQueue(50)
        self.inside: list[Waiter[int]] = []

    def step(self, now: float) -> None:
        action = self.rng.random()
        if action < 0.5:
            self.join(now)
        elif action < 0.6 and self.inside:
            self.queue.leave(self.inside.pop(self.rng.randrange(len(self.inside))))
        else:
            self.pop(set(self.rng.sample("xyz", self.rng.randint(1, 3))))
        assert self.queue.size == len(self.inside)
        for lane in "xyz":
            assert self.queue.waiting(lane) == sum(w.lane == lane for w in self.inside)

    def join(self, now: float) -> None:
        try:
            self.inside.append(
                self.queue.join(self.rng.choice("abcde"), self.rng.choice("xyz"), now)
            )
        except QueueFull:
            assert len(self.inside) == 50

    def pop(self, open_lanes: set[str]) -> None:
        waiter = self.queue.pop(open_lanes.__contains__)
        if waiter is None:
            assert not any(other.lane in open_lanes for other in self.inside)
            return
        assert waiter.lane in open_lanes
        self.inside.remove(waiter)
        for other in self.inside:
            if (other.lane, other.client) == (waiter.lane, waiter.client):
                assert other.since > waiter.since, "first in, first out within a client"


@pytest.mark.parametrize("seed", [*range(20), int.from_bytes(os.urandom(4))])
async def test_random_schedules_lose_nobody(seed: int) -> None:
    model = Model(seed)
    for step in range(2000):
        model.step(float(step))


async def test_nobody_starves_beside_clients_that_never_stop_asking() -> None:
    queue: WaitQueue[int] = WaitQueue(100)
    for i in range(5):
        queue.join(f"greedy{i}", "", 0.0)
        queue.join(f"greedy{i}", "other", 0.0)
    modest = queue.join("modest", "", 1.0)
    served: list[Waiter[int]] = []
    while modest.queued:
        waiter = queue.pop(any_lane)
        assert waiter is not None
        served.append(waiter)
        queue.join(waiter.client, waiter.lane, 2.0)
    assert len(served) <= 11
