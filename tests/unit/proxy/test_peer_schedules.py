"""Slots move at random while clients come and go: nobody is lost, and nothing stays behind."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from tests.support.fake_upstream import FakeTransport
from tests.support.pods_in_memory import MemoryFleet, MemoryPod, memory_fleet
from tests.support.scripted_provider import Collector, Step, chat_exchange, says, streams

from mcp_gateway.errors import ConnectionLost, GatewayError
from mcp_gateway.limits.retry import RetryBudget, RetryPolicy
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.balancer import Backend, round_robin
from mcp_gateway.proxy.dispatch import Dispatcher
from mcp_gateway.proxy.exchange import Client
from mcp_gateway.proxy.pattern import compile_pattern
from mcp_gateway.proxy.router import Route, Router
from mcp_gateway.upstream.pool import NOTICED

PODS = 4
STEPS = 150


def takes_time(rng: random.Random) -> Step:
    """A provider that answers soon, in the form that was asked for."""

    def step(transport: FakeTransport) -> None:
        streamed = b'"stream":true' in transport.written[-1]
        answers = streams("One", " two") if streamed else says("One two")
        asyncio.get_running_loop().call_later(rng.uniform(0.01, 0.3), answers, transport)

    return step


def dispatcher(pod: MemoryPod) -> Dispatcher:
    account = pod.script.account
    matchers = ((Router.FIELDS.index("model"), compile_pattern(".*")),)
    router = Router([Route("all", matchers, (Backend("kimi", account),), round_robin)])
    return Dispatcher(router, {"kimi": account}, RetryPolicy(), RetryBudget(), elsewhere=pod.caller)


class Play:
    """One schedule."""

    def __init__(self, fleet: MemoryFleet, seed: int) -> None:
        print(f"seed {seed}")
        self.rng = random.Random(seed)
        self.fleet = fleet
        self.pods = [fleet.add(f"web-{n + 1}", takes_time(self.rng), share=0) for n in range(PODS)]
        self.doors = [dispatcher(pod) for pod in self.pods]
        self.asked: list[asyncio.Task[ChatAnswer | None]] = []
        self.left = 0

    async def step(self) -> None:
        what = self.rng.random()
        if what < 0.7:
            self.ask()
        elif what < 0.85:
            self.move()
        elif what < 0.88:
            # Every connection of one pod breaks, also in the middle of what it carries.
            for pipe in self.rng.choice(self.pods).pipes:
                pipe.close()
        elif self.asked:
            task = self.rng.choice(self.asked)
            self.left += task.cancel()
        await asyncio.sleep(self.rng.choice((0.0, 0.0, 0.01, 0.3)))

    def ask(self) -> None:
        sink = Collector() if self.rng.random() < 0.5 else None
        exchange = chat_exchange(sink=sink, client=Client(self.rng.choice("abc")))
        door = self.rng.choice(self.doors)
        self.asked.append(asyncio.ensure_future(door(exchange)))

    def move(self) -> None:
        """Three slots, somewhere else; now and then nobody hears of it at once."""
        shares = [0] * PODS
        for _ in range(3):
            shares[self.rng.randrange(PODS)] += 1
        if self.rng.random() < 0.3:
            for pod, share in zip(self.pods, shares, strict=True):
                pod.script.account.pool.set_share(share, governed=True)
        else:
            self.fleet.grant(*shares)


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_moves_every_request_ends_and_nothing_stays_behind(
    seed: int, tmp_path: Path
) -> None:
    async with memory_fleet(tmp_path) as fleet:
        play = Play(fleet, seed)
        for _ in range(STEPS):
            await play.step()
        play.fleet.grant(1, 1, 1, 0)
        ended = await asyncio.gather(*play.asked, return_exceptions=True)
        await asyncio.sleep(NOTICED)
        for end in ended:
            assert isinstance(end, ChatAnswer | GatewayError | asyncio.CancelledError), end
            assert not isinstance(end, ChatAnswer) or end.content == "One two"
        failed = [end for end in ended if isinstance(end, GatewayError)]
        # Only what had begun when its connection broke is lost: there was a slot all the time.
        assert all(isinstance(end, ConnectionLost) and end.answered for end in failed), failed
        assert len(failed) < len(ended) / 5
        for pod in play.pods:
            pool = pod.script.account.pool
            assert (pool.in_flight, pool.waiting) == (0, 0)
            assert not pod.caller._ledger._out
            assert not pod.listener.tasks
