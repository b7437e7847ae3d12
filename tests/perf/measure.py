"""Rounds: what one request, or one chunk of a stream, costs a process in CPU time.

Figures of different rounds are only ever compared within their round: every row runs in every
round, one after the other, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.perf import machine
from tests.perf.load import Crowd, Plan

MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that is measured.

    Attributes:
        name: for the table.
        plan: what the load generator does.
        pids: the processes whose CPU time counts.
        per_event: divide by events of the streams, not by requests.
        yardstick: name of the row whose figure this one is divided by; empty for none.
    """

    name: str
    plan: Plan
    pids: list[int]
    per_event: bool = False
    yardstick: str = ""


@dataclass(slots=True)
class Samples:
    """One row's figures, one of each kind per round.

    Attributes:
        cpu: microseconds of CPU per request or event.
        rate: requests per second, as far as this load generator drove it.
    """

    cpu: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)


async def _once(row: Row, requests: int, connections: int, samples: Samples | None) -> None:
    async with Crowd(row.plan, connections) as crowd:
        # Pools grow and caches fill before the clock is read.
        await crowd.closed_loop(connections * (1 if row.per_event else 4))
        before = machine.cpu_seconds(row.pids)
        outcome = await crowd.closed_loop(requests)
        used = machine.cpu_seconds(row.pids) - before
    if samples is not None:
        count = outcome.events if row.per_event else outcome.requests
        samples.cpu.append(used / count * MICROSECONDS)
        samples.rate.append(outcome.requests / outcome.seconds)


async def rounds(
    rows: Sequence[Row],
    *,
    count: int,
    requests: int,
    connections: int,
    say: Callable[[str], None],
) -> dict[str, Samples]:
    """Measure every row `count` times, interleaved, after one round that is thrown away."""
    taken = {row.name: Samples() for row in rows}
    for number in range(count + 1):
        for row in rows:
            warm_up = number == 0
            sent = min(requests, max(connections, requests // 4)) if warm_up else requests
            await _once(row, sent, connections, None if warm_up else taken[row.name])
            await asyncio.sleep(0.1)  # what a peer puts off until later is not the next row's
        say("warm-up done" if number == 0 else f"round {number} of {count}")
    return taken


def ratio(row: Samples, yardstick: Samples) -> float:
    """Return the median of the ratios of each round."""
    return statistics.median(
        ours / theirs for ours, theirs in zip(row.cpu, yardstick.cpu, strict=True)
    )
