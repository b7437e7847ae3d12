"""One run: a scenario, a controller, with or without churn."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.perf import machine
from tests.perf.tuning import scenario as life
from tests.perf.tuning.churn import FLEETS, Churn, parts
from tests.perf.tuning.reference import best
from tests.perf.tuning.scenario import Pace, Scenario
from tests.perf.tuning.world import LoadProcess, World
from tests.support.gateway_process import simulator
from tests.support.kubernetes import Cluster, Object

PODS = 4
SETTLE = 2.0
SAMPLE_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class Controller:
    """Who decides how many requests a pod may have in flight.

    Attributes:
        name: for tables.
        mode: of `tuning`.
        known: whether the document states the account's limit.
        divided: whether it states a pod's part of it only.
    """

    name: str
    mode: str
    known: bool = True
    divided: bool = False

    def limits(self, stated: int, pods: int) -> Object:
        """The document's `limits`."""
        if not self.known:
            return {}
        return {"concurrency": max(1, stated // pods) if self.divided else stated}


CONTROLLERS = {
    "given": Controller("tuned, limit given", "Auto"),
    "unknown": Controller("tuned, limit unknown", "Auto", known=False),
    "full": Controller("static, each pod the limit", "Off"),
    "divided": Controller("static, each pod its part", "Off", divided=True),
}


@dataclass(slots=True)
class Sample:
    """A moment of a run; seconds from its start. What is not known is None."""

    at: float
    cap: int
    in_flight: int
    ceiling: float | None = None
    granted: float | None = None
    waiting: float | None = None


@dataclass(slots=True)
class Run:
    """What a run found.

    Attributes:
        offered, answered, failed: requests, within the run's time.
        best: answered by the reference.
        attempts: at the provider.
        refused: attempts refused for a limit.
        others: attempts refused as the scenario wants it.
        most: the most in flight that the provider saw.
        over: refusals for concurrency while the provider allowed what was stated.
        stated: the account's limit, which the document of an `unknown` one does not say.
        cpu: seconds of the operator.
    """

    scenario: str
    controller: str
    churn: bool
    seconds: float
    offered: int = 0
    answered: int = 0
    best: int = 0
    attempts: int = 0
    refused: int = 0
    others: int = 0
    most: int = 0
    over: int = 0
    stated: int = 0
    cpu: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    failed: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    unknown: bool = False
    samples: list[Sample] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """Percent of the best."""
        return 100.0 * self.answered / max(1, self.best)

    @property
    def refused_percent(self) -> float:
        """Refused attempts in a hundred, without those that are not ours."""
        return 100.0 * self.refused / max(1, self.attempts)


class Stage:
    """Plays a run."""

    def __init__(self, cluster: Cluster, folder: Path, say: Callable[[str], None]) -> None:
        self._cluster, self._folder, self._say = cluster, folder, say

    async def play(
        self, scenario: Scenario, controller: Controller, pace: Pace, seed: int, *, churn: bool
    ) -> Run:
        """Play a scenario from its first request to its last."""
        run = Run(scenario.name, controller.name, churn, pace.length)
        run.stated, run.unknown = scenario.stated, not controller.known
        with simulator() as provider:
            async with (
                LoadProcess() as load,
                World(
                    self._cluster, provider, self._folder, pace, lambda pods: load.tell(pods=pods)
                ) as world,
            ):
                await world.configure(life.provider(scenario, 0, pace, seed))
                limits = controller.limits(scenario.stated, PODS)
                for name, replicas in self._fleets(churn):
                    await world.create(name, replicas=replicas, mode=controller.mode, limits=limits)
                await asyncio.sleep(SETTLE)
                shaken = Churn(world, pace, self._say)
                await self._measure(run, scenario, pace, seed, world, load, shaken)
        run.kills = len(shaken.kills)
        run.best = best(scenario, pace, seed, shaken.kills).answered
        return run

    @staticmethod
    def _fleets(churn: bool) -> list[tuple[str, int]]:
        if churn:
            return list(zip(FLEETS, parts(PODS), strict=True))
        return [("blue", PODS)]

    async def _measure(
        self, run: Run, scenario: Scenario, pace: Pace, seed: int, world: World,
        load: LoadProcess, churn: Churn,
    ) -> None:  # fmt: skip
        await world.forget_stats()
        begun, cpu = world.operator, machine.cpu_seconds([world.operator.pid])
        start = time.monotonic() + 0.2
        load.tell(start=start, scenario=scenario.name, pace=[pace.scale, pace.part], seed=seed)
        watching = asyncio.create_task(watch(run, scenario, pace, start, world))
        changing = asyncio.create_task(change(run, scenario, pace, seed, start, world))
        shaking = asyncio.create_task(churn.run(start)) if run.churn else None
        try:
            told = await load.result(pace.length + 30.0)
            await changing
        finally:
            for task in (watching, changing, shaking):
                if task is not None:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
        await count(run, scenario.phases[-1].cap, world)
        run.offered, run.answered = told["offered"], told["answered"]
        run.failed, run.p50, run.p99 = told["failed"], told["p50"], told["p99"]
        if world.operator is begun:
            run.cpu = machine.cpu_seconds([world.operator.pid]) - cpu


async def watch(run: Run, scenario: Scenario, pace: Pace, start: float, world: World) -> None:
    """Take samples until cancelled."""
    at = 0.0
    while True:
        await asyncio.sleep(max(0.0, start + at - time.monotonic()))
        stats = await world.stats()
        figures = await world.figures()
        phase = scenario.phases[scenario.phase(at * pace.scale / pace.part)]
        run.samples.append(
            Sample(
                at, phase.cap, stats.get("in_flight", 0), figures.get("ceiling"),
                figures.get("granted"), figures.get("waiting"),
            )
        )  # fmt: skip
        at += SAMPLE_EVERY


async def change(
    run: Run, scenario: Scenario, pace: Pace, seed: int, start: float, world: World
) -> None:
    """Have the provider enter each phase at its time."""
    for number, phase in enumerate(scenario.phases[1:], 1):
        await asyncio.sleep(max(0.0, start + pace.at(phase.begins) - time.monotonic()))
        settings, before = life.provider(scenario, number, pace, seed), scenario.phases[number - 1]
        # What is refused between the two belongs to the phase with the lower limit.
        if phase.cap < before.cap:
            await count(run, before.cap, world)
            await world.configure(settings)
        else:
            await world.configure(settings)
            await count(run, before.cap, world)


async def count(run: Run, cap: int, world: World) -> None:
    """Add what the provider counted in a phase."""
    stats: dict[str, Any] = await world.stats()
    await world.forget_stats()
    refused = sum(stats.get("refused", {}).values())
    run.attempts += stats.get("requests", 0)
    run.refused += refused
    run.others += sum(stats.get("failed", {}).values())
    run.most = max(run.most, stats.get("max_in_flight", 0))
    if cap == run.stated:
        run.over += stats.get("refused", {}).get("concurrency", 0)
