"""What conditions are judged by, and what a judgement is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from mcp_gateway_operator.facts import FleetView, Pod

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
