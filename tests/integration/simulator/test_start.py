from __future__ import annotations

import asyncio

import httpx
import pytest
from tests.integration.simulator.conftest import Start
from tests.integration.simulator.waiting import until

from mcp_gateway.errors import ConfigError
from mcp_gateway.simulator import Latency, LogNormal, Settings, Simulator

pytestmark = pytest.mark.integration

CHAT = {"model": "kimi-k2.6", "messages": [{"role": "user", "content": "Hello!"}]}
AUTH = {"authorization": "Bearer sk-1"}


@pytest.mark.parametrize(("wire", "path"), [("kimi", "/v1"), ("glm", "/api/paas/v4")])
async def test_it_listens_on_loopback_where_its_wire_begins(
    start: Start, wire: str, path: str
) -> None:
    _, url = await start(Settings(wire="glm" if wire == "glm" else "kimi"))
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith(path)


async def test_an_address_that_is_taken_is_said(start: Start) -> None:
    _, url = await start(Settings())
    with pytest.raises(ConfigError, match="cannot listen"):
        await Simulator().start(port=httpx.URL(url).port or 0)


async def test_it_is_steered_while_it_runs(start: Start) -> None:
    simulator, url = await start(Settings())
    async with httpx.AsyncClient(base_url=str(httpx.URL(url).join("/")), timeout=60) as client:
        put = await client.put("/simulator/settings", json={"models": ["m"], "concurrency": 3})
        assert put.status_code == 200
        assert simulator.settings.limits.concurrency == 3
        stats = await client.get("/simulator/stats")
        assert stats.json()["wire"] == "kimi"
        assert (await client.delete("/simulator/stats")).status_code == 200


async def test_it_ends_though_requests_are_under_way() -> None:
    simulator = Simulator(Settings(latency=Latency(first_token=LogNormal(60.0))))
    url = await simulator.start()
    async with httpx.AsyncClient(timeout=60) as client:
        call = asyncio.create_task(
            client.post(f"{url}/chat/completions", json=CHAT, headers=AUTH), name="call"
        )
        await until(lambda: simulator.stats()["in_flight"] == 1)
        await simulator.aclose()
        await simulator.aclose()
        with pytest.raises(httpx.RemoteProtocolError):
            await call
    assert simulator.stats()["in_flight"] == 0
    assert simulator.stats()["connections"] == 0


async def test_a_reader_that_is_slow_does_not_fill_the_memory(start: Start) -> None:
    """A long stream to a client that does not read stops at the socket's buffers."""
    settings = Settings(
        latency=Latency(per_token=LogNormal(0.000001)),
        answer_tokens=LogNormal(400_000.0),
        longest_answer=400_000,
    )
    simulator, url = await start(settings)
    async with (
        httpx.AsyncClient(timeout=60) as client,
        client.stream(
            "POST", f"{url}/chat/completions", json={**CHAT, "stream": True}, headers=AUTH
        ) as response,
    ):
        chunks = response.aiter_bytes()
        await anext(chunks)
        [connection] = simulator._connections
        await until(lambda: connection.congested)
        assert simulator.stats()["in_flight"] == 1
    await until(lambda: simulator.stats()["in_flight"] == 0)
