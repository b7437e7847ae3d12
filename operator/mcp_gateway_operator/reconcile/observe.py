"""How far a gateway's workload is, from what was seen of it."""

from __future__ import annotations

from collections.abc import Mapping

from mcp_gateway_operator.conditions import Rollout
from mcp_gateway_operator.reconcile.store import Child, ChildId
from mcp_gateway_operator.render.kind import DEPLOYMENT, STATEFUL_SET, Kind


def rollout_of(children: Mapping[ChildId, Child], owner: str) -> Rollout | None:
    """Read the workload's progress; None where there is none.

    Of two it is the StatefulSet's, which takes the Deployment's place: see `relieved`.
    """
    stateful = _workload(children, owner, STATEFUL_SET)
    return stateful or _workload(children, owner, DEPLOYMENT)


def relieved(children: Mapping[ChildId, Child], owner: str, desired: int) -> bool:
    """Tell whether a StatefulSet serves, so that the Deployment before it can go.

    Its pods wait for volumes, for ever perhaps: until they serve, those of the Deployment do.
    """
    stateful = _workload(children, owner, STATEFUL_SET)
    return stateful is not None and stateful.serves(desired)


def _workload(children: Mapping[ChildId, Child], owner: str, kind: Kind) -> Rollout | None:
    for child in children.values():
        its_own = child.owner == owner and not child.deleting
        if child.kind is kind and its_own and child.status is not None:
            return _progress(child)
    return None


def _progress(child: Child) -> Rollout:
    status = child.status
    assert status is not None, "a workload's child has its status"
    stuck = ""
    for condition in status.conditions:
        if condition.type == "Progressing" and condition.status == "False":
            stuck = condition.message or condition.reason
    return Rollout(
        observed=status.observed_generation >= child.generation,
        total=status.replicas,
        updated=status.updated_replicas,
        ready=status.ready_replicas,
        stuck=stuck,
    )
