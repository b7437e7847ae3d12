"""One pod alone against an account whose limit it has to find out, or that changes.

The account refuses above its cap like Kimi and GLM do; service times and arrivals are those of
the scenarios by which the control law was chosen: service = LogNormal(ln 0.8, 0.5) + 0.02 *
LogNormal(ln 200, 0.9) seconds (mean 6.9), a refusal takes 50 to 150 ms, a refused request is tried
again up to three times after 0.5 to 1.5 s * 2**n, and who waits 15 s has failed.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable

import pytest
from tests.support.fake_upstream import ENDPOINT, FakeConnector, FakeTransport, answer

from mcp_gateway.errors import PoolTimeout
from mcp_gateway.upstream.connection import Timeouts
from mcp_gateway.upstream.pool import Pool, PoolSettings

MEAN_SERVICE = 6.9
PATIENT = Timeouts(first_byte=1000.0, total=1000.0)
UNBOUNDED = PoolSettings(max_connections=None, max_overflow=None)


class Account:
    """The provider's side of one account: serves up to `cap`, refuses the rest."""

    def __init__(self, cap: int, rng: random.Random) -> None:
        self.cap = cap
        self.in_flight = 0
        self.most = 0
        self._busy = 0.0
        self._since = 0.0
        self.served = 0
        self.refused = 0
        self._rng = rng
        self._loop = asyncio.get_running_loop()

    def busy(self) -> float:
        """Seconds times requests in flight so far: what work is worth, free of its chance."""
        now = self._loop.time()
        self._busy += self.in_flight * (now - self._since)
        self._since = now
        return self._busy

    def take(self, transport: FakeTransport, _request: bytes) -> None:
        rng = self._rng
        if self.in_flight >= self.cap:
            self.refused += 1
            delay = rng.uniform(0.05, 0.15)
            self._loop.call_later(delay, transport.feed, answer(status=429))
            return
        self.busy()
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        seconds = rng.lognormvariate(math.log(0.8), 0.5)
        seconds += 0.02 * rng.lognormvariate(math.log(200), 0.9)
        self._loop.call_later(seconds, self._done, transport)

    def _done(self, transport: FakeTransport) -> None:
        self.busy()
        self.in_flight -= 1
        self.served += 1
        transport.feed(answer())


class Pod:
    """A pool and the clients that use it."""

    def __init__(self, account: Account, rng: random.Random, share: int | None) -> None:
        connector = FakeConnector(delay=0.02)
        connector.on_write = account.take
        self.pool = Pool("kimi", [ENDPOINT], connector, UNBOUNDED, share=share, rng=rng.random)
        self._rng = rng
        self._tasks: set[asyncio.Task[None]] = set()

    async def offer(self, per_second: float, seconds: float) -> None:
        """Poisson arrivals for `seconds`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            await asyncio.sleep(self._rng.expovariate(per_second))
            task = asyncio.create_task(self._request())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        await asyncio.wait(self._tasks)
        await self.pool.aclose()

    async def _request(self) -> None:
        for attempt in range(4):
            try:
                lease = await self.pool.acquire()
            except PoolTimeout:
                return
            with lease:
                response = await lease.connection.exchange(b"x", PATIENT)
                if response.status == 200:
                    return
                lease.refused()
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) * 2.0**attempt)


async def watched(account: Account, offering: Awaitable[None]) -> tuple[float, float]:
    """Mean requests in flight, and refusals per attempt, while `offering` lasts."""
    loop = asyncio.get_running_loop()
    busy, served, refused, start = account.busy(), account.served, account.refused, loop.time()
    await offering
    served, refused = account.served - served, account.refused - refused
    return (account.busy() - busy) / (loop.time() - start), refused / (served + refused)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("share", [None, 40])
async def test_the_account_is_kept_full_and_hardly_overrun(share: int | None, seed: int) -> None:
    rng = random.Random(seed)
    account = Account(40, rng)
    pod = Pod(account, rng, share)
    await pod.offer(1.3 * 40 / MEAN_SERVICE, 60)  # finding the limit, and filling up
    in_flight, refused = await watched(account, pod.offer(1.3 * 40 / MEAN_SERVICE, 600))
    await pod.end()
    assert in_flight >= 0.985 * 40
    assert refused <= 0.006
    if share is not None:
        assert account.refused == 0
        assert account.most == share


@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("share", [None, 40])
async def test_a_cap_that_falls_and_rises_again_is_followed(share: int | None, seed: int) -> None:
    rng = random.Random(seed)
    account = Account(40, rng)
    pod = Pod(account, rng, share)
    rate = 1.3 * 40 / MEAN_SERVICE
    await pod.offer(rate, 120)
    account.cap = 20
    await pod.offer(rate, 30)
    in_flight, refused = await watched(account, pod.offer(rate, 300))
    assert in_flight >= 0.985 * 20
    assert refused <= 0.01  # a probe a minute, of few requests
    account.cap = 40
    await pod.offer(rate, 90)
    assert pod.pool.in_flight >= 38
    await pod.end()


async def test_a_quiet_pod_does_not_probe() -> None:
    rng = random.Random(4)
    account = Account(40, rng)
    pod = Pod(account, rng, None)
    await pod.offer(0.2, 600)
    assert pod.pool.stats().limit <= 8
    assert account.refused == 0
    await pod.end()
