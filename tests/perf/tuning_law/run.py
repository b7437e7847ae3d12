"""One scenario under one controller, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.perf.tuning_law.pod import Pod, Queue, Request
from tests.perf.tuning_law.scenario import Call, Scenario, calls
from tests.perf.tuning_law.world import Clock, Provider

from mcp_gateway.api import AccountLimits
from mcp_gateway.api.control import Grant, Report
from mcp_gateway_operator.tuning import AccountSpec, Change, Decision, Pace, PodState, Tuner, frees

Controller = Literal["law", "oracle", "full", "split"]
"""The tuner; a single queue that knows the cap at every instant; each pod the full limit; each
pod the limit ÷ pods."""

WIRE = 0.004
"""Seconds that a message of the control channel takes."""
HURRY = 0.1
"""Seconds between two decisions at least, however urgent the news."""
AWAY = 15.0
"""Seconds until another operator has noticed that the leader is gone."""
BACK = 1.0
"""Seconds until a killed container runs again."""
SITE = ("default/gateway", "kimi")


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        answered: requests that were.
        tokens: of those; begun_tokens: of those that the provider let in.
        attempts, refused, overloads: at the provider; overloads are the scenario's own.
        most: the most in flight; over: the most by which that was above the cap.
        grants: messages to pods.
        changes: what would have been told to people.
        curve: by second, the ceiling and what was in flight.
    """

    answered: int = 0
    tokens: int = 0
    begun_tokens: int = 0
    attempts: int = 0
    refused: int = 0
    overloads: int = 0
    most: int = 0
    over: int = 0
    grants: int = 0
    changes: list[Change] = field(default_factory=list)
    curve: list[tuple[float, int, int]] = field(default_factory=list)

    @property
    def refusal_percent(self) -> float:
        """Refusals per hundred attempts, without the scenario's own."""
        return 100.0 * self.refused / max(1, self.attempts)


class Fleet:
    """Pods, and what deals requests to them."""

    def __init__(self, scenario: Scenario, controller: Controller, seed: int) -> None:
        self.scenario, self.controller = scenario, controller
        self.clock = Clock()
        self.rng = random.Random(f"{controller} {seed}")
        chance = random.Random(f"overload {seed}").random
        self.provider = Provider(self.clock, scenario, chance)
        self.outcome = Outcome()
        self.pods: dict[str, Pod] = {}
        self.born: dict[str, float] = {}
        self.reports: dict[str, tuple[float, Report]] = {}
        self._shared = Queue(scenario.cap(0.0))
        self._deal = 0
        self._made = 0
        self.acknowledged: Callable[[], None] = lambda: None
        for _ in range(scenario.pods):
            self.add()

    def add(self) -> None:
        """Start a pod."""
        self._made += 1
        name = f"pod-{self._made:02}"
        law, n = self.controller, self.scenario.pods
        stated = self.scenario.stated
        rates = (self.scenario.rpm, self.scenario.tpm)
        if law == "law":
            queue = Queue(0 if stated is not None else 2)
            rates = (0 if rates[0] else None, 0 if rates[1] else None)
        elif law == "oracle":
            queue = self._shared
        else:
            queue = Queue(None if stated is None else stated // (n if law == "split" else 1))
            parts = [None if rate is None else rate // n for rate in rates]
            rates = (parts[0], parts[1]) if law == "split" else rates
        self.pods[name] = Pod(
            name,
            self.clock,
            self.provider,
            self.rng,
            queue=queue,
            governed=law == "law",
            shared=law == "oracle",
            rates=rates,
            lookup=self.pods.get,
            done=self._done,
            report=self._report,
        )
        self.born[name] = self.clock.now
        if law == "law":
            self.pods[name].report()

    def _done(self, call: Call) -> None:
        self.outcome.answered += 1
        self.outcome.tokens += call.tokens

    def _report(self, pod: Pod, report: Report) -> None:
        self.clock.after(WIRE, lambda: self._arrive(pod.name, report))

    def _arrive(self, name: str, report: Report) -> None:
        _, before = self.reports.get(name, (0.0, None))
        self.reports[name] = (self.clock.now, report)
        if before is None or frees(before, report):
            self.acknowledged()

    def deal(self, call: Call) -> None:
        """Give a client's request to the next pod that serves."""
        serving = [pod for pod in self.pods.values() if pod.alive and not pod.draining]
        if serving:
            self._deal += 1
            pod = serving[self._deal % len(serving)]
            pod.take(Request(call, pod))

    def shift_cap(self) -> None:
        """Let the oracle know the cap of this moment."""
        cap = self.scenario.cap(self.clock.now)
        if cap != self._shared.limit:
            self._shared.limit = cap
            next(iter(self.pods.values())).start()

    def happen(self, kind: str) -> None:
        """Let something happen to the pods."""
        if kind == "add":
            self.add()
        elif kind == "kill":
            alive = [pod for pod in self.pods.values() if pod.alive and not pod.draining]
            pod = alive[int(self.clock.now) % len(alive)]
            pod.die()
            for other in self.pods.values():
                other.start()
            self.clock.after(BACK, pod.live_again)
        elif kind == "remove":
            serving = [pod for pod in self.pods.values() if not pod.draining]
            serving[-1].draining = True

    def look(self, slowly: float) -> None:
        """Let pods report that have something to say."""
        for pod in self.pods.values():
            if pod.alive:
                pod.look(slowly)

    def result(self) -> Outcome:
        """What came of it."""
        outcome, provider = self.outcome, self.provider
        outcome.begun_tokens = provider.begun_tokens
        outcome.attempts, outcome.refused = provider.attempts, provider.refused
        outcome.overloads = provider.overloads
        outcome.most, outcome.over = provider.most, provider.over
        return outcome

    def sweep(self) -> None:
        """Let pods that have drained be gone."""
        for name in [n for n, pod in self.pods.items() if pod.draining and pod.idle]:
            del self.pods[name]
            self.reports.pop(name, None)


class Operator:
    """Runs the tuner once a second, as the operator does."""

    def __init__(self, fleet: Fleet, pace: Pace) -> None:
        self._fleet, self._pace = fleet, pace
        self._epoch = 0
        self._known: dict[tuple[str, str, str], int] = {}
        self._tuner: Tuner | None = None
        self._began = 0.0
        self._up_at = 0.0
        self._api = True
        self._soon = False
        self._ticked = 0.0
        fleet.acknowledged = self._hurry
        scenario = fleet.scenario
        limits = AccountLimits(
            concurrency=scenario.stated,
            requests_per_minute=scenario.rpm,
            tokens_per_minute=scenario.tpm,
        )
        self._specs = {
            SITE: AccountSpec("Auto", frozen=False, limits=limits, by_model=False, pod_cap=None,
                              largest_replicas=8)
        }  # fmt: skip

    def _greet(self) -> None:
        """Push the configuration to pods that have not heard of this leadership."""
        for pod in self._fleet.pods.values():
            if pod.alive and pod.epoch < self._epoch:
                self._fleet.clock.after(WIRE, lambda pod=pod: pod.hear(self._epoch))  # type: ignore[misc]

    def happen(self, kind: str) -> None:
        """Let something happen to the operator."""
        now = self._fleet.clock.now
        if kind == "operator-dies":
            self._tuner, self._up_at = None, now + AWAY
        elif kind in {"api-away", "api-back"}:
            self._api = kind == "api-back"

    def _lead(self) -> Tuner:
        self._epoch += 1
        self._began = self._fleet.clock.now
        self._fleet.reports.clear()
        return Tuner(self._pace, self._epoch, self._known)

    def _hurry(self) -> None:
        """Decide soon: a pod gave something up, or is another process."""
        if not self._soon:
            self._soon = True
            now = self._fleet.clock.now
            self._fleet.clock.at(max(now, self._ticked + HURRY * self._pace.tick), self._hurried)

    def _hurried(self) -> None:
        self._soon = False
        self.tick()

    def tick(self) -> None:
        """Decide once, if there is an operator and an API."""
        fleet, now = self._fleet, self._fleet.clock.now
        self._ticked = now
        if now < self._up_at or not self._api:
            return
        if self._tuner is None:
            self._tuner = self._lead()
        self._greet()
        decision = self._tuner.tick(now, self._states(), self._specs)
        self._send(decision)
        view = next(iter(decision.views.get(SITE, ())), None)
        if view is not None and view.ceiling is not None:
            self._known = {(*SITE, ""): view.ceiling}
            fleet.outcome.curve.append((now, view.ceiling, fleet.provider.in_flight))
        fleet.outcome.changes += decision.changes

    def _states(self) -> Sequence[PodState]:
        fleet, found = self._fleet, []
        for name, pod in fleet.pods.items():
            heard, report = fleet.reports.get(name, (None, None))
            found.append(
                PodState(
                    gateway=SITE[0], uid=name, name=name, address=name, connected=pod.alive,
                    deleting=pod.draining, born_here=fleet.born[name] >= self._began,
                    heard=heard, report=report,
                )
            )  # fmt: skip
        return found

    def _send(self, decision: Decision) -> None:
        fleet = self._fleet
        fleet.outcome.grants += len(decision.grants)
        for name, grant in decision.grants.items():

            def obey(name: str = name, grant: Grant = grant) -> None:
                pod = fleet.pods.get(name)
                if pod is not None:
                    pod.obey(grant)

            fleet.clock.after(WIRE, obey)


def run(scenario: Scenario, controller: Controller, seed: int, pace: Pace | None = None) -> Outcome:
    """Run a scenario to its end."""
    fleet = Fleet(scenario, controller, seed)
    pace = pace or Pace()
    operator = Operator(fleet, pace) if controller == "law" else None
    end = scenario.minutes * 60.0
    clock = fleet.clock
    for call in calls(scenario, seed):
        clock.at(call.at, lambda call=call: fleet.deal(call))  # type: ignore[misc]
    for at, kind in scenario.events:
        clock.at(at, lambda kind=kind: fleet.happen(kind))  # type: ignore[misc]
        if operator is not None:
            clock.at(at, lambda kind=kind: operator.happen(kind))  # type: ignore[misc]

    def each_second() -> None:
        fleet.sweep()
        if controller == "oracle":
            fleet.shift_cap()
        if operator is not None:
            operator.tick()
        clock.after(pace.tick, each_second)

    def look() -> None:
        fleet.look(5.0 * pace.tick)
        clock.after(pace.tick / 20, look)

    clock.at(0.05, each_second)
    if operator is not None:
        clock.at(0.01, look)
    clock.run(end)
    return fleet.result()
