"""Another version of the operator: its gateways get it one at a time, and not a broken one."""

from __future__ import annotations

import itertools
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.integration.operator_reconcile.gateways import (
    condition,
    events,
    gateway,
    wait_condition,
)
from tests.support.kubernetes import Cluster, Object, eventually
from tests.support.operator_process import OperatorProcess, running_operator

pytestmark = pytest.mark.integration

NAMES = ("one", "two", "three")


def version(
    cluster: Cluster, namespace: str, folder: Path, tag: str
) -> AbstractContextManager[OperatorProcess]:
    """An operator whose gateways have this image."""
    return running_operator(cluster, namespace, folder, "--gateway-image", f"mcp-gateway:{tag}")


def image(workload: Object) -> str:
    found: str = workload["spec"]["template"]["spec"]["containers"][0]["image"]
    return found.rpartition(":")[2]


def images(cluster: Cluster, namespace: str) -> dict[str, str]:
    return {
        each["metadata"]["name"]: image(each) for each in cluster.list("deployments", namespace)
    }


def reasons(cluster: Cluster, namespace: str, type_: str) -> list[str]:
    return sorted(condition(cluster, namespace, type_, name).get("reason", "") for name in NAMES)


def serve(cluster: Cluster, namespace: str) -> None:
    for name in NAMES:
        cluster.wait("mcpgateway", name, "condition=Ready", namespace)


def born_and_ready(cluster: Cluster, namespace: str, name: str) -> tuple[str, str]:
    """When the newest pod of a gateway was made, and when it was ready."""
    pods = cluster.list("pods", namespace, f"app.kubernetes.io/instance={name}")
    pod = max(pods, key=lambda each: str(each["metadata"]["creationTimestamp"]))
    conditions = {each["type"]: each for each in pod["status"]["conditions"]}
    return pod["metadata"]["creationTimestamp"], conditions["Ready"]["lastTransitionTime"]


def test_gateways_get_a_new_version_one_at_a_time(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    with version(cluster, namespace, tmp_path, "first"):
        cluster.apply(*(gateway(name, replicas=1) for name in NAMES), namespace=namespace)
        serve(cluster, namespace)
    with version(cluster, namespace, tmp_path, "second"):
        eventually(
            lambda: set(images(cluster, namespace).values()) == {"second"}, "all have it", 240.0
        )
        eventually(
            lambda: reasons(cluster, namespace, "Progressing") == ["Complete"] * 3, "all is done"
        )
        times = sorted(born_and_ready(cluster, namespace, name) for name in NAMES)
        for (_, was_ready), (was_born, _) in itertools.pairwise(times):
            assert was_ready <= was_born, times
        serve(cluster, namespace)


def test_it_stops_at_the_first_that_does_not_become_ready(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    with version(cluster, namespace, tmp_path, "first"):
        cluster.apply(*(gateway(name, replicas=1) for name in NAMES), namespace=namespace)
        serve(cluster, namespace)
    with version(cluster, namespace, tmp_path, "missing") as broken:
        stopped = ["UpgradeStopped", "UpgradeWaiting", "UpgradeWaiting"]
        eventually(lambda: reasons(cluster, namespace, "Progressing") == stopped, "it has stopped")
        broken.quiet()
        found = images(cluster, namespace)
        assert sorted(found.values()) == ["first", "first", "missing"]
        serve(cluster, namespace)  # old pods stay until new ones serve
        (told,) = events(cluster, namespace, "UpgradeStopped")
        first = next(name for name, tag in found.items() if tag == "missing")
        assert told["regarding"]["name"] == first
        assert told["type"] == "Warning"

        # What a person changes is not held up, and does not bring the broken version along.
        other = next(name for name in NAMES if name != first)
        cluster.kubectl("scale", "mcpgateway", other, "-n", namespace, "--replicas=2")
        eventually(
            lambda: cluster.get("mcpgateway", other, namespace)["status"]["readyReplicas"] == 2,
            "both pods serve",
        )
    # A leader that takes over keeps to it.
    with version(cluster, namespace, tmp_path, "missing") as again:
        again.quiet()
        assert sorted(images(cluster, namespace).values()).count("first") == 2
    with version(cluster, namespace, tmp_path, "third"):
        eventually(
            lambda: set(images(cluster, namespace).values()) == {"third"}, "all have it", 240.0
        )
        for name in NAMES:
            wait_condition(cluster, namespace, "Progressing", "Complete", name=name)
        serve(cluster, namespace)
