"""A simulated provider and a gateway in front of it, on this very loop."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.integration.client.gateways import KEY, SETTINGS, gateway

from mcp_gateway.app import Gateway
from mcp_gateway.simulator import Simulator


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    made = Simulator(SETTINGS)
    yield made
    await made.aclose()


@pytest.fixture
async def running(simulator: Simulator) -> AsyncIterator[Gateway]:
    async with gateway(await simulator.start()) as made:
        yield made


@pytest.fixture(params=["websocket", "http"])
def url(request: pytest.FixtureRequest, running: Gateway) -> str:
    """The gateway's MCP endpoint, by each way there is."""
    return running.urls[request.param]


@pytest.fixture
def key() -> str:
    return KEY
