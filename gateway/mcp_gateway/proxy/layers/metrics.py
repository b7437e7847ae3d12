"""Counts every exchange. Always there, outermost, so that refusals are counted too."""

from __future__ import annotations

import asyncio

from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Exchange
from mcp_gateway.proxy.meters import RouteMeters
from mcp_gateway.proxy.middleware import Handler
from mcp_gateway.proxy.outcome import status_word
from mcp_gateway.telemetry import definitions as metric
from mcp_gateway.telemetry.cells import Counter
from mcp_gateway.telemetry.metrics import Registry


class MetricsLayer:
    """Adds to the cells of the exchange's face and route when it ends."""

    def __init__(self, registry: Registry, routes: dict[str, RouteMeters]) -> None:
        self._registry = registry
        self._routes = routes
        self._requests: dict[tuple[str, str, str], Counter] = {}
        self._loop = asyncio.get_running_loop()
        self.in_flight = 0

    async def __call__(self, exchange: Exchange, handler: Handler) -> ChatAnswer | None:
        """Go on, then count."""
        self.in_flight += 1
        status = "ok"
        try:
            return await handler(exchange)
        except BaseException as error:
            status = status_word(error)
            raise
        finally:
            self.in_flight -= 1
            self._count(exchange, status)

    def _count(self, exchange: Exchange, status: str) -> None:
        key = (exchange.face, exchange.operation, status)
        cell = self._requests.get(key)
        if cell is None:
            cell = self._registry.counter(metric.REQUESTS, *key)
            self._requests[key] = cell
        cell.value += 1.0
        route = self._routes.get(exchange.route)
        if route is not None:
            route.requests[status].value += 1.0
            route.duration.observe(self._loop.time() - exchange.started)
