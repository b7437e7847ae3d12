"""How many series a provider and a route cost, all of them counted."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.unit.proxy.governed import glm, kimi, spec

from mcp_gateway.api.control import Grant
from mcp_gateway.api.quota import Quota
from mcp_gateway.app.picture import account_samples
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.proxy.engine import Engine
from mcp_gateway.proxy.meters import RouteMeters
from mcp_gateway.telemetry.definitions import ALL
from mcp_gateway.telemetry.logs import LineWriter
from mcp_gateway.telemetry.metrics import Registry

MOST_OF_A_PROVIDER = 40
MOST_OF_A_ROUTE = 30


def test_route_and_provider_are_never_crossed() -> None:
    assert not [metric.name for metric in ALL if {"route", "provider"} <= set(metric.labels)]


async def test_a_provider_costs_at_most_forty_series() -> None:
    registry = Registry()
    engine = Engine(SecretReader(None, {}), registry, LineWriter(text=False), in_fleet=True)
    models = {f"glm-{number}": {"concurrency": 3} for number in range(50)}
    stated: dict[str, Any] = {"requestsPerMinute": 10, "tokensPerMinute": 10, "tokensPerDay": 100}
    document = spec(kimi(concurrency=9, **stated), glm(byModel=models, **stated))
    engine.commit(engine.prepare(document), None)
    quotas = [
        Quota(provider=name, share=3, requests_per_minute=5, tokens_per_minute=5, warm=2)
        for name in ("kimi", "glm")
    ]
    engine.accounts.governor.take(Grant(epoch=1, sequence=1, quotas=quotas), 1.0)
    for account in engine.accounts.live.values():
        account.meters.cost.add(1.0)
    registry.add_source(lambda: account_samples(engine, asyncio.get_running_loop().time()))
    lines = registry.render().decode().splitlines()
    for name in ("kimi", "glm"):
        series = [line for line in lines if f'provider="{name}"' in line]
        families = {metric.name for metric in ALL if "provider" in metric.labels}
        seen = {line.split("{")[0] for line in series}
        assert all(any(each.startswith(name) for each in seen) for name in families)
        assert len(series) <= MOST_OF_A_PROVIDER
    await engine.aclose()


def test_a_route_costs_at_most_thirty_series() -> None:
    registry = Registry()
    RouteMeters(registry, "chat")
    lines = registry.render().decode().splitlines()
    series = [line for line in lines if 'route="chat"' in line]
    assert 20 < len(series) <= MOST_OF_A_ROUTE
