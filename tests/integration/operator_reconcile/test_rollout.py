"""How a changed document comes to the pods of a real cluster, and how it does not."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest
from tests.integration.operator_reconcile.gateways import (
    condition,
    events,
    gateway,
    wait_condition,
)
from tests.support.kubernetes import Cluster, Object, eventually, our_own
from tests.support.operator_process import OperatorProcess

pytestmark = pytest.mark.integration

REFUSED = ["auth", "cache"]
"""Layers of which the gateway's image has not got one: only pods can know."""
CANARY = {"strategy": "Canary", "canary": {"pods": 1, "window": "2s"}}


def change(cluster: Cluster, namespace: str, **spec: Any) -> None:
    patch = json.dumps({"spec": spec})
    cluster.kubectl("patch", "mcpgateway", "llm", "-n", namespace, "--type=merge", "-p", patch)


def status(cluster: Cluster, namespace: str) -> Object:
    found: Object = cluster.get("mcpgateway", "llm", namespace)["status"]
    return found


def written(cluster: Cluster, namespace: str) -> int:
    """The generation that a pod reads at its start."""
    annotations = cluster.get("configmap", "llm-config", namespace)["metadata"]["annotations"]
    return int(annotations["gateway.exai.dev/config-generation"])


def pods(cluster: Cluster, namespace: str) -> list[Object]:
    return cluster.list("pods", namespace, "app.kubernetes.io/instance=llm")


def start(cluster: Cluster, namespace: str, **spec: Any) -> None:
    cluster.apply(gateway(replicas=2, **spec), namespace=namespace)
    eventually(
        lambda: (
            cluster.get("mcpgateway", "llm", namespace).get("status", {}).get("configApplied")
            == "2/2"
        ),
        "both pods run the first",
    )


def test_what_pods_refuse_is_told_in_their_words_and_late_pods_start_with_the_last_good_one(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    start(cluster, namespace)
    change(cluster, namespace, middleware=REFUSED)
    found = wait_condition(cluster, namespace, "ConfigApplied", "ConfigRefused")
    assert "cache" in found["message"]
    assert condition(cluster, namespace, "Ready")["status"] == "True"
    assert written(cluster, namespace) == 1
    change(cluster, namespace, replicas=3)
    eventually(lambda: status(cluster, namespace)["readyReplicas"] == 3, "a late pod serves too")
    assert condition(cluster, namespace, "ConfigApplied")["status"] == "False"
    change(cluster, namespace, middleware=["auth", "logging"])
    wait_condition(cluster, namespace, "ConfigApplied", "Applied")
    assert status(cluster, namespace)["configApplied"] == "3/3"
    assert {pod["status"]["containerStatuses"][0]["restartCount"]
            for pod in pods(cluster, namespace)} == {0}  # fmt: skip


def test_a_canary_that_refuses_is_taken_back_and_told_of(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    start(cluster, namespace, rollout=CANARY)
    change(cluster, namespace, middleware=REFUSED)
    found = wait_condition(cluster, namespace, "ConfigApplied", "RolledBack")
    assert "cache" in found["message"]
    assert written(cluster, namespace) == 1
    told = eventually(lambda: events(cluster, namespace, "RolledBack"), "an Event")
    assert told[0]["type"] == "Warning"
    assert condition(cluster, namespace, "Ready")["status"] == "True"
    change(cluster, namespace, middleware=["auth", "logging"])
    wait_condition(cluster, namespace, "ConfigApplied", "Applied")


def test_a_canary_that_does_no_harm_becomes_everybodys(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    # Long enough to be seen from here while it is tried.
    slow = {"strategy": "Canary", "canary": {"pods": 1, "window": "15s"}}
    start(cluster, namespace, rollout=slow)
    change(cluster, namespace, logging={"level": "debug"})
    eventually(lambda: status(cluster, namespace)["configApplied"] == "1/2", "one pod tries it")
    assert written(cluster, namespace) == 1
    eventually(lambda: status(cluster, namespace)["configApplied"] == "2/2", "then all")
    assert written(cluster, namespace) == 2


def test_a_pod_that_is_killed_during_a_push_comes_back_to_what_is_wanted(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    our_own(cluster)
    start(cluster, namespace)
    victim = pods(cluster, namespace)[0]["metadata"]["name"]
    pid = cluster.pid(namespace, victim, "gateway")
    change(cluster, namespace, logging={"level": "debug"})
    os.kill(pid, signal.SIGKILL)

    def applied() -> bool:
        found = status(cluster, namespace)
        return bool(found["configGeneration"] == 2 and found["configApplied"] == "2/2")

    eventually(applied, "both run the second")
    cluster.wait("mcpgateway", "llm", "condition=Ready", namespace)
    assert len(events(cluster, namespace)) < 15
