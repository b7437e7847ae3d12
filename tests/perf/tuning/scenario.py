"""The scenarios, exactly: who asks how often, what the provider allows, how long answers take.

All times are seconds of the scenario. A `Pace` says how much faster than life it is played: the
same factor for service times, waits, refusals and the operator's ticks.
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from mcp_gateway.api.simulator import SimulatorSettings

FIRST_TOKEN = 0.8, 0.5
"""Median and sigma of the seconds before the first token."""
TOKENS = 200, 0.9
"""Median and sigma of an answer's tokens."""
PER_TOKEN = 0.02
REFUSAL = 0.1, 0.25
"""Median and sigma of the seconds that a refusal takes: 50 to 150 ms, but for one in 200."""
PATIENCE = 15.0
"""Seconds after which a request that waits has failed."""
RETRIES = 3
RETRY_LEAST, RETRY_MOST = 0.5, 1.5
"""Seconds before a refused request is tried again, doubled each time: the first is the
provider's word, the second the gateway's `backoffFactor`, whose jitter begins at nothing."""
MEAN = FIRST_TOKEN[0] * math.exp(FIRST_TOKEN[1] ** 2 / 2) + PER_TOKEN * TOKENS[0] * math.exp(
    TOKENS[1] ** 2 / 2
)
"""Mean service time, 6.9 s: offered x means x / MEAN requests a second."""
LENGTH = 1800.0
MODEL = "kimi-k2.6"


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a scenario in which nothing changes.

    Attributes:
        begins: seconds of the scenario.
        offered: requests that would be in flight were there no limit.
        cap: what the account may have in flight.
        slower: factor of the service time.
        overload: part of the attempts that get an overload 429.
    """

    begins: float
    offered: float
    cap: int
    slower: float = 1.0
    overload: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of them; `stated` is the account's limit as its owner knows it."""

    name: str
    title: str
    stated: int
    phases: tuple[Phase, ...]

    def phase(self, moment: float) -> int:
        """The number of the phase at a moment."""
        return bisect.bisect_right([phase.begins for phase in self.phases], moment) - 1


SCENARIOS = {
    each.name: each
    for each in (
        Scenario("S1", "always too much", 100, (Phase(0, 130, 100),)),
        Scenario("S2", "the provider halves the limit", 100,
                 (Phase(0, 90, 100), Phase(600, 90, 50), Phase(1200, 90, 100))),
        Scenario("S3", "answers take 2.5 times as long", 200,
                 (Phase(0, 45, 200), Phase(600, 45, 200, slower=2.5), Phase(1200, 45, 200))),
        Scenario("S4", "a burst", 100,
                 (Phase(0, 10, 100), Phase(600, 90, 100), Phase(1000, 10, 100))),
        Scenario("S5", "the provider is overloaded", 100,
                 (Phase(0, 80, 100), Phase(600, 80, 100, overload=0.05), Phase(1200, 80, 100))),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pace:
    """How a scenario is played.

    Attributes:
        scale: seconds of the scenario in a second.
        part: part of the scenario's length that is played; its phases shrink with it.
    """

    scale: float = 12.0
    part: float = 1.0

    @property
    def length(self) -> float:
        """Seconds of a run."""
        return LENGTH * self.part / self.scale

    def real(self, seconds: float) -> float:
        """How long a duration of the scenario takes."""
        return seconds / self.scale

    def at(self, moment: float) -> float:
        """When a moment of the whole scenario comes, in seconds from the start."""
        return moment * self.part / self.scale


def arrivals(scenario: Scenario, pace: Pace, seed: int) -> Iterator[float]:
    """Moments at which requests come, in seconds from the start: Poisson, phase by phase."""
    dice = random.Random(f"arrivals {seed}")
    ends = [*(pace.at(phase.begins) for phase in scenario.phases[1:]), pace.length]
    moment = 0.0
    for phase, end in zip(scenario.phases, ends, strict=True):
        rate = phase.offered / MEAN * pace.scale
        # What was drawn beyond a phase's end is drawn anew: a Poisson process has no memory.
        while (following := moment + dice.expovariate(rate)) < end:
            moment = following
            yield moment
        moment = end


def provider(scenario: Scenario, number: int, pace: Pace, seed: int) -> SimulatorSettings:
    """The simulated provider in a phase; each phase has draws of its own."""
    phase = scenario.phases[number]
    factor = phase.slower / pace.scale
    failures = [{"kind": "overload", "ratio": phase.overload}] if phase.overload else []
    return SimulatorSettings.model_validate(
        {
            "wire": "kimi",
            "concurrency": phase.cap,
            "latency": {
                "firstToken": {"median": FIRST_TOKEN[0] * factor, "sigma": FIRST_TOKEN[1]},
                "perToken": {"median": PER_TOKEN * factor},
                "refusal": {"median": pace.real(REFUSAL[0]), "sigma": REFUSAL[1]},
            },
            "answerTokens": {"median": TOKENS[0], "sigma": TOKENS[1]},
            "failures": failures,
            "retryAfter": pace.real(RETRY_LEAST),
            "seed": seed * 10 + number,
        }
    )
