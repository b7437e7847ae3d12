"""What the operator's rooms tell each other: keys, pods, and what the fleet is to do and has done.

Plain frozen data, below every room, so that the reconciler, the conditions and the fleet agree
on words without knowing one another. The reconciler hands the fleet one `Target` per gateway,
whole, as often as it likes; the fleet makes it so and answers with a `FleetView`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from mcp_gateway.api import Rollout
from mcp_gateway_operator.tuning import AccountSpec, Change, LimitView

ProbeState = Literal["Healthy", "CredentialRefused", "ModelUnknown", "Unreachable"]


class Key(NamedTuple):
    """Which MCPGateway: what its objects are filed under."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of a gateway, as the API server shows it.

    Attributes:
        name: its name.
        uid: its identity; a StatefulSet gives the same name again.
        ip: its address; empty before it has one.
        ready: its readiness probe passes.
        deleting: it was told to go, or has ended.
        ended: its containers have terminated, and nothing of it is in flight any more.
        failing: why a container does not run (`ImagePullBackOff`, `CrashLoopBackOff`); or empty.
        message: the same in a sentence.
    """

    name: str
    uid: str
    ip: str = ""
    ready: bool = False
    deleting: bool = False
    ended: bool = False
    failing: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What opens a pod's control port.

    Attributes:
        token: the bearer token of the gateway's control Secret.
        ca: certificates in PEM that the pods' serving certificates chain to.
        server_name: the name that those are made out to.
    """

    token: str = field(repr=False)
    ca: str
    server_name: str


@dataclass(frozen=True, slots=True)
class Document:
    """A numbered configuration, as pods read it.

    Attributes:
        generation: counts the changes of the part of the spec that concerns pods.
        body: the MCPGateway document.
    """

    generation: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """All that the fleet needs to know of one gateway.

    Attributes:
        wanted: the configuration that all pods are to run.
        promoted: the one that a pod reads at its start. The same as `wanted` but while a canary
            is watched; None where there is none yet.
        epoch: number of this leadership; pods refuse a lower one.
        rollout: how `wanted` reaches the pods.
        pods: the pods there are, the ones being deleted too.
        credentials: what opens their control ports.
        accounts: how the account of each provider is to be tuned, by the provider's name.
        born_here: uids of the pods that were made in this leadership: nobody else has granted
            them anything.
    """

    wanted: Document
    promoted: Document | None
    epoch: int
    rollout: Rollout
    pods: tuple[Pod, ...]
    credentials: Credentials
    accounts: Mapping[str, AccountSpec] = field(default_factory=dict)
    born_here: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PodConfig:
    """What one pod said of its configuration.

    Attributes:
        connected: its channel is open.
        generation: what it runs; 0 before it said so.
        refused: generation that it refused last, 0 for none.
        problem: why, in its own words.
    """

    connected: bool
    generation: int = 0
    refused: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a pod found when it asked a provider.

    Attributes:
        provider: its name in the document.
        state: what was found.
        message: the same in a sentence.
    """

    provider: str
    state: ProbeState
    message: str = ""


@dataclass(frozen=True, slots=True)
class FleetView:
    """What the fleet knows of one gateway.

    Attributes:
        pods: by pod name, for the pods of the last target.
        providers: results of the last probe, from one pod.
        promoted: newest generation that may be written for pods that start. With `Immediate`,
            the wanted one when a pod took it, or when none is there to ask; with `Canary`, when
            the window has passed well. One that every pod refused is never promoted, so that
            pods that start late start.
        rejected: generation that a canary took back, 0 for none.
        rejection: why it was taken back.
        limits: what is known of the limits of each provider, by its name. Their changes carry
            the time of day, in seconds of Unix time.
    """

    pods: Mapping[str, PodConfig] = field(default_factory=dict)
    providers: tuple[Probed, ...] = ()
    promoted: int = 0
    rejected: int = 0
    rejection: str = ""
    limits: Mapping[str, tuple[LimitView, ...]] = field(default_factory=dict)


Ceiling = tuple[str, str, str]
"""Which ceiling: gateway as `namespace/name`, provider, model."""


def _always() -> bool:
    return True


def _unheard(_key: Key, _change: Change) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Term:
    """One leadership, as the fleet needs it.

    Attributes:
        epoch: its number.
        known: ceilings that the leadership before has found.
        leads: the lease lasts, so that something may be granted.
        announce: told of each change of a ceiling.
    """

    epoch: int = 0
    known: Mapping[Ceiling, int] = field(default_factory=dict)
    leads: Callable[[], bool] = _always
    announce: Callable[[Key, Change], None] = _unheard


class Fleet(Protocol):
    """What the reconciler needs of whoever talks to the pods.

    Nothing here waits: the fleet works in tasks of its own, and calls `on_change` with a key
    when a view has changed and a reconcile should look at it.
    """

    def start(self, on_change: Callable[[Key], None], term: Term) -> None:
        """Begin, on the running loop. Called once for each leadership."""

    def assign(self, key: Key, target: Target) -> None:
        """State what is wanted of a gateway's pods. Idempotent; called at every reconcile."""

    def follow(self, key: Key, pods: tuple[Pod, ...], born_here: frozenset[str]) -> None:
        """State which pods a gateway has, where nothing else of its target may be looked at.

        Its pods go on to be heard, and what they hold of their accounts to be counted: they serve
        while it is paused, and drain after it was deleted. Nothing happens for an unknown key.
        """

    def view(self, key: Key) -> FleetView:
        """What is known of a gateway's pods now; an empty view for an unknown key."""

    def forget(self, key: Key) -> None:
        """Close the channels of a gateway that is gone. Idempotent."""

    async def aclose(self) -> None:
        """Close all channels, at the end of a leadership."""
