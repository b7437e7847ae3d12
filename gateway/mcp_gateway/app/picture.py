"""The gateway's state as people and Prometheus see it: one picture, drawn when asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from mcp_gateway.app.tuning_picture import limit_samples, tuning_picture
from mcp_gateway.limits.breaker import BreakerState, CircuitBreaker
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.engine import Engine
from mcp_gateway.proxy.governor import Governor
from mcp_gateway.proxy.router import Route
from mcp_gateway.recording.stats import RecorderStats
from mcp_gateway.server.listener import ListenerStats
from mcp_gateway.telemetry import definitions as metric
from mcp_gateway.telemetry.metrics import Sample
from mcp_gateway.telemetry.tracing import SpanStats

_BREAKER = {"closed": 0.0, "half_open": 0.5, "open": 1.0}


def account_picture(account: Account, governor: Governor, now: float) -> dict[str, Any]:
    """One provider, JSON-ready. Holds no credential."""
    return {
        "name": account.name,
        "type": account.spec.type,
        "endpoints": [endpoint.url for endpoint in account.spec.effective_endpoints()],
        "pool": asdict(account.pool.stats()),
        "breaker": {
            "state": account.breaker.state.value,
            "retryAfter": round(account.breaker.retry_after(now), 3),
        },
        "rates": account.rates.levels(now),
        "tuning": tuning_picture(account, governor, now),
        "lastError": account.last_error,
    }


def route_picture(route: Route) -> dict[str, Any]:
    """One route, JSON-ready."""
    return {
        "name": route.name,
        "strategy": route.strategy.__name__,
        "backends": [
            {
                "provider": backend.provider,
                "model": backend.model,
                "priority": backend.priority,
                "weight": backend.weight,
                "available": backend.load.available(),
            }
            for backend in route.backends
        ],
    }


def account_samples(engine: Engine, now: float) -> Iterator[Sample]:
    """Gauges of every account, read at a scrape."""
    for name, account in engine.accounts.live.items():
        stats = account.pool.stats()
        for state in ("connecting", "idle", "in_flight"):
            yield metric.CONNECTIONS, (name, state), float(getattr(stats, state))
        yield metric.WAITING, (name,), float(stats.waiting)
        yield metric.LIMIT, (name,), float(stats.limit)
        yield metric.WAIT_SECONDS, (name,), stats.wait_sum
        yield metric.WAITS, (name,), float(stats.wait_count)
        yield from limit_samples(account, now)
        yield metric.BREAKER_OPEN, (name,), openness(account.breaker, now)


def openness(breaker: CircuitBreaker, now: float) -> float:
    """How far a breaker keeps requests away: 1 all of them, 0.5 all but probes, 0 none."""
    # Nobody asked since its time was up: it says open, and would let the next one through.
    due = breaker.state is BreakerState.OPEN and breaker.retry_after(now) == 0.0
    return _BREAKER[(BreakerState.HALF_OPEN if due else breaker.state).value]


def tracing_samples(stats: SpanStats) -> Iterator[Sample]:
    """What became of the spans, read at a scrape."""
    for outcome in ("exported", "dropped", "failed"):
        yield metric.SPANS, (outcome,), float(getattr(stats, outcome))


def listener_samples(stats: ListenerStats) -> Iterator[Sample]:
    """The main port, read at a scrape."""
    yield metric.DOWNSTREAM_CONNECTIONS, ("http",), float(stats.connections - stats.websockets)
    yield metric.DOWNSTREAM_CONNECTIONS, ("websocket",), float(stats.websockets)
    yield metric.REQUESTS_IN_FLIGHT, (), float(stats.exchanges)
    yield metric.DOWNSTREAM_ACCEPTED, ("accepted",), float(stats.accepted)
    yield metric.DOWNSTREAM_ACCEPTED, ("refused",), float(stats.refused)
    yield metric.MALFORMED, (), float(stats.malformed)


def recording_samples(stats: RecorderStats) -> Iterator[Sample]:
    """What became of the records, read at a scrape."""
    yield metric.RECORDS, ("recorded",), float(stats.recorded)
    for reason, count in stats.dropped.items():
        yield metric.RECORDS_DROPPED, (reason,), float(count)
    yield metric.SPOOL_BYTES, (), float(stats.spool_bytes)
    if stats.shipper is not None:
        yield metric.RECORDS, ("shipped",), float(stats.shipper.shipped)
        yield metric.RECORDS, ("dead_lettered",), float(stats.shipper.dead_lettered)
        yield metric.RECORDING_LAG, (), stats.shipper.lag
