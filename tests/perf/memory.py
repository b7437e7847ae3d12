"""What the gateway holds: alone, with idle WebSockets, and after hours of requests.

All of it is the resident set that the kernel reports. Python and its allocator give little
back, so a figure after load includes the largest load so far; what matters there is that it
stops growing.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.perf import machine
from tests.perf.load import Crowd, Plan

SETTLE = 1.0
SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Idle:
    """KiB resident.

    Attributes:
        alone: a gateway just started.
        websockets: how many idle WebSockets were opened then.
        with_websockets: with them open.
    """

    alone: int
    websockets: int
    with_websockets: int

    @property
    def per_websocket(self) -> float:
        """KiB that one idle WebSocket costs."""
        return (self.with_websockets - self.alone) / self.websockets


@dataclass(frozen=True, slots=True)
class Soak:
    """Resident KiB over a run of mixed requests.

    Attributes:
        seconds: how long it was.
        requests: how many were answered.
        samples: (seconds since the start, resident KiB), evenly spaced.
        files: descriptors open before the first and after the last request.
    """

    seconds: float
    requests: int
    samples: list[tuple[float, int]]
    files: tuple[int, int]

    @property
    def drift(self) -> int:
        """KiB gained after the first quarter, in which caches and pools fill."""
        settled = [kib for moment, kib in self.samples if moment >= self.seconds / 4]
        return settled[-1] - settled[0] if settled else 0


async def idle(pid: int, plan: Plan, websockets: int) -> Idle:
    """Measure a gateway that has served nothing yet."""
    await asyncio.sleep(SETTLE)
    alone = machine.resident_kib(pid)
    async with Crowd(plan, websockets):
        await asyncio.sleep(SETTLE)
        with_websockets = machine.resident_kib(pid)
    return Idle(alone, websockets, with_websockets)


async def soak(
    pid: int,
    plans: Sequence[Plan],
    *,
    seconds: float,
    connections: int,
    say: Callable[[str], None],
) -> Soak:
    """Send requests of all plans in turns for about `seconds`, and watch the resident set.

    Connections are opened anew for every turn, so that what a connection leaves behind shows.
    """
    files_before = machine.open_files(pid)
    started = time.perf_counter()
    samples = [(0.0, machine.resident_kib(pid))]
    requests, next_sample = 0, seconds / SAMPLES
    for plan in itertools.cycle(plans):
        async with Crowd(plan, connections) as crowd:
            requests += (await crowd.closed_loop(connections * 50)).requests
        elapsed = time.perf_counter() - started
        if elapsed >= next_sample:
            samples.append((elapsed, machine.resident_kib(pid)))
            next_sample += seconds / SAMPLES
            say(f"soak: {elapsed:.0f} s, {requests:,} requests, {samples[-1][1]:,} KiB")
        if elapsed >= seconds:
            break
    await asyncio.sleep(SETTLE)
    elapsed = time.perf_counter() - started
    samples.append((elapsed, machine.resident_kib(pid)))
    return Soak(elapsed, requests, samples, (files_before, machine.open_files(pid)))
