"""One run: a scenario, a controller, with or without churn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.perf import machine
from tests.perf.tuning import scenario as life
from tests.perf.tuning.churn import FLEETS, SCALES, Churn, parts
from tests.perf.tuning.provider import Provider
from tests.perf.tuning.reference import Kill, best
from tests.perf.tuning.scenario import Pace, Scenario
from tests.perf.tuning.world import KEY, LoadProcess, World
from tests.support.gateway_process import simulator
from tests.support.kubernetes import Cluster, Object

PODS = 4
SETTLE = 2.0
SAMPLE_EVERY = 0.25

Work = Coroutine[Any, Any, None]
Figures = Callable[[], Awaitable[dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Controller:
    """Who decides how many requests a pod may have in flight.

    Attributes:
        name: for tables.
        mode: of `tuning`; empty for static pools without a gateway.
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
    "off": Controller("mode Off, each pod told the limit", "Off"),
    "full": Controller("static pools, each the limit", ""),
    "divided": Controller("static pools, each its part", "", divided=True),
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
        changes: what the status says of the ceiling's last changes.
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
    changes: list[str] = field(default_factory=list)
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
        with simulator() as process:
            async with Provider(process) as provider:
                await provider.configure(life.provider(scenario, 0, pace, seed))
                play = _Play(run, scenario, controller, pace, seed, provider, self._say)
                if controller.mode:
                    await play.gateways(self._cluster, self._folder)
                else:
                    await play.pools()
        run.kills = len(play.kills)
        run.best = best(scenario, pace, seed, play.kills).answered
        return run


class _Play:
    """One run under way."""

    def __init__(
        self, run: Run, scenario: Scenario, controller: Controller, pace: Pace, seed: int,
        provider: Provider, say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._run, self._scenario, self._controller = run, scenario, controller
        self._pace, self._seed, self._provider, self._say = pace, seed, provider, say
        self.kills: list[Kill] = []

    async def gateways(self, cluster: Cluster, folder: Path) -> None:
        """Play it through a fleet, or two with one key where there is churn."""
        run = self._run
        limits = self._controller.limits(run.stated, PODS)
        fleets = list(zip(FLEETS, parts(PODS), strict=True)) if run.churn else [(FLEETS[0], PODS)]
        async with (
            LoadProcess() as load,
            World(
                cluster, self._provider.url, folder, self._pace,
                lambda pods: load.tell(pods=pods),
            ) as world,
        ):  # fmt: skip
            for name, replicas in fleets:
                await world.create(
                    name, replicas=replicas, mode=self._controller.mode, limits=limits
                )
            await asyncio.sleep(SETTLE)
            churn = Churn(world, self._pace, self._say)
            operator, cpu = world.operator, machine.cpu_seconds([world.operator.pid])
            await self._measure(load, world.figures, churn.run if run.churn else None)
            self.kills = churn.kills
            run.changes = await world.changes(FLEETS[0])
            if world.operator is operator:
                run.cpu = machine.cpu_seconds([operator.pid]) - cpu

    async def pools(self) -> None:
        """Play it through static pools, whose number changes where there is churn."""
        provider, size = self._provider, self._controller.limits(self._run.stated, PODS)
        async with LoadProcess("static") as load:
            where = [provider.host, provider.port, KEY]
            load.tell(provider=where, size=size["concurrency"], scale=self._pace.scale)
            load.tell(pools=PODS)

            async def scale(start: float) -> None:
                for moment, pods in SCALES:
                    at = start + self._pace.at(moment)
                    await asyncio.sleep(max(0.0, at - time.monotonic()))
                    load.tell(pools=pods)

            async def figures() -> dict[str, float]:
                return {}

            await self._measure(load, figures, scale if self._run.churn else None)

    async def _measure(
        self, load: LoadProcess, figures: Figures, churn: Callable[[float], Work] | None
    ) -> None:
        run, pace = self._run, self._pace
        await self._provider.forget()
        start = time.monotonic() + 0.2
        load.tell(start=start, scenario=run.scenario, pace=[pace.scale, pace.part], seed=self._seed)
        work = [
            self._watch(start, figures),
            self._change(start),
            *([churn(start)] if churn else []),
        ]
        tasks = [asyncio.create_task(each) for each in work]
        try:
            told = await load.result(pace.length + 30.0)
            await tasks[1]
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception):
                    self._say(f"failed meanwhile: {ended!r}")
        await self._count(self._scenario.phases[-1].cap)
        run.offered, run.answered = told["offered"], told["answered"]
        run.failed, run.p50, run.p99 = told["failed"], told["p50"], told["p99"]

    async def _watch(self, start: float, figures: Figures) -> None:
        """Take samples until cancelled."""
        at = 0.0
        while True:
            await asyncio.sleep(max(0.0, start + at - time.monotonic()))
            stats, shown = await self._provider.stats(), await figures()
            moment = at * self._pace.scale / self._pace.part
            phase = self._scenario.phases[self._scenario.phase(moment)]
            self._run.samples.append(
                Sample(
                    at, phase.cap, stats.get("in_flight", 0), shown.get("ceiling"),
                    shown.get("granted"), shown.get("waiting"),
                )
            )  # fmt: skip
            at += SAMPLE_EVERY

    async def _change(self, start: float) -> None:
        """Have the provider enter each phase at its time."""
        for number, phase in enumerate(self._scenario.phases[1:], 1):
            at = start + self._pace.at(phase.begins)
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            settings = life.provider(self._scenario, number, self._pace, self._seed)
            before = self._scenario.phases[number - 1]
            # What is refused between the two belongs to the phase with the lower limit.
            if phase.cap < before.cap:
                await self._count(before.cap)
                await self._provider.configure(settings)
            else:
                await self._provider.configure(settings)
                await self._count(before.cap)

    async def _count(self, cap: int) -> None:
        """Add what the provider counted in a phase."""
        stats, run = await self._provider.stats(), self._run
        await self._provider.forget()
        run.attempts += stats.get("requests", 0)
        run.refused += sum(stats.get("refused", {}).values())
        run.others += sum(stats.get("failed", {}).values())
        run.most = max(run.most, stats.get("max_in_flight", 0))
        if cap == run.stated:
            run.over += stats.get("refused", {}).get("concurrency", 0)
