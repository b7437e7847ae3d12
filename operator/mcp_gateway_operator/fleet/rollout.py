"""Decides how a new configuration reaches the pods, and whether it may stay.

Pure: what is known goes in, a decision comes out, time is passed in. A canary goes

    spreading ──all of them run it──▶ settling ──▶ watching ──▶ asking ──▶ promoted or taken back

In `settling` and `asking` every pod is asked for its counts, so that what is compared was counted
in the same window, not up to five seconds beside it. A window without a request promotes: an idle
gateway must be changeable too. A restart of the operator begins the trial again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from mcp_gateway.api import Canary
from mcp_gateway.api.control import Report

ANSWER: Final = 1.0
"""Seconds pods get to send their counts."""
EARLY, FINAL = 3.0, 1.645
"""How far beyond chance a canary must fail, in standard deviations: to end the window at once,
where there are many looks, and at its end, where there is one (95 in a hundred)."""

Phase = Literal["spreading", "settling", "watching", "asking"]
Verdict = Literal["wait", "promote", "reject"]


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What is known of one pod.

    Attributes:
        serves: it is ready and not told to go.
        connected: its channel is open.
        generation: what it runs.
        refused: why it refused the candidate; empty where it did not.
        failing: why its container does not run; or empty.
        report: its last counts.
    """

    serves: bool = True
    connected: bool = True
    generation: int = 0
    refused: str = ""
    failing: str = ""
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate on its way.

    Attributes:
        generation: the candidate's.
        pods: those that get it first.
        phase: how far it is.
        until: when the phase ends; 0.0 for `spreading`, which ends by acknowledgement.
        since: when the process of each canary pod began, as far as it said: another number
            means that it died of the candidate.
        before: counts at the begin of the window.
    """

    generation: int
    pods: frozenset[str] = frozenset()
    phase: Phase = "spreading"
    until: float = 0.0
    since: Mapping[str, float] = field(default_factory=dict)
    before: Mapping[str, Report] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now.

    Attributes:
        verdict: promote the candidate, take it back, or go on watching.
        trial: how far it is; for `wait`.
        reason: why, in a sentence; for `promote` and `reject`.
        ask: ask every pod for its counts now.
    """

    verdict: Verdict
    trial: Trial
    reason: str = ""
    ask: bool = False


def decide(trial: Trial, canary: Canary, pods: Mapping[str, PodFacts], now: float) -> Decision:
    """Take the next step of a trial."""
    serving = {name for name, pod in pods.items() if pod.serves}
    if not serving and not trial.pods:
        return Decision("promote", trial, "no pod serves, so there is nothing to protect")
    trial = _chosen(trial, canary, pods, serving)
    failure = _failure(trial, pods)
    if failure:
        return Decision("reject", trial, failure)
    return _STEPS[trial.phase](_Look(trial, canary, pods, now))


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a trial, with all that is known."""

    trial: Trial
    canary: Canary
    pods: Mapping[str, PodFacts]
    now: float

    @property
    def over(self) -> bool:
        return self.now >= self.trial.until

    def wait(self) -> Decision:
        return Decision("wait", self.trial)

    def enter(self, phase: Phase, seconds: float, *, ask: bool = False) -> Decision:
        return Decision("wait", replace(self.trial, phase=phase, until=self.now + seconds), ask=ask)

    def worse(self, deviations: float) -> str:
        """Say that the canary fails more often than allowed, beyond chance; empty where not."""
        tried, others = _counts(self.trial, self.pods)
        allowed = self.canary.max_error_increase
        if lowest_rate(tried.errors, tried.requests, deviations) <= others.rate + allowed:
            return ""
        names = ", ".join(sorted(self.trial.pods))
        return f"{tried} on {names}, {others} without it; allowed are {allowed:.1%} more"


def _spread(look: _Look) -> Decision:
    trial = look.trial
    running = [name for name in trial.pods if look.pods[name].generation == trial.generation]
    if not trial.pods or len(running) < len(trial.pods):
        return look.wait()
    return look.enter("settling", ANSWER, ask=True)


def _settle(look: _Look) -> Decision:
    if not look.over:
        return look.wait()
    before = {name: pod.report for name, pod in look.pods.items() if pod.report is not None}
    # A pod that was chosen before it had sent its first counts has sent them by now.
    since = {n: report.since for n, report in before.items() if n in look.trial.pods}
    decision = look.enter("watching", look.canary.window)
    return replace(decision, trial=replace(decision.trial, before=before, since=since))


def _watch(look: _Look) -> Decision:
    worse = look.worse(EARLY)
    if worse:
        return Decision("reject", look.trial, worse)
    return look.enter("asking", ANSWER, ask=True) if look.over else look.wait()


def _judge(look: _Look) -> Decision:
    if not look.over:
        return look.wait()
    trial = look.trial
    if not all(look.pods[name].connected for name in trial.pods):
        # Its last counts are from before it fell silent: wait until it speaks, dies or restarts.
        return look.enter("asking", ANSWER, ask=True)
    lame = [name for name in sorted(trial.pods) if not look.pods[name].serves]
    if lame:
        return Decision("reject", trial, f"pod {lame[0]} is not ready with it")
    worse = look.worse(FINAL)
    if worse:
        return Decision("reject", trial, worse)
    tried, others = _counts(trial, look.pods)
    return Decision(
        "promote", trial, f"{tried} within {look.canary.window:g} s, {others} without it"
    )


_STEPS = {"spreading": _spread, "settling": _settle, "watching": _watch, "asking": _judge}


def _chosen(trial: Trial, canary: Canary, pods: Mapping[str, PodFacts], serving: set[str]) -> Trial:
    """Choose the pods, again where one of them is gone: the window then begins anew."""
    gone = trial.pods - pods.keys()
    kept = trial.pods & pods.keys()
    # One pod at least stays as it was, to compare with, where there are two.
    size = min(canary.pods, max(1, len(serving | kept) - 1))
    missing = size - len(kept)
    if not gone and (missing <= 0 or trial.phase != "spreading"):
        return trial
    candidates = [name for name in serving - kept if pods[name].connected]
    # Whoever runs something unpromoted already is taken first: nobody else is exposed.
    candidates.sort(key=lambda name: (-pods[name].generation, name))
    chosen = kept | set(candidates[: max(0, missing)])
    since = {n: report.since for n in chosen if (report := pods[n].report) is not None}
    return Trial(
        trial.generation, frozenset(chosen), since={**since, **_known(trial.since, chosen)}
    )


def _known(since: Mapping[str, float], pods: Iterable[str]) -> dict[str, float]:
    return {name: since[name] for name in pods if name in since}


def _failure(trial: Trial, pods: Mapping[str, PodFacts]) -> str:
    """Why a candidate cannot stay, without looking at counts."""
    for name in sorted(trial.pods):
        pod = pods[name]
        if pod.refused:
            return f"pod {name} refused it: {pod.refused}"
        if pod.failing:
            return f"pod {name} does not run with it: {pod.failing}"
        began = trial.since.get(name)
        if began is not None and pod.report is not None and pod.report.since != began:
            return f"pod {name} restarted while it was tried there"
    return ""


@dataclass(frozen=True, slots=True)
class _Count:
    requests: int = 0
    errors: int = 0

    @property
    def rate(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    def __str__(self) -> str:
        return f"{self.errors} of {self.requests} requests failed"


def _counts(trial: Trial, pods: Mapping[str, PodFacts]) -> tuple[_Count, _Count]:
    """Requests in the window so far: of the canary, and of the others.

    Where there are no others, the canary's own requests before the window stand in for them.
    """
    window = {
        name: _Count(after.requests - before.requests, after.errors - before.errors)
        for name, before in trial.before.items()
        if name in pods and (after := pods[name].report) is not None and after.since == before.since
    }
    of_canary = _sum(count for name, count in window.items() if name in trial.pods)
    others = [count for name, count in window.items() if name not in trial.pods]
    if not others:
        reports = (trial.before[name] for name in trial.pods if name in trial.before)
        others = [_Count(report.requests, report.errors) for report in reports]
    return of_canary, _sum(others)


def _sum(counts: Iterable[_Count]) -> _Count:
    listed = list(counts)
    return _Count(sum(c.requests for c in listed), sum(c.errors for c in listed))


def lowest_rate(errors: int, requests: int, deviations: float) -> float:
    """The lowest true rate of failure that goes with what was seen (Wilson's interval).

    One failure among ten requests may be chance; ten among a hundred are not.
    """
    if not requests:
        return 0.0
    seen, square = errors / requests, deviations**2
    middle = seen + square / (2 * requests)
    spread = deviations * math.sqrt(seen * (1 - seen) / requests + square / (4 * requests**2))
    return max(0.0, (middle - spread) / (1 + square / requests))
