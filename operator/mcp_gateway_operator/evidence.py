"""What conditions are judged by, and what a judgement is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from mcp_gateway_operator.facts import FleetView, Pod
from mcp_gateway_operator.tuning import LimitView, Mode, RateView

_SHARES: Final = 16
"""Shares that are told one by one."""

State = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far the workload is.

    Attributes:
        observed: its controller has seen what it is to be now.
        total: pods there are.
        updated: pods of the newest revision.
        ready: pods that serve.
        stuck: why it does not go on, or empty.
    """

    observed: bool = False
    total: int = 0
    updated: int = 0
    ready: int = 0
    stuck: str = ""

    def serves(self, desired: int) -> bool:
        """All pods there are to be are of the newest revision, and serve."""
        new = self.observed and self.updated >= desired and self.total <= desired
        return new and self.ready >= desired


@dataclass(frozen=True, slots=True)
class Facts:
    """All that conditions are judged by.

    Attributes:
        desired: pods there are to be.
        rollout: how far the workload is; None where there is none.
        pods: the pods there are.
        generation: number of the configuration that pods are to run.
        view: what the pods said of it.
        paused: a person asked for the objects to be left alone.
        invalid: what is wrong with the spec, or empty.
        taken: objects of our names that are somebody else's.
        refused: what the API server did not take, as sentences.
        missing: Secrets and keys that are not there, as sentences.
        unavailable: what was asked for of APIs that the cluster does not have.
        upgrade: a new version of the operator replaces its pods (`turn`), or will when those
            before it serve (`wait`).
        mode: of the tuning.
        frozen: a person asked for ceilings to be left as they are.
    """

    desired: int = 1
    rollout: Rollout | None = None
    pods: Sequence[Pod] = ()
    generation: int = 0
    view: FleetView = field(default_factory=FleetView)
    paused: bool = False
    invalid: str = ""
    taken: Sequence[str] = ()
    refused: Sequence[str] = ()
    missing: Sequence[str] = ()
    unavailable: Sequence[str] = ()
    upgrade: Literal["", "turn", "wait"] = ""
    mode: Mode = "Off"
    frozen: bool = False

    @property
    def ready(self) -> int:
        """Pods that serve."""
        return self.rollout.ready if self.rollout else 0

    @property
    def live(self) -> list[Pod]:
        """The pods that are to run the configuration: there, and not told to go."""
        return [pod for pod in self.pods if not pod.deleting]

    @property
    def applied(self) -> int:
        """Live pods that run the wanted configuration."""
        states = (self.view.pods.get(pod.name) for pod in self.live)
        return sum(state is not None and state.generation == self.generation for state in states)

    @property
    def spoken(self) -> bool:
        """At least one live pod said what it runs."""
        states = (self.view.pods.get(pod.name) for pod in self.live)
        return any(state is not None and state.generation for state in states)

    @property
    def limits(self) -> list[tuple[str, LimitView]]:
        """The limits that there are, each with its provider."""
        known = self.view.limits.items()
        found = [(provider, view) for provider, views in known for view in views]
        # Where every model is limited by itself, the account is not.
        by_model = {provider for provider, view in found if view.model}
        return [(name, view) for name, view in found if view.model or name not in by_model]

    @property
    def unheard(self) -> list[str]:
        """Live pods without a control channel, and why there is none."""
        return [
            f"{pod.name}: {state.problem}"
            for pod in self.live
            if (state := self.view.pods.get(pod.name)) is not None
            and not state.connected
            and not state.refused
            and state.problem
        ]

    @property
    def refusals(self) -> list[str]:
        """What live pods said against the wanted configuration."""
        return [
            f"{pod.name}: {state.problem}"
            for pod in self.live
            if (state := self.view.pods.get(pod.name)) is not None
            and self.generation
            and state.refused == self.generation
        ]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says.

    Attributes:
        state: of the condition.
        reason: why, in CamelCase.
        message: why, for people.
    """

    state: State
    reason: str
    message: str


def size_of(provider: str, view: LimitView) -> str:
    """Say what the ceiling of a limit is and why, and how it is used."""
    name = f"{provider} {view.model}" if view.model else provider
    if view.recommendation is not None:
        advice = view.recommendation
        return f"{name}: {advice.target} recommended: {advice.reason}"
    parts = [f"{name}: {_ceiling(view)}" + (f": {view.reason}" if view.reason else "")]
    if view.shares:
        parts.append(_shares([view.shares[pod] for pod in sorted(view.shares)]))
    parts += _rate("requests", view.requests) + _rate("tokens", view.tokens)
    parts.append(f"{view.in_flight} in flight")
    if view.waiting:
        parts.append(f"{view.waiting} waiting")
    return "; ".join(parts)


def _ceiling(view: LimitView) -> str:
    if view.ceiling is None:
        return "no ceiling is known"
    if view.stated is None:
        return f"ceiling {view.ceiling} (learned)"
    if view.stated == view.ceiling:
        return f"ceiling {view.ceiling} (as stated)"
    return f"ceiling {view.ceiling} (stated {view.stated})"


def _shares(shares: Sequence[int]) -> str:
    if len(shares) > _SHARES:
        return f"{len(shares)} shares of {min(shares)} to {max(shares)}"
    return f"shares {'+'.join(map(str, shares))}" if len(shares) > 1 else f"share {shares[0]}"


def _rate(what: str, rate: RateView | None) -> list[str]:
    return [] if rate is None else [f"{rate.used} of {rate.stated} {what} a minute"]
