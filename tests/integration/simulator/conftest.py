"""The simulator on real sockets, under both event loops it runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from mcp_gateway.simulator import Settings, Simulator

Start = Callable[[Settings], Awaitable[tuple[Simulator, str]]]


@pytest.fixture(
    scope="module",
    params=[("asyncio", {}), ("asyncio", {"use_uvloop": True})],
    ids=["asyncio", "uvloop"],
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run `async def` tests on both loops."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start simulators that end with the test; returns each with its base URL."""
    async with AsyncExitStack() as stack:

        async def start_one(settings: Settings) -> tuple[Simulator, str]:
            simulator = Simulator(settings)
            url = await simulator.start()
            stack.push_async_callback(simulator.aclose)
            return simulator, url

        yield start_one
