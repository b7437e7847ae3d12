"""The best there is: one queue that knows the cap at every instant, by discrete events.

It meets the same arrivals, draws the same service times in the order in which requests are let
in, loses the same work when a pod is killed, and needs no time to pass a slot on.
"""

from __future__ import annotations

import collections
import heapq
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.perf.tuning import scenario as life
from tests.perf.tuning.scenario import Pace, Scenario

from mcp_gateway.simulator.law import Law
from mcp_gateway.simulator.settings import compiled


@dataclass(frozen=True, slots=True)
class Kill:
    """A pod's end: when, which in turn, and how many there are."""

    moment: float
    victim: int
    pods: int


@dataclass(slots=True)
class Best:
    """What it reached.

    Attributes:
        offered: requests that came.
        answered: those answered before the end.
        failed: those that waited too long, or were refused too often.
        refused: attempts that the provider refused by itself.
        attempts: all attempts.
    """

    offered: int = 0
    answered: int = 0
    failed: int = 0
    refused: int = 0
    attempts: int = 0


@dataclass(slots=True)
class _Request:
    deadline: float = 0.0
    tries: int = 0
    serial: int = 0


def best(scenario: Scenario, pace: Pace, seed: int, kills: Sequence[Kill] = ()) -> Best:
    """Play a scenario."""
    return _Play(scenario, pace, seed).run(kills)


class _Play:
    def __init__(self, scenario: Scenario, pace: Pace, seed: int) -> None:
        self._scenario, self._pace, self._seed = scenario, pace, seed
        self._result = Best()
        self._events: list[tuple[float, int, str, object]] = []
        self._order = itertools.count()
        self._queue: collections.deque[_Request] = collections.deque()
        self._running: dict[int, _Request] = {}
        self._serial = itertools.count()
        self._patience = pace.real(life.PATIENCE)
        self._jitter = random.Random(f"jitter {seed}")
        self._enter_phase(0)

    def run(self, kills: Sequence[Kill]) -> Best:
        for moment in life.arrivals(self._scenario, self._pace, self._seed):
            self._at(moment, "arrival", None)
        for number, phase in enumerate(self._scenario.phases):
            self._at(self._pace.at(phase.begins), "phase", number)
        for kill in kills:
            self._at(kill.moment, "kill", kill)
        while self._events and self._events[0][0] <= self._pace.length:
            now, _, what, about = heapq.heappop(self._events)
            getattr(self, f"_{what}")(now, about)
            self._fill(now)
        return self._result

    def _at(self, moment: float, what: str, about: object) -> None:
        heapq.heappush(self._events, (moment, next(self._order), what, about))

    def _enter_phase(self, number: int) -> None:
        self._cap = self._scenario.phases[number].cap
        self._law = Law(compiled(life.provider(self._scenario, number, self._pace, self._seed)))

    def _phase(self, _: float, number: int) -> None:
        self._enter_phase(number)

    def _arrival(self, now: float, _: None) -> None:
        self._result.offered += 1
        self._queue.append(_Request(now + self._patience))

    def _again(self, now: float, request: _Request) -> None:
        request.deadline = now + self._patience
        self._queue.append(request)

    def _kill(self, now: float, kill: Kill) -> None:
        lost = [each for each in self._running.values() if each.serial % kill.pods == kill.victim]
        for request in lost:
            del self._running[request.serial]
            request.deadline = now + self._patience
        self._queue.extendleft(lost)

    def _departure(self, _: float, serial: int) -> None:
        if self._running.pop(serial, None) is not None:
            self._result.answered += 1

    def _fill(self, now: float) -> None:
        while self._queue and len(self._running) < self._cap:
            request = self._queue.popleft()
            if request.deadline < now:
                self._result.failed += 1
                continue
            self._result.attempts += 1
            if self._law.failure() is None:
                self._start(now, request)
            else:
                self._refuse(now, request)

    def _start(self, now: float, request: _Request) -> None:
        request.serial = next(self._serial)
        self._running[request.serial] = request
        tokens = self._law.tokens()
        took = self._law.first_token() + tokens * self._law.per_token()
        self._at(now + took, "departure", request.serial)

    def _refuse(self, now: float, request: _Request) -> None:
        self._result.refused += 1
        if request.tries >= life.RETRIES:
            self._result.failed += 1
            return
        wait = self._jitter.uniform(life.RETRY_LEAST, life.RETRY_MOST) * 2.0**request.tries
        request.tries += 1
        self._at(now + self._law.refusal() + self._pace.real(wait), "again", request)
