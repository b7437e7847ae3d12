"""Takes the picture of a pool that `PoolStats` is."""

from __future__ import annotations

from mcp_gateway.concurrency.wait_queue import WaitQueue
from mcp_gateway.upstream.lane import Lane, Lanes
from mcp_gateway.upstream.lease import Lease
from mcp_gateway.upstream.opener import Opener
from mcp_gateway.upstream.settings import PoolSettings
from mcp_gateway.upstream.stats import Counters, LaneStats, PoolState, PoolStats
from mcp_gateway.upstream.stock import Stock


def picture(
    *,
    name: str,
    state: PoolState,
    settings: PoolSettings,
    lanes: Lanes,
    queue: WaitQueue[Lease],
    stock: Stock,
    opener: Opener,
    counters: Counters,
    warm: int,
    now: float,
) -> PoolStats:
    """Put together what the parts of one pool know at this moment."""
    root = lanes.root
    return PoolStats(
        name=name,
        state=state,
        connecting=opener.connecting,
        idle=len(stock.idle),
        in_flight=root.in_flight,
        waiting=queue.size,
        capacity=settings.capacity,
        limit=root.limit.limit,
        share=root.limit.share,
        in_flight_at_refusal=root.limit.in_flight_at_refusal,
        lanes={lane.name: _lane(lane, queue) for lane in lanes},
        endpoints=opener.health.picture(now),
        acquired=counters.acquired,
        timeouts=counters.timeouts,
        saturated=counters.saturated,
        abandoned=counters.abandoned,
        refused=counters.refused,
        created=stock.created,
        connect_failures=opener.failures,
        closed=dict(stock.closed),
        wait_sum=root.waits.seconds,
        wait_count=root.waits.count,
        warm=warm,
        last_error=opener.last_error,
    )


def _lane(lane: Lane, queue: WaitQueue[Lease]) -> LaneStats:
    return LaneStats(
        in_flight=lane.in_flight,
        waiting=queue.waiting(lane.name),
        limit=lane.limit.limit,
        share=lane.limit.share,
        in_flight_at_refusal=lane.limit.in_flight_at_refusal,
        refused=lane.limit.refusals,
    )
