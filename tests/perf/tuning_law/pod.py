"""A gateway's pod, as far as the control law is concerned: it queues, starts, reports and obeys."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tests.perf.tuning_law.scenario import Call
from tests.perf.tuning_law.world import Clock, Provider, Window

from mcp_gateway.api.control import Grant, Report
from mcp_gateway.api.quota import LimitReport

PATIENCE = 15.0
"""Seconds that a request waits before it has failed."""
TRIES = 4
KEPT = 61.0
"""Seconds for which a begun request counts against a pod's part of a rate."""


@dataclass(slots=True, eq=False)
class Request:
    """A client's request on its way."""

    call: Call
    origin: Pod
    tries: int = 0
    waits: int = 0


class Queue:
    """Who waits, and how many may be in flight. Pods have one each; the oracle's share one."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.in_flight = 0
        self.waiting: deque[Request] = deque()

    @property
    def open(self) -> bool:
        """There is a slot."""
        return self.limit is None or self.in_flight < self.limit


class Pod:
    """One pod.

    Args:
        queue: its own, or the one of all pods (`shared`).
        governed: an operator speaks; else the queue's limit is all that bounds it.
        rates: its bounds on requests and tokens per minute until it is told others.
        lookup: finds another pod by its address.
        done: is told of every request that was answered.
        report: takes its reports.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        provider: Provider,
        rng: random.Random,
        *,
        queue: Queue,
        governed: bool,
        shared: bool = False,
        rates: tuple[int | None, int | None] = (None, None),
        lookup: Callable[[str], Pod | None],
        done: Callable[[Call], None],
        report: Callable[[Pod, Report], None],
    ) -> None:
        self.name = name
        self.alive = True
        self.draining = False
        self.queue = queue
        self.share: int | None = queue.limit if governed else None
        self.sequence = 0
        self.epoch = 0
        self.governed = governed
        self._shared = shared
        self._clock, self._provider, self._rng = clock, provider, rng
        self._lookup, self._done, self._send = lookup, done, report
        self._since = clock.now
        self._rates = rates
        self._begun, self._charged = Window(KEPT), Window(KEPT)
        self._peers: list[str] = []
        self._refused_at: int | None = None
        self._last: tuple[object, ...] = ()
        self._counts = {"arrivals": 0, "completions": 0, "refused": 0}
        self._served = 0.0
        self._told = -1
        self._every = 1.0
        self._told_at = 0.0
        self._running: set[Request] = set()
        self._refusing: set[Request] = set()
        self._wakes = False
        self.rate_waiting = 0

    # --- requests -----------------------------------------------------------------------

    def take(self, request: Request) -> None:
        """Serve a request, or have a peer serve it."""
        if self.governed and self.share == 0 and self._peers and request.origin is self:
            peer = self._lookup(self._rng.choice(self._peers))
            if peer is not None and peer.alive:
                peer.take(request)
                return
        self._counts["arrivals"] += 1
        request.waits += 1
        waits = request.waits
        self.queue.waiting.append(request)
        self.start()
        self._clock.after(PATIENCE, lambda: self._give_up(request, waits))

    def _give_up(self, request: Request, waits: int) -> None:
        if request.waits == waits and request in self.queue.waiting:
            self.queue.waiting.remove(request)

    def start(self) -> None:
        """Start whoever may."""
        queue = self.queue
        self.rate_waiting = 0
        while queue.waiting and queue.open and self.alive:
            request = queue.waiting[0]
            delay = self._rate_delay(request.call)
            if delay > 0.0:
                self.rate_waiting = len(queue.waiting)
                self._wake(delay)
                return
            queue.waiting.popleft()
            request.waits += 1
            # The oracle's slots are everybody's: a request runs where its client is.
            runs = request.origin if self._shared else self
            runs._begin(request)

    def _rate_delay(self, call: Call) -> float:
        now = self._clock.now
        requests, tokens = self._rates
        if requests is not None and self._begun.total(now) >= requests:
            return max(1e-6, self._begun.opens() - now) if requests else 1.0
        if tokens is not None and self._charged.total(now) + call.tokens > tokens:
            return max(1e-6, self._charged.opens() - now) if self._charged.total(now) else 1.0
        return 0.0

    def _wake(self, delay: float) -> None:
        if not self._wakes:
            self._wakes = True

            def wake() -> None:
                self._wakes = False
                self.start()

            self._clock.after(delay + 1e-6, wake)

    def _begin(self, request: Request) -> None:
        now = self._clock.now
        self.queue.in_flight += 1
        self._begun.add(now, 1)
        self._charged.add(now, request.call.tokens)
        request.tries += 1
        cause = self._provider.begin(request.call)
        if cause:
            self._refusing.add(request)
            delay = self._rng.uniform(0.05, 0.15)
            self._clock.after(delay, lambda: self._refuse(request, cause))
        else:
            self._running.add(request)
            self._clock.after(request.call.service, lambda: self._finish(request))

    def _finish(self, request: Request) -> None:
        if request not in self._running:
            return
        self._running.discard(request)
        self._provider.end()
        self.queue.in_flight -= 1
        self._counts["completions"] += 1
        self._served += request.call.service
        self._done(request.call)
        self.start()

    def _refuse(self, request: Request, cause: str) -> None:
        if request not in self._refusing:
            return
        self._refusing.discard(request)
        self.queue.in_flight -= 1
        if cause == "concurrency" and self.governed:
            self._counts["refused"] += 1
            self._refused_at = self.queue.in_flight
            self.queue.limit = min(self.queue.limit or 0, self.queue.in_flight)
        if request.tries < TRIES and request.origin.alive:
            delay = self._rng.uniform(0.5, 1.5) * 2 ** (request.tries - 1)
            self._clock.after(delay, lambda: self._again(request))
        self.start()

    def _again(self, request: Request) -> None:
        if request.origin.alive:
            request.origin.take(request)

    def die(self) -> None:
        """End at once: what was in flight here is lost, and what waited."""
        self.alive = False
        for _ in self._running:
            self._provider.end()
        self.queue.in_flight -= len(self._running) + len(self._refusing)
        self._running.clear()
        self._refusing.clear()
        kept = [request for request in self.queue.waiting if request.origin.alive]
        self.queue.waiting = deque(kept if self._shared else [])

    def live_again(self) -> None:
        """The container was started again; its grant was kept beside the spool."""
        self.alive = True
        self._since = self._clock.now
        self._counts = dict.fromkeys(self._counts, 0)
        self._served = 0.0
        self.report()

    @property
    def idle(self) -> bool:
        """Nothing of it is in flight or waits."""
        return not (self._running or self._refusing or self.queue.waiting)

    # --- the operator ---------------------------------------------------------------------

    def obey(self, grant: Grant) -> None:
        """Take a grant, unless it is outdated."""
        if not self.alive or grant.epoch < self.epoch:
            return
        if grant.epoch == self.epoch and grant.sequence <= self.sequence:
            return
        self.epoch, self.sequence = grant.epoch, grant.sequence
        quota = grant.quotas[0]
        self.share = self.queue.limit = quota.share
        self._refused_at = None
        self._rates = (quota.requests_per_minute, quota.tokens_per_minute)
        self._every = grant.report_every
        self._peers = [peer.address for peer in grant.peers]
        self.report()
        if self.share == 0 and self._peers:
            waiting, self.queue.waiting = self.queue.waiting, deque()
            for request in waiting:
                self.take(request)
        self.start()

    def hear(self, epoch: int) -> None:
        """A configuration of a new leader came."""
        if epoch > self.epoch:
            self.epoch, self.sequence = epoch, 0
        self.report()

    def look(self, slowly: float) -> None:
        """Report if it is time."""
        now = self._clock.now
        shape = (len(self.queue.waiting) > 0, self.queue.limit, self.share)
        contended = (
            shape != self._last
            or shape[0]
            or (self.share is not None and self.queue.in_flight >= self.share)
            or self._counts["refused"] != self._told
        )
        if now - self._told_at >= (self._every if contended else slowly) - 1e-6:
            self._last = shape
            self.report()

    def report(self) -> None:
        """Say how things are."""
        now = self._clock.now
        self._told_at = now
        self._told = self._counts["refused"]
        blocked = self.rate_waiting
        limit = LimitReport.model_construct(
            provider="kimi",
            model="",
            account="a",
            share=self.share,
            limit=self.queue.limit or 0,
            in_flight=self.queue.in_flight,
            waiting=0 if blocked else len(self.queue.waiting),
            arrivals=self._counts["arrivals"],
            completions=self._counts["completions"],
            service_seconds=self._served,
            refusals={"concurrency": self._counts["refused"]},
            in_flight_at_refusal=self._refused_at,
            requests_per_minute=self._rates[0],
            requests_in_window=self._begun.total(now),
            tokens_per_minute=self._rates[1],
            tokens_in_window=self._charged.total(now),
            rate_waiting=blocked,
        )
        self._send(
            self,
            Report.model_construct(
                epoch=self.epoch,
                sequence=self.sequence,
                limits=[limit],
                requests=self._counts["completions"],
                errors=0,
                since=self._since,
            ),
        )
