"""What a reload leaves as it is."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import pytest
from tests.unit.proxy.governed import Process, glm, kimi

from mcp_gateway.api import RateLimit
from mcp_gateway.errors import RateLimited
from mcp_gateway.limits.rate import TokenBucket
from mcp_gateway.proxy.exchange import Client, Exchange, Face
from mcp_gateway.proxy.layers.rate_limit import RateLimitLayer
from mcp_gateway.proxy.memory import Memory


async def handler(_: Exchange) -> None:
    """Answer nothing."""


def exchange() -> Exchange:
    now = asyncio.get_running_loop().time()
    made = Exchange(id="0" * 32, face=Face.HTTP, method="ping", started=now, wall=1.0)
    made.client = Client(name="web")
    return made


async def test_a_reload_is_no_way_to_a_fresh_rate() -> None:
    buckets: OrderedDict[str, TokenBucket] = OrderedDict()
    before = RateLimitLayer(RateLimit(requests=60, per=60.0, burst=2), buckets)
    for _ in range(2):
        await before(exchange(), handler)
    after = RateLimitLayer(RateLimit(requests=60, per=60.0, burst=2), buckets)
    with pytest.raises(RateLimited):
        after(exchange(), handler)
    faster = RateLimitLayer(RateLimit(requests=600, per=60.0, burst=20), buckets)
    with pytest.raises(RateLimited) as caught:
        faster(exchange(), handler)
    assert caught.value.retry_after == pytest.approx(0.1), "at the new rate, from what was left"


async def test_a_model_list_stays_with_its_account_and_key() -> None:
    process, memory = Process(kimi(), glm()), Memory()
    first = memory.model_lists(process.accounts.live)
    process.apply(kimi(), glm())
    again = memory.model_lists(process.accounts.live)
    assert again["kimi"] is first["kimi"]
    process.apply(kimi("sk-2"), glm())
    rotated = memory.model_lists(process.accounts.live)
    assert rotated["kimi"] is not first["kimi"]
    assert rotated["glm"] is first["glm"]
    process.apply(kimi("sk-2"))
    assert list(memory.model_lists(process.accounts.live)) == ["kimi"]
