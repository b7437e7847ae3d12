"""What happens to a fleet while it is tuned, and when: in seconds of the scenario."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.perf.tuning.reference import Kill
from tests.perf.tuning.scenario import LENGTH, Pace
from tests.perf.tuning.world import World

FLEETS = ("blue", "green")
"""Two gateways with one key."""
SCALES = ((300.0, 8), (900.0, 3))
"""When the fleets together are scaled to how many pods; they begin with four."""
OPERATOR_KILLED = (450.0, 1350.0)
API_SERVER_AWAY = (700.0, 760.0)
KILL_EVERY = 30.0
"""Seconds of a clock on the wall, whatever the scale: a process needs its time to start."""


def parts(pods: int) -> tuple[int, int]:
    """How a number of pods is split between the fleets."""
    return (pods + 1) // 2, pods // 2


@dataclass(slots=True)
class Churn:
    """Does it all to a world, in time."""

    world: World
    pace: Pace
    say: Callable[[str], None]
    every: float = KILL_EVERY
    kills: list[Kill] = field(default_factory=list)

    async def run(self, start: float) -> None:
        """Do everything at its time, from `start` of the monotonic clock on."""
        async with asyncio.TaskGroup() as group:
            for moment, what in self._events():
                group.create_task(self._later(start + moment, what), name=what)
            group.create_task(self._kill(start), name="kill pods")

    def _events(self) -> Iterator[tuple[float, str]]:
        for moment, pods in SCALES:
            yield self.pace.at(moment), f"scale {pods}"
        for moment in OPERATOR_KILLED:
            yield self.pace.at(moment), "operator"
        # However short the run, the server is away for its minute.
        yield self.pace.at(API_SERVER_AWAY[0]), "away"
        away = self.pace.real(API_SERVER_AWAY[1] - API_SERVER_AWAY[0])
        yield self.pace.at(API_SERVER_AWAY[0]) + away, "back"

    async def _later(self, moment: float, what: str) -> None:
        await asyncio.sleep(max(0.0, moment - time.monotonic()))
        self.say(what)
        word, _, number = what.partition(" ")
        if word == "scale":
            for name, pods in zip(FLEETS, parts(int(number)), strict=True):
                await self.world.scale(name, pods)
        elif word == "operator":
            self.world.kill_operator()
        elif word == "away":
            self.world.stop_api_server()
        else:
            self.world.start_api_server()

    async def _kill(self, start: float) -> None:
        turn = 0
        while (moment := (turn + 1) * self.every) < self.pace.at(LENGTH) - 1.0:
            await asyncio.sleep(max(0.0, start + moment - time.monotonic()))
            killed = self.world.kill_pod(turn)
            if killed is not None:
                self.kills.append(Kill(time.monotonic() - start, *killed))
            turn += 1
