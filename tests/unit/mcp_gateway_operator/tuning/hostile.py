"""Pods that keep to the contract, and a network and a cluster that do their worst.

Messages are late, lost and out of order; pods begin anew, are cut off, go and come; leaders are
replaced and the old one goes on for a while. What may never happen is that the pods together
believe they hold, or have in flight, more than the provider allows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from mcp_gateway.api import AccountLimits
from mcp_gateway.api.control import Grant, Report
from mcp_gateway.api.quota import LimitReport
from mcp_gateway_operator.tuning import AccountSpec, Pace, PodState, Tuner

GATEWAY = "shop/gateway"
MINUTE = 60.0
KEPT = 61.0


@dataclass
class HostilePod:
    """A pod; its numbers are the truth."""

    uid: str
    born: float
    liar: bool = False
    share: int = 0
    quota: int = 0
    epoch: int = 0
    sequence: int = 0
    in_flight: int = 0
    waiting: int = 0
    begun: list[float] = field(default_factory=list)
    since: float = 0.0
    connected: bool = True
    deleting: bool = False
    account: str = "a"

    def begun_since(self, moment: float) -> int:
        """Requests begun after a moment."""
        return sum(at > moment for at in self.begun)

    def work(self, rng: random.Random, now: float) -> None:
        """Start what may start, and end something."""
        self.begun = [at for at in self.begun if at > now - KEPT]
        self.waiting = max(0, self.waiting + rng.randint(-3, 3))
        for _ in range(rng.randint(0, 6)):
            if self.in_flight < self.share and len(self.begun) < self.quota:
                self.in_flight += 1
                self.begun.append(now)
        self.in_flight -= rng.randint(0, min(3, self.in_flight))

    def take(self, grant: Grant) -> None:
        """Take a grant, unless a newer one was heard."""
        if grant.epoch < self.epoch:
            return
        if grant.epoch == self.epoch and grant.sequence <= self.sequence:
            return
        self.epoch, self.sequence = grant.epoch, grant.sequence
        quota = grant.quotas[0]
        if quota.account in {"", self.account}:
            self.share, self.quota = quota.share or 0, quota.requests_per_minute or 0
        else:
            self.share = self.quota = 0

    def hear(self, epoch: int) -> None:
        """A leader's configuration."""
        if epoch > self.epoch:
            self.epoch, self.sequence = epoch, 0

    def report(self, rng: random.Random, now: float) -> Report:
        """What it says; a liar exaggerates everything but which grant it runs, and its rate.

        What a liar claims of a rate when a leader comes may be what a pod has used that is gone,
        whom no leader can ask any more.
        """
        self.begun = [at for at in self.begun if at > now - KEPT]
        absurd = rng.choice([10_000, 2**53]) if self.liar and rng.random() < 0.5 else 0
        limit = LimitReport(
            provider="kimi",
            account=self.account,
            share=max(self.share, absurd),
            limit=max(self.share, absurd),
            in_flight=max(self.in_flight, absurd),
            waiting=max(self.waiting, absurd),
            arrivals=rng.randint(0, 2**53) if self.liar else len(self.begun),
            completions=rng.randint(0, 2**53) if self.liar else 0,
            requests_per_minute=self.quota,
            requests_in_window=max(len(self.begun), absurd),
            rate_waiting=max(self.waiting if len(self.begun) >= self.quota else 0, absurd),
        )
        since = self.since
        return Report(epoch=self.epoch, sequence=self.sequence, limits=[limit], requests=0,
                      errors=0, since=since)  # fmt: skip


@dataclass
class Leader:
    """An operator: a tuner and what it knows."""

    tuner: Tuner
    epoch: int
    began: float
    reports: dict[str, tuple[float, Report]] = field(default_factory=dict)
    sees: set[str] | None = None
    """The pods that an old leader still knows of; a current one sees all."""


class HostileWorld:
    """Pods of one account, leaders, and everything that is on its way between them.

    Args:
        cap: the stated limit.
        rate: the stated requests per minute.
        pods: how many there are at the start.
    """

    def __init__(self, seed: int, cap: int, rate: int, pods: int, *, liars: int = 0) -> None:
        self.rng = random.Random(seed)
        self.now = 1_000.0
        self.cap, self.rate = cap, rate
        self.pace = Pace()
        self.pods: dict[str, HostilePod] = {}
        self.gone: list[float] = []
        self.wire: list[Callable[[], None]] = []
        self.leaders: list[Leader] = []
        self.granted = 0
        for number in range(pods):
            self.add(liar=number < liars)
        self.lead()

    def add(self, *, liar: bool = False) -> None:
        """Start a pod."""
        uid = f"pod-{self.rng.randrange(10**9)}"
        self.pods[uid] = HostilePod(uid, self.now, liar, since=self.now)

    def lead(self) -> None:
        """Let a new leader take over; the one before goes on for a while, blind for the new."""
        for old in self.leaders:
            old.sees = set(self.pods)
        epoch = len(self.leaders) + 1
        known = {(GATEWAY, "kimi", ""): self.cap} if self.leaders else {}
        self.leaders.append(Leader(Tuner(self.pace, epoch, known), epoch, self.now))

    def step(self) -> None:
        """Let one thing happen."""
        rng = self.rng
        self.now += rng.choice([0.001, 0.01, 0.3, 1.0])
        self._life()
        self._population()
        for leader in self.leaders[-2:]:
            if leader is self.leaders[-1] or rng.random() < 0.5:
                self._tick(leader)
        if rng.random() < 0.004:
            self.lead()

    def _life(self) -> None:
        """Pods work and speak, messages arrive."""
        rng = self.rng
        for pod in self.pods.values():
            if rng.random() < 0.5:
                pod.work(rng, self.now)
        for pod in list(self.pods.values()):
            if rng.random() < 0.4:
                self._say(pod)
            if rng.random() < 0.01:
                pod.connected = not pod.connected
            if rng.random() < 0.003:
                pod.in_flight, pod.since = 0, self.now
        while self.wire and rng.random() < 0.8:
            message = self.wire.pop(rng.randrange(len(self.wire)))
            if rng.random() > 0.05:
                message()

    def _population(self) -> None:
        rng = self.rng
        if rng.random() < 0.01 and len(self.pods) < 10:
            self.add()
        for pod in list(self.pods.values()):
            if not pod.deleting and rng.random() < 0.003:
                pod.deleting = True
            if (pod.deleting and not pod.in_flight) or rng.random() < 0.001:
                self.gone += pod.begun
                del self.pods[pod.uid]

    def _say(self, pod: HostilePod) -> None:
        report = pod.report(self.rng, self.now)
        for leader in self.leaders[-2:]:

            def arrive(leader: Leader = leader) -> None:
                leader.reports[pod.uid] = (self.now, report)

            self.wire.append(arrive)

    def _tick(self, leader: Leader) -> None:
        spec = AccountSpec(
            mode="Auto",
            frozen=False,
            limits=AccountLimits(concurrency=self.cap, requests_per_minute=self.rate),
            by_model=False,
            pod_cap=None,
            largest_replicas=10,
        )
        seen = [pod for pod in self.pods.values() if leader.sees is None or pod.uid in leader.sees]
        states = [self._state(leader, pod) for pod in seen]
        decision = leader.tuner.tick(self.now, states, {(GATEWAY, "kimi"): spec})
        self.granted += len(decision.grants)
        for pod in seen:
            if pod.connected and pod.epoch < leader.epoch:
                self.wire.append(lambda pod=pod: pod.hear(leader.epoch))  # type: ignore[misc]
        for uid, grant in decision.grants.items():

            def arrive(pod: HostilePod = self.pods[uid], grant: Grant = grant) -> None:
                pod.take(grant)
                self._say(pod)

            self.wire.append(arrive)

    def _state(self, leader: Leader, pod: HostilePod) -> PodState:
        heard, report = leader.reports.get(pod.uid, (None, None))
        return PodState(
            gateway=GATEWAY,
            uid=pod.uid,
            name=pod.uid,
            address=f"{pod.uid}:9082",
            connected=pod.connected,
            deleting=pod.deleting,
            born_here=pod.born > leader.began,
            heard=heard,
            report=report,
        )

    @property
    def held(self) -> int:
        """What the pods believe they hold, or have in flight.

        Of a liar that drains nobody can know what still runs; what it may start is bounded.
        """
        return sum(
            pod.share if pod.liar else max(pod.share, pod.in_flight) for pod in self.pods.values()
        )

    @property
    def begun(self) -> int:
        """Requests begun within the last minute, as the provider counts them."""
        recent = self.now - MINUTE
        self.gone = [at for at in self.gone if at > recent]
        return sum(pod.begun_since(recent) for pod in self.pods.values()) + len(self.gone)
