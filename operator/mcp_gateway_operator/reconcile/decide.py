"""What to do about one object: a pure comparison of what should be with what is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from typing import Any

from mcp_gateway_operator.reconcile.store import Child, ChildId
from mcp_gateway_operator.render.gateway import APPLIED


class Action(Enum):
    """What is to be done."""

    KEEP = "keep"
    CREATE = "create"
    CHANGE = "change"
    REPAIR = "repair"
    WAIT = "wait"


def identity(rendered: Mapping[str, Any]) -> ChildId:
    """The kind's and the object's name."""
    return rendered["kind"], rendered["metadata"]["name"]


def decide(rendered: Mapping[str, Any], child: Child | None, owner: str) -> Action:
    """Decide about one object.

    Args:
        rendered: what should be, sealed.
        child: what is; None where nothing was seen.
        owner: uid of the MCPGateway.
    """
    if child is None:
        return Action.CREATE
    if child.deleting or child.owner not in ("", owner):
        # On its way out, or left by a deleted gateway of the same name, and soon collected.
        return Action.WAIT
    if child.applied != rendered["metadata"]["annotations"][APPLIED]:
        # Somebody may have changed the digest itself, which is a field of ours like others.
        return Action.REPAIR if child.drifted and child.found else Action.CHANGE
    return Action.REPAIR if child.drifted or not child.owner else Action.KEEP


def unwanted(
    children: Mapping[ChildId, Child],
    wanted: Collection[ChildId],
    owner: str,
    apis: Collection[str],
) -> Iterable[Child]:
    """The objects that were made for a gateway and are wanted no longer.

    Args:
        children: what was seen.
        wanted: what is rendered.
        owner: uid of the MCPGateway.
        apis: optional kinds that the cluster has. What is of another is not rendered for that
            reason alone, and stays: its API may be away for a moment.
    """
    return [
        child
        for id_, child in children.items()
        if id_ not in wanted
        and child.owner == owner
        and not child.deleting
        and (not child.kind.optional or child.kind.name in apis)
    ]
