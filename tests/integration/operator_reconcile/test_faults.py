"""Faults of the cluster and of the operator: after each the state converges without a hand."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest
from tests.integration.operator_reconcile.gateways import (
    complete,
    events,
    gateway,
    made,
    teach_collector,
    wait_collected,
    wait_condition,
)
from tests.support.kubernetes import Cluster, eventually
from tests.support.operator_process import OperatorProcess, running_operator

from mcp_gateway.api.crd import custom_resource_definition

pytestmark = pytest.mark.integration

ours_only = pytest.mark.skipif(
    "TEST_KUBECONFIG" in os.environ, reason="it stops what belongs to a whole cluster"
)
AWAY = 60.0
LEASE = "mcp-gateway-operator"
PARTS = 10
"""Objects that are made for a gateway, a client's key among them."""


def unreached(operator: OperatorProcess) -> float:
    """Seconds for which it has asked for its lease in vain."""
    moments = [datetime.fromisoformat(line["time"]) for line in operator.lines("lease not reached")]
    return (moments[-1] - moments[0]).total_seconds() if moments else 0.0


@ours_only
def test_an_api_server_that_is_away_for_a_minute(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    assert cluster.local is not None
    plane = cluster.local.control_plane
    cluster.apply(gateway(replicas=1), namespace=namespace)
    wait_condition(cluster, namespace, "ConfigApplied", "Applied")
    pods = {pod["metadata"]["uid"] for pod in cluster.list("pods", namespace)}
    plane.api_server.kill()
    eventually(
        lambda: operator.metric("mcp_gateway_operator_api_requests_total", code="none") >= 3,
        "the operator has noticed",
    )
    eventually(lambda: operator.lines("no longer leading"), "it does not trust its lease")
    # Beyond what a library's own retries last, and longer than every pause between two tries.
    eventually(lambda: unreached(operator) >= AWAY, "it is away for a minute", 2 * AWAY)
    assert operator.get("/livez")[0] == 200
    plane.api_server.start()
    plane.wait_ready()
    eventually(lambda: len(operator.lines("leading")) >= 2, "it leads again")
    cluster.kubectl(
        "patch", "mcpgateway", "llm", "--namespace", namespace, "--type=merge", "-p",
        '{"spec": {"logging": {"level": "debug"}}}',
    )  # fmt: skip

    def applied() -> bool:
        status = cluster.get("mcpgateway", "llm", namespace)["status"]
        return bool(status["configGeneration"] == 2 and status["configApplied"] == "1/1")

    eventually(applied, "a change reaches the pod")
    assert {pod["metadata"]["uid"] for pod in cluster.list("pods", namespace)} == pods
    assert operator.running
    assert "Traceback" not in operator.log.read_text()
    assert len(events(cluster, namespace)) < 15


@ours_only
def test_a_definition_that_is_deleted_and_applied_again(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    definition = custom_resource_definition()
    name = definition["metadata"]["name"]
    with running_operator(cluster, namespace, tmp_path) as operator:
        # Of a kind that is gone before it was known the cluster's collector takes nothing.
        teach_collector(cluster, namespace)
        cluster.apply(gateway(), namespace=namespace)
        eventually(lambda: complete(cluster, namespace), "all is made")
        cluster.kubectl("delete", "crd", name)
        wait_collected(cluster, namespace, "llm")
        eventually(lambda: operator.lines("definition missing"), "it says what is missing")
        cluster.apply(definition)
        cluster.wait("crd", name, "condition=Established")
        cluster.apply(gateway("again"), namespace=namespace)
        eventually(lambda: complete(cluster, namespace, "again"), "it is watched again")
        assert operator.running
        (line,) = operator.lines("definition missing")
        assert line["definition"] == name
        assert "Traceback" not in operator.log.read_text()
        assert operator.get("/livez")[0] == 200


@ours_only
def test_an_operator_that_is_there_before_the_definition(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    definition = custom_resource_definition()
    name = definition["metadata"]["name"]
    cluster.kubectl("delete", "crd", name)
    try:
        with running_operator(cluster, namespace, tmp_path) as operator:
            eventually(lambda: operator.lines("definition missing"), "it says what is missing")
            cluster.apply(definition)
            cluster.wait("crd", name, "condition=Established")
            cluster.apply(gateway(), namespace=namespace)
            eventually(lambda: complete(cluster, namespace), "all is made")
            assert "Traceback" not in operator.log.read_text()
    finally:
        cluster.apply(definition)
        cluster.wait("crd", name, "condition=Established")


def test_an_operator_killed_between_any_two_writes(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    cluster.apply(gateway(), namespace=namespace)
    for least in range(1, PARTS + 1):
        # A slow pace: one write at a time can be waited for.
        with OperatorProcess(cluster, namespace, tmp_path, "--api-rate", "5") as operator:
            eventually(
                lambda least=least: len(made(cluster, namespace)) >= least,  # type: ignore[misc]
                f"{least} objects are made",
            )
            operator.kill()
        # Its successor need not wait for the end of a lease: that has tests of its own.
        cluster.delete("lease", LEASE, namespace)
    with running_operator(cluster, namespace, tmp_path) as last:
        eventually(lambda: complete(cluster, namespace), "all is made")
        wait_condition(cluster, namespace, "Ready", "ScaledToZero")
        last.quiet()
        assert len(made(cluster, namespace)) == PARTS
        assert not last.lines("reconcile broke")


def test_a_namespace_that_is_half_deleted(cluster: Cluster, tmp_path: Path, namespace: str) -> None:
    hold = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "hold", "finalizers": ["example.com/hold"]},
    }
    with (
        cluster.namespace("half") as half,
        running_operator(cluster, namespace, tmp_path, "--namespace", half) as operator,
    ):
        cluster.apply(gateway(), namespace=half)
        eventually(lambda: complete(cluster, half), "all is made")
        cluster.apply(hold, namespace=half)
        cluster.kubectl("delete", "namespace", half, "--wait=false")
        eventually(lambda: not cluster.find("mcpgateway", "llm", half), "the gateway is gone")
        operator.quiet()
        assert not operator.lines("reconcile broke")
        eventually(
            lambda: operator.metric("mcp_gateway_operator_queue_depth") == 0,
            "nothing is left to do",
        )
        cluster.apply(gateway(), namespace=namespace)
        eventually(lambda: complete(cluster, namespace), "other namespaces are served")
        cluster.kubectl(
            "patch", "configmap", "hold", "--namespace", half, "--type=merge", "-p",
            '{"metadata": {"finalizers": null}}',
        )  # fmt: skip
