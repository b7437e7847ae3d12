"""What the gateway adds to an answer's time, at 70 % of the load it can carry.

The provider is asked directly and through the gateway at the same rate, in turns, with
requests at random (Poisson) times; the difference of the percentiles is what was added.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from tests.perf.load import Crowd, Plan

PART_OF_SATURATION = 0.7
MILLISECONDS = 1e3
CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Added:
    """One face's figures.

    Attributes:
        name: the face.
        rate: requests per second, directly and through it.
        direct, through: medians over the rounds.
        added: through less direct.
    """

    name: str
    rate: float
    direct: Percentiles
    through: Percentiles

    @property
    def added(self) -> Percentiles:
        """What the gateway added."""
        return Percentiles(
            self.through.p50 - self.direct.p50,
            self.through.p99 - self.direct.p99,
        )


def percentiles(latencies: list[float]) -> Percentiles:
    """Of latencies in seconds."""
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return Percentiles(cuts[49] * MILLISECONDS, cuts[98] * MILLISECONDS)


def _median(taken: list[Percentiles]) -> Percentiles:
    return Percentiles(
        statistics.median(one.p50 for one in taken),
        statistics.median(one.p99 for one in taken),
    )


async def _run(plan: Plan, rate: float, seconds: float, seed: int) -> Percentiles:
    async with Crowd(plan, CONNECTIONS) as crowd:
        await crowd.closed_loop(CONNECTIONS * 4)
        outcome = await crowd.open_loop(rate, seconds, seed)
    return percentiles(outcome.latencies)


async def added(
    name: str,
    face: Plan,
    direct: Plan,
    *,
    saturation: float,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> Added:
    """Measure one face at 70 % of `saturation` requests a second, `seconds` per round and side."""
    rate = saturation * PART_OF_SATURATION
    alone: list[Percentiles] = []
    through: list[Percentiles] = []
    for number in range(rounds):
        alone.append(await _run(direct, rate, seconds, number))
        through.append(await _run(face, rate, seconds, number))
    say(f"{name} at {rate:,.0f} requests a second")
    return Added(name, rate, _median(alone), _median(through))
