"""Random schedules: whatever clients, provider and settings do, the pool's rules hold."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter

import pytest
from tests.support.fake_upstream import FakeConnector, FakeTransport, answer

from mcp_gateway.errors import ConnectFailed, GatewayError
from mcp_gateway.upstream.connection import Connection, Timeouts
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.pool import NOTICED, Lease, Pool, PoolSettings

ENDPOINTS = [Endpoint.parse("http://a.test", 2), Endpoint.parse("http://b.test")]
LANES = ["", "x", "y", "z"]
REQUESTS = 400


class Provider(FakeConnector):
    """Takes its time, refuses connections now and then, and breaks some."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self.on_write = self._respond
        self.capacity = 0

    async def connect(self, endpoint: Endpoint) -> Connection:
        assert self.connecting + self.open < self.capacity, "rule 1: never above the capacity"
        rng = self._rng
        self.delay = rng.choice([0.0, 0.01, 0.3, 2.0])
        self.fail_with = (lambda: ConnectFailed("refused")) if rng.random() < 0.15 else None
        connection = await super().connect(endpoint)
        if rng.random() < 0.2:
            loop = asyncio.get_running_loop()
            loop.call_later(rng.random() * 20, self.transports[-1].eof)
        return connection

    def _respond(self, transport: FakeTransport, _request: bytes) -> None:
        rng = self._rng
        loop = asyncio.get_running_loop()
        what = rng.random()
        if what < 0.05:
            loop.call_later(rng.random(), transport.reset)
        elif what < 0.1:
            loop.call_later(rng.random(), transport.feed, b"garbage\r\n")
        elif what < 0.2:
            loop.call_later(rng.random(), transport.feed, answer(extra=b"Connection: close\r\n"))
        elif what < 0.97:
            loop.call_later(rng.choice([0.0, 0.1, 1.5]), transport.feed, answer())


class Schedule:
    """One random life of one pool."""

    def __init__(self, seed: int) -> None:
        print(f"seed {seed}")
        self.rng = rng = random.Random(seed)
        self.provider = Provider(rng)
        settings = self.settings()
        self.provider.capacity = settings.capacity
        self.pool = Pool(
            "p",
            ENDPOINTS,
            self.provider,
            settings,
            by_lane=rng.random() < 0.5,
            lane_shares={"x": 2},
            rng=rng.random,
        )
        self.outcomes: Counter[str] = Counter()
        self.before = 0
        self.lent = 0

    def settings(self) -> PoolSettings:
        rng = self.rng
        settings = PoolSettings(
            min_connections=rng.randint(0, 2),
            max_connections=rng.randint(1, 5),
            max_overflow=rng.randint(0, 3),
            idle_timeout=rng.choice([0.5, 5.0]),
            acquire_timeout=rng.choice([0.5, 3.0, 30.0]),
            max_waiting=rng.choice([0, 3, 100]),
            max_lifetime=rng.choice([5.0, 1000.0]),
            validate_after=rng.choice([0.0, 1.0]),
        )
        return settings

    async def run(self) -> None:
        self.pool.start()
        tasks: list[asyncio.Task[None]] = []
        for _ in range(REQUESTS):
            tasks.append(asyncio.create_task(self.request()))
            await asyncio.sleep(self.rng.choice([0.0, 0.0, 0.01, 0.2]))
            self.disturb(tasks)
            self.check()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()  # an error that the request did not expect
            else:
                self.outcomes["cancelled"] += 1
        assert self.outcomes.total() == REQUESTS, "rule 4: everybody is answered once"
        await self.nothing_is_lost()

    async def request(self) -> None:
        rng = self.rng
        deadline = None
        if rng.random() < 0.3:
            deadline = asyncio.get_running_loop().time() + rng.random() * 4
        try:
            lease = await self.pool.acquire(
                client=rng.choice("abc"), lane=rng.choice(LANES), deadline=deadline
            )
        except GatewayError as error:
            self.outcomes[error.reason] += 1
            return
        finally:
            self.check()
        self.lent += 1
        try:
            with lease:
                await self.use(lease)
        finally:
            self.lent -= 1
            self.check()

    async def use(self, lease: Lease) -> None:
        try:
            await lease.connection.exchange(b"x", Timeouts(first_byte=3.0))
        except GatewayError as error:
            self.outcomes[error.reason] += 1
            return
        if self.rng.random() < 0.05:
            self.check()
            lease.refused()
        self.outcomes["ok"] += 1

    def disturb(self, tasks: list[asyncio.Task[None]]) -> None:
        rng = self.rng
        if rng.random() < 0.1:
            rng.choice(tasks).cancel()
        if rng.random() < 0.05:
            self.check()
            self.pool.set_share(rng.choice([None, 1, 3, 10]), rng.choice(LANES))
        if rng.random() < 0.02:
            self.check()
            self.resize(self.settings())

    def resize(self, settings: PoolSettings) -> None:
        self.pool.resize(settings)
        # What was decided under the old capacity begins to connect in the loop's next round.
        provider = self.provider
        provider.capacity = max(provider.capacity, settings.capacity)
        asyncio.get_running_loop().call_soon(setattr, provider, "capacity", settings.capacity)

    def check(self) -> None:
        """Also to be called before a limit changes: what was lent until then was not above it."""
        stats = self.pool.stats()
        over = stats.in_flight - stats.limit
        assert over <= 0 or stats.in_flight <= self.before, "rule 2: no lease above a limit"
        self.before = stats.in_flight
        assert stats.in_flight >= self.lent, "every lease counts from its assignment"
        assert min(stats.in_flight, stats.waiting, stats.idle, stats.connecting) >= 0
        lanes_have_room = any(
            lane.waiting and lane.in_flight < lane.limit for lane in stats.lanes.values()
        )
        in_lanes = sum(lane.waiting for lane in stats.lanes.values())
        if stats.idle and over < 0:
            assert stats.waiting == in_lanes, "rule 3: nobody waits beside an idle connection"
            assert not lanes_have_room

    async def nothing_is_lost(self) -> None:
        """Every slot can be lent again, and all of it closes."""
        pool, provider = self.pool, self.provider
        await asyncio.sleep(NOTICED)
        stats = pool.stats()
        assert (stats.in_flight, stats.waiting) == (0, 0)
        assert all(lane.in_flight == lane.waiting == 0 for lane in stats.lanes.values())
        settings = PoolSettings(max_connections=6, max_overflow=2, acquire_timeout=1000.0)
        self.resize(settings)
        pool.set_share(8)
        leases: list[Lease] = []
        while len(leases) < 8:
            try:
                leases.append(await pool.acquire())
            except ConnectFailed:
                await asyncio.sleep(1.0)
        assert pool.acquire_nowait() is None
        assert pool.stats().connecting == 0
        for lease in leases:
            lease.release()
        await pool.aclose()
        stats = pool.stats()
        assert sum(stats.closed.values()) == stats.created
        assert provider.open == provider.connecting == 0


@pytest.mark.parametrize("seed", [*range(25), int.from_bytes(os.urandom(4))])
async def test_the_rules_hold_under_any_schedule(seed: int) -> None:
    await Schedule(seed).run()


@pytest.mark.parametrize("clients", [2, 7])
async def test_nobody_starves_beside_a_client_that_floods(clients: int) -> None:
    provider = FakeConnector()
    settings = PoolSettings(max_connections=2, max_overflow=0, acquire_timeout=1000.0)
    pool = Pool("p", ENDPOINTS, provider, settings)
    served: Counter[str] = Counter()

    async def ask(client: str) -> None:
        while served[client] < 50 and max(served.values(), default=0) < 50:
            with await pool.acquire(client=client):
                await asyncio.sleep(0.1)
                served[client] += 1

    names = [f"client-{i}" for i in range(clients)]
    flood = ["flood"] * 100
    await asyncio.gather(*[ask(name) for name in [*names, *flood]])
    # One that asks again only after its answer misses every other turn at worst.
    assert min(served[name] for name in names) >= 20
    await pool.aclose()
