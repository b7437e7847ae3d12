"""What an account counts of its answers."""

from __future__ import annotations

import pytest
from tests.support.scripted_provider import Script, chat_exchange, says
from tests.unit.proxy.test_dispatch import dispatcher

from mcp_gateway.telemetry import definitions as metric
from mcp_gateway.telemetry.metrics import Registry


async def costs(prices: dict[str, dict[str, float]]) -> dict[tuple[str, ...], float]:
    registry = Registry()
    kimi = Script("kimi", says("Hi.", 3_000, 500), registry_=registry)
    spec = kimi.account.spec
    kimi.account.spec = type(spec).model_validate({**spec.model_dump(), "prices": prices})
    await dispatcher(kimi)(chat_exchange())
    return registry.counted(metric.COST)


async def test_tokens_cost_what_the_document_says_a_million_of_them_costs() -> None:
    found = await costs({"kimi-k2": {"input": 0.6, "output": 2.5}})
    assert found == {("kimi",): pytest.approx((3_000 * 0.6 + 500 * 2.5) / 1e6)}


@pytest.mark.parametrize("prices", [{}, {"kimi-latest": {"input": 1.0, "output": 1.0}}])
async def test_what_has_no_price_has_no_cost(prices: dict[str, dict[str, float]]) -> None:
    assert await costs(prices) == {}
