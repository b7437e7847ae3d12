import pytest
from tests.support.scripted_provider import chat_exchange

from mcp_gateway.errors import GatewayError, PoolTimeout, Unauthenticated
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Exchange
from mcp_gateway.proxy.layers.metrics import MetricsLayer
from mcp_gateway.proxy.meters import RouteMeters
from mcp_gateway.telemetry.metrics import Registry


async def answer(exchange: Exchange) -> ChatAnswer:
    exchange.route = "kimi"
    return ChatAnswer()


async def time_out(exchange: Exchange) -> ChatAnswer:
    exchange.route = "kimi"
    raise PoolTimeout("no connection was free")


async def refuse(_: Exchange) -> ChatAnswer:
    raise Unauthenticated("who is there?")


async def test_every_exchange_is_counted_by_how_it_ended() -> None:
    registry = Registry()
    layer = MetricsLayer(registry, {"kimi": RouteMeters(registry, "kimi")})
    await layer(chat_exchange(), answer)
    for handler in (time_out, refuse):
        with pytest.raises(GatewayError):
            await layer(chat_exchange(), handler)
    text = registry.render().decode()
    for status, route in (("ok", "1.0"), ("timeout", "1.0"), ("unauthenticated", "0.0")):
        requests = f'mcp_gateway_requests_total{{face="http",operation="chat",status="{status}"}}'
        assert f"{requests} 1.0" in text
        of_route = f'mcp_gateway_route_requests_total{{route="kimi",status="{status}"}}'
        assert f"{of_route} {route}" in text
    assert 'mcp_gateway_route_duration_seconds_count{route="kimi"} 2.0' in text
