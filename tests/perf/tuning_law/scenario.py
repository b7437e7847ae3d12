"""What happens to an account and its pods, and when: the scenarios of the control law."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

MEAN_SERVICE = 6.9
"""Seconds that a request takes on average."""

EventKind = Literal["add", "remove", "kill", "operator-dies", "api-away", "api-back"]


@dataclass(frozen=True)
class Scenario:
    """One account under a load.

    Attributes:
        name: of the table's row.
        offered: requests that would be in flight if nothing made them wait, by time.
        cap: requests in flight that the provider allows, by time.
        stated: what the document says; None where it says nothing.
        stretch: factor of service times, by time.
        overload: part of the attempts that the provider refuses for its own reasons, by time.
        rpm, tpm: the account's rates; None where it has none.
        minutes: how long it lasts.
        pods: how many there are at the start.
        events: what happens to pods and operator, by second.
    """

    name: str
    offered: Callable[[float], float]
    cap: Callable[[float], int]
    stated: int | None
    stretch: Callable[[float], float] = lambda _: 1.0
    overload: Callable[[float], float] = lambda _: 0.0
    rpm: int | None = None
    tpm: int | None = None
    minutes: float = 30.0
    pods: int = 4
    events: tuple[tuple[float, EventKind], ...] = field(default=())

    def unknown(self) -> Scenario:
        """The same with nothing stated."""
        return replace(self, name=f"{self.name} learned", stated=None)

    def short(self, times: float) -> Scenario:
        """The same in a fraction of the time: what happens to it happens sooner."""

        def sooner(law: Callable[[float], float]) -> Callable[[float], float]:
            return lambda at: law(at * times)

        return replace(
            self,
            offered=sooner(self.offered),
            cap=lambda at: self.cap(at * times),
            stretch=sooner(self.stretch),
            overload=sooner(self.overload),
            minutes=self.minutes / times,
            events=tuple((at / times, kind) for at, kind in self.events),
        )


@dataclass(slots=True)
class Call:
    """One client's request: it arrives, and takes its time at the provider."""

    at: float
    service: float
    tokens: int


def calls(scenario: Scenario, seed: int) -> list[Call]:
    """Draw the requests of a scenario; the same for every controller."""
    rng = random.Random(f"{scenario.name.split()[0]} {seed}")
    end = scenario.minutes * 60.0
    peak = max(scenario.offered(end * n / 1000) for n in range(1000)) / MEAN_SERVICE
    now = 0.0
    drawn: list[Call] = []
    while True:
        now += rng.expovariate(peak)
        if now >= end:
            return drawn
        keep = rng.random() * peak < scenario.offered(now) / MEAN_SERVICE
        first = rng.lognormvariate(math.log(0.8), 0.5)
        tokens = rng.lognormvariate(math.log(200.0), 0.9)
        if keep:
            service = (first + 0.02 * tokens) * scenario.stretch(now)
            drawn.append(Call(now, service, 100 + round(tokens)))


def between(start: float, end: float, inside: float, outside: float) -> Callable[[float], float]:
    """A number that is another one between two minutes."""
    return lambda at: inside if start * 60.0 <= at < end * 60.0 else outside


def whole(law: Callable[[float], float]) -> Callable[[float], int]:
    """The same law in whole numbers."""
    return lambda at: int(law(at))


def always(value: float) -> Callable[[float], float]:
    """The same at any time."""
    return lambda _: value


def churn(minutes: float = 30.0) -> tuple[tuple[float, EventKind], ...]:
    """4 → 8 → 3 pods, one killed every half minute, the operator twice, no API for a minute."""
    found: list[tuple[float, EventKind]] = []
    found += [(360.0 + n, "add") for n in range(4)]
    found += [(1080.0 + n, "remove") for n in range(5)]
    found += [(30.0 * n + 15.0, "kill") for n in range(1, int(minutes * 2) - 1)]
    found += [(500.0, "operator-dies"), (1300.0, "operator-dies")]
    found += [(800.0, "api-away"), (860.0, "api-back")]
    return tuple(sorted(found))


S1 = Scenario("S1", always(130), whole(always(100)), 100)
S2 = Scenario("S2", always(90), whole(between(10, 20, 50, 100)), 100)
S3 = Scenario("S3", always(45), whole(always(200)), 200, stretch=between(10, 20, 2.5, 1))
S4 = Scenario("S4", between(10, 50 / 3, 90, 10), whole(always(100)), 100)
S5 = Scenario("S5", always(80), whole(always(100)), 100, overload=between(10, 20, 0.05, 0))
RPM = Scenario("RPM", always(80), whole(always(100)), 100, rpm=500)
TPM = Scenario("TPM", always(60), whole(always(100)), 100, tpm=150_000)
CHURN = replace(S1, name="S1+churn", events=churn())
CHURN4 = replace(S4, name="S4+churn", events=churn())

ALL = {one.name: one for one in (S1, S2, S3, S4, S5, RPM, TPM, CHURN, CHURN4)}
"""By name."""
