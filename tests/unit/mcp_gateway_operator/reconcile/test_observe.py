"""How far a workload is, and whether one takes another's place."""

from __future__ import annotations

from typing import Any

from mcp_gateway_operator.cluster.item import WorkloadCondition, WorkloadStatus
from mcp_gateway_operator.conditions import Rollout
from mcp_gateway_operator.reconcile.observe import relieved, rollout_of
from mcp_gateway_operator.reconcile.store import Child, ChildId
from mcp_gateway_operator.render.kind import DEPLOYMENT, STATEFUL_SET, Kind

STUCK = WorkloadCondition("Progressing", "False", "ProgressDeadlineExceeded", "no volume")


def workload(kind: Kind, pods: int, *, observed: int = 1, **more: Any) -> Child:
    status = WorkloadStatus(
        observed_generation=observed, replicas=pods, ready_replicas=pods, updated_replicas=pods,
        conditions=more.pop("conditions", []),
    )  # fmt: skip
    known: dict[str, Any] = {
        "kind": kind, "name": "llm", "uid": "w", "version": "1", "generation": 1, "owner": "me",
        "deleting": False, "applied": "d", "annotations": {}, "status": status, "ours": b"",
    }  # fmt: skip
    return Child(**known | more)


def seen(*children: Child) -> dict[ChildId, Child]:
    return {(child.kind.name, child.name): child for child in children}


def test_progress_is_that_of_the_gateways_own_workload() -> None:
    assert rollout_of(seen(), "me") is None
    assert rollout_of(seen(workload(DEPLOYMENT, 2, owner="former")), "me") is None
    assert rollout_of(seen(workload(DEPLOYMENT, 2, deleting=True)), "me") is None
    found = rollout_of(seen(workload(DEPLOYMENT, 2, observed=0, conditions=[STUCK])), "me")
    assert found == Rollout(observed=False, total=2, updated=2, ready=2, stuck="no volume")


def test_a_deployment_goes_once_the_stateful_set_in_its_place_serves() -> None:
    old = workload(DEPLOYMENT, 2)
    assert not relieved(seen(old), "me", 2), "it was refused, or is not there yet"
    waiting = seen(old, workload(STATEFUL_SET, 0))
    assert not relieved(waiting, "me", 2)
    assert rollout_of(waiting, "me") == Rollout(observed=True)
    assert not relieved(seen(old, workload(STATEFUL_SET, 2, observed=0)), "me", 2)
    assert relieved(seen(old, workload(STATEFUL_SET, 2)), "me", 2)
    assert relieved(seen(old, workload(STATEFUL_SET, 0)), "me", 0)
