"""`python -m tests.perf.metering`: what counting costs a chat, in microseconds of CPU.

Everything that the request path does for metrics: the layer that counts the exchange and its route,
and what an account counts of an answer, the cost of its tokens included. The least of several
rounds is the cost; what is more is the machine's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tests.support.scripted_provider import chat_exchange

from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Exchange
from mcp_gateway.proxy.layers.metrics import MetricsLayer
from mcp_gateway.proxy.meters import AccountMeters, RouteMeters
from mcp_gateway.telemetry.metrics import Registry

BOUND = 3.0
"""Microseconds that a request may pay for all metrics."""
ROUNDS = 7
TIMES = 50_000


def account(registry: Registry) -> float:
    """What an account counts of an answer."""
    meters = AccountMeters(registry, "kimi")

    def count() -> None:
        meters.ok.value += 1.0
        meters.duration.observe(6.9)
        meters.input_tokens.value += 100
        meters.output_tokens.value += 200
        meters.cost.value += (100 * 0.6 + 200 * 2.5) / 1e6

    return min(_timed(count) for _ in range(ROUNDS))


def _timed(count: Callable[[], None]) -> float:
    before = time.process_time()
    for _ in range(TIMES):
        count()
    return (time.process_time() - before) / TIMES * 1e6


async def layer(registry: Registry, exchange: Exchange) -> float:
    """What the layer around every exchange adds to a call."""
    counting = MetricsLayer(registry, {exchange.route: RouteMeters(registry, exchange.route)})

    async def answer(_: Exchange) -> ChatAnswer | None:
        return None

    async def bare() -> None:
        await answer(exchange)

    async def counted() -> None:
        await counting(exchange, answer)

    found = []
    for _ in range(ROUNDS):
        times = []
        for call in (bare, counted):
            before = time.process_time()
            for _ in range(TIMES):
                await call()
            times.append((time.process_time() - before) / TIMES * 1e6)
        found.append(times[1] - times[0])
    return min(found)


async def total() -> float:
    """Both, in microseconds."""
    registry = Registry()
    exchange = chat_exchange()
    exchange.route = "kimi"
    return await layer(registry, exchange) + account(registry)


def main() -> int:
    """Print the figure; 1 if it is above the bound."""
    cost = asyncio.run(total())
    print(f"metrics cost a chat {cost:.2f} µs of CPU; {BOUND:g} µs are allowed")
    return int(cost > BOUND)


if __name__ == "__main__":
    raise SystemExit(main())
