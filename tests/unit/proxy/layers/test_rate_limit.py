import asyncio

import pytest
from tests.support.scripted_provider import chat_exchange

from mcp_gateway.api import RateLimit
from mcp_gateway.errors import RateLimited
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Client, Exchange
from mcp_gateway.proxy.layers.rate_limit import MAX_BUCKETS, RateLimitLayer


async def handler(_: Exchange) -> ChatAnswer:
    return ChatAnswer()


def asking(name: str, peer: str = "", rate: float | None = None) -> Exchange:
    exchange = chat_exchange(peer=peer)
    exchange.client = Client(name, requests_per_second=rate)
    return exchange


async def passes(layer: RateLimitLayer, exchange: Exchange) -> bool:
    try:
        await layer(exchange, handler)
    except RateLimited:
        return False
    return True


async def test_a_client_over_its_rate_is_told_when_it_is_not() -> None:
    layer = RateLimitLayer(RateLimit(requests=60, per=60.0, burst=2))
    assert await passes(layer, asking("ann"))
    assert await passes(layer, asking("ann"))
    with pytest.raises(RateLimited) as caught:
        await layer(asking("ann"), handler)
    assert caught.value.retry_after == pytest.approx(1.0)
    await asyncio.sleep(1.0)
    assert await passes(layer, asking("ann"))


async def test_one_client_does_not_use_up_anothers_rate() -> None:
    layer = RateLimitLayer(RateLimit(requests=1, burst=1))
    assert await passes(layer, asking("ann"))
    assert not await passes(layer, asking("ann"))
    assert await passes(layer, asking("bob"))


async def test_global_counts_everybody_together() -> None:
    layer = RateLimitLayer(RateLimit(requests=1, burst=1, by="global"))
    assert await passes(layer, asking("ann"))
    assert not await passes(layer, asking("bob"))


async def test_the_anonymous_are_told_apart_by_address() -> None:
    layer = RateLimitLayer(RateLimit(requests=1, burst=1))
    assert await passes(layer, asking("anonymous", "10.0.0.1"))
    assert not await passes(layer, asking("anonymous", "10.0.0.1"))
    assert await passes(layer, asking("anonymous", "10.0.0.2"))


async def test_a_keys_own_rate_goes_first() -> None:
    layer = RateLimitLayer(RateLimit(requests=1, burst=1))
    fast = asking("batch", rate=5.0)
    assert [await passes(layer, fast) for _ in range(6)] == [True] * 5 + [False]


async def test_without_a_rate_nobody_is_refused() -> None:
    layer = RateLimitLayer(None)
    assert all([await passes(layer, asking("ann")) for _ in range(100)])


async def test_addresses_cannot_fill_the_memory() -> None:
    layer = RateLimitLayer(RateLimit(requests=1, burst=1))
    for number in range(MAX_BUCKETS + 5):
        await passes(layer, asking("anonymous", f"peer-{number}"))
    assert len(layer._buckets) == MAX_BUCKETS
