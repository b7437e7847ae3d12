"""How often a pod reports, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp_gateway.api.control import REPORT_EVERY, Report
from mcp_gateway.server.reporting import Pulse, Reporter


class Backend:
    """A gateway that says what a test wants."""

    def __init__(self) -> None:
        self.requests = 0
        self.contended = False
        self.state = 0
        self.report_every = 1.0
        self.told: list[float] = []

    def report(self) -> Report:
        return Report(requests=self.requests, errors=0, since=1.0)

    def pulse(self) -> Pulse:
        return Pulse(self.contended, self.state)

    async def send(self, _: str) -> None:
        self.told.append(asyncio.get_running_loop().time())


@asynccontextmanager
async def reporting(backend: Backend) -> AsyncIterator[Reporter]:
    reporter = Reporter(backend.send, backend)
    task = asyncio.create_task(reporter.run())
    await asyncio.sleep(0.001)
    yield reporter
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_idle_pod_says_nothing() -> None:
    backend = Backend()
    async with reporting(backend):
        await asyncio.sleep(1000.0)
    assert len(backend.told) == 1


async def test_counts_are_told_now_and_then() -> None:
    backend = Backend()
    async with reporting(backend):
        for _ in range(100):
            backend.requests += 1
            await asyncio.sleep(1.0)
    gaps = [later - earlier for earlier, later in zip(backend.told, backend.told[1:], strict=False)]
    assert len(backend.told) == 21
    assert min(gaps) >= REPORT_EVERY


async def test_who_is_contended_reports_as_often_as_it_was_told() -> None:
    backend = Backend()
    async with reporting(backend):
        backend.contended = True
        await asyncio.sleep(10.0)
        assert len(backend.told) == 11
        backend.report_every = 0.1
        await asyncio.sleep(11.0)
        assert 110 <= len(backend.told) <= 122
        backend.contended = False
        at = len(backend.told)
        await asyncio.sleep(100.0)
        assert len(backend.told) - at <= 1


async def test_a_change_that_others_care_about_is_told_within_a_second() -> None:
    backend = Backend()
    async with reporting(backend):
        await asyncio.sleep(50.5)
        backend.state = 1
        changed = asyncio.get_running_loop().time()
        await asyncio.sleep(10.0)
    assert len(backend.told) == 2
    assert backend.told[1] - changed <= 1.0


async def test_what_was_told_is_news_no_more() -> None:
    backend = Backend()
    async with reporting(backend) as reporter:
        await reporter.tell_news()
        assert len(backend.told) == 1
        backend.requests = 1
        await reporter.tell_news()
        assert len(backend.told) == 2
        await reporter.tell()
        assert len(backend.told) == 3
