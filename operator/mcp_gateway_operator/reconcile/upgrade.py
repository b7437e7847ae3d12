"""Whose turn it is: a new version of the operator rolls its gateways one at a time.

What a person changed is applied at once, with the image that runs. But when the operator itself
was replaced, it may render every workload anew, with another image perhaps, and one that does
not start must not reach more than one gateway: the next has its turn when the one before serves.
The turn is written into the resource's status before the workload is touched, so that a leader
that takes over knows of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from mcp_gateway_operator.conditions import Rollout
from mcp_gateway_operator.facts import Key
from mcp_gateway_operator.reconcile.store import Child
from mcp_gateway_operator.render.gateway import APPLIED, ASKED, IMAGE
from mcp_gateway_operator.render.kind import DEPLOYMENT, STATEFUL_SET

WORKLOADS: Final = frozenset({DEPLOYMENT.name, STATEFUL_SET.name})

Turn = Literal["free", "announce", "wait"]
"""What may be done about a workload: write it; say first that it will be; leave it as it is."""


def has_turn(condition: str, reason: str) -> bool:
    """Tell by a condition's type and reason that a gateway was given its turn."""
    return condition == "Progressing" and reason in {"Upgrading", "UpgradeStopped"}


class Upgrades:
    """Gives turns.

    Args:
        look: asks for a look at a gateway.
    """

    def __init__(self, look: Callable[[Key], None]) -> None:
        self._look = look
        self._rolling: set[Key] = set()
        self._waiting: dict[Key, None] = {}

    def begin(self, upgrading: Iterable[Key]) -> None:
        """Begin a leadership with those that the one before has given their turn."""
        self._rolling = set(upgrading)
        self._waiting.clear()

    def turn(
        self,
        key: Key,
        rendered: Mapping[str, Any],
        child: Child | None,
        status: Mapping[str, Any],
    ) -> Turn:
        """Decide about a gateway's workload.

        Args:
            key: whose.
            rendered: what it should be, sealed.
            child: what it is; None where there is none.
            status: of the resource, as it is.
        """
        ours = _ours_to_change(rendered, child)
        if ours and self._rolling - {key}:
            self._waiting.setdefault(key)
            return "wait"
        self._waiting.pop(key, None)
        if not ours or not (_ready(status) or key in self._rolling):
            # A person's change; or a gateway that does not serve anyhow, and would stop it.
            self._pass_on()
            return "free"
        self._rolling.add(key)
        progressing = _condition(status, "Progressing").get("reason", "")
        return "free" if has_turn("Progressing", progressing) else "announce"

    def image(self, key: Key, rendered: Mapping[str, Any], child: Child | None) -> str:
        """The image to keep while a person's change is applied; empty for the operator's own.

        A change of theirs does not bring a new version along: it would come out of turn.
        """
        if child is None or key in self._rolling:
            return ""
        annotations = rendered["metadata"]["annotations"]
        kept = child.annotations.get(IMAGE, "")
        changed = child.annotations.get(ASKED) != annotations[ASKED]
        return kept if changed and IMAGE in annotations and kept != annotations[IMAGE] else ""

    def has_turn(self, key: Key) -> bool:
        """Its pods are being replaced by those of the new version, or are about to."""
        return key in self._rolling

    def waits(self, key: Key) -> bool:
        """It is to have its turn."""
        return key in self._waiting

    def looked(
        self, key: Key, rendered: Mapping[str, Any], child: Child | None, rollout: Rollout | None
    ) -> None:
        """End the turn of a gateway whose workload is as it should be and serves."""
        if key not in self._rolling or child is None or rollout is None:
            return
        wanted = rendered["spec"]["replicas"]
        current = child.applied == rendered["metadata"]["annotations"][APPLIED]
        if current and rollout.serves(wanted):
            self.forget(key)

    def forget(self, key: Key) -> None:
        """End the turn of a gateway that is done, or gone; the next one has it."""
        self._waiting.pop(key, None)
        self._rolling.discard(key)
        self._pass_on()

    def _pass_on(self) -> None:
        if not self._rolling and self._waiting:
            self._look(next(iter(self._waiting)))


def _ours_to_change(rendered: Mapping[str, Any], child: Child | None) -> bool:
    """It differs from what is, and not because a person asked for something else."""
    metadata = rendered["metadata"]
    owners = [owner["uid"] for owner in metadata["ownerReferences"]]
    if child is None or child.deleting or child.owner not in owners:
        return False
    wish: str = metadata["annotations"][ASKED]
    applied: str = metadata["annotations"][APPLIED]
    return child.annotations.get(ASKED, wish) == wish and child.applied != applied


def _ready(status: Mapping[str, Any]) -> bool:
    return _condition(status, "Ready").get("status") == "True"


def _condition(status: Mapping[str, Any], name: str) -> Mapping[str, str]:
    for condition in status.get("conditions") or []:
        if condition["type"] == name:
            found: Mapping[str, str] = condition
            return found
    return {}
