"""What people and other programs do to the operator's objects, and what it does about it."""

from __future__ import annotations

import threading
import time

import pytest
from tests.integration.operator_reconcile.gateways import (
    complete,
    events,
    gateway,
    wait_condition,
)
from tests.support.kubernetes import Cluster, CommandFailed, eventually
from tests.support.operator_process import OperatorProcess

pytestmark = pytest.mark.integration

REPAIRED = "DriftRepaired"


def start(cluster: Cluster, namespace: str, operator: OperatorProcess) -> None:
    cluster.apply(gateway(), namespace=namespace)
    eventually(lambda: complete(cluster, namespace), "all is made")
    wait_condition(cluster, namespace, "Ready", "ScaledToZero")
    operator.quiet()


def test_a_field_that_was_taken_is_taken_back_and_the_taker_named(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    start(cluster, namespace, operator)
    cluster.kubectl(
        "patch", "service", "llm", "--namespace", namespace, "--type=merge",
        "--field-manager=somebody", "-p", '{"spec": {"selector": {"app": "else"}}}',
    )  # fmt: skip
    cluster.kubectl(
        "patch", "service", "llm", "--namespace", namespace, "--type=json",
        "--field-manager=somebody", "-p",
        '[{"op": "replace", "path": "/spec/ports/0/port", "value": 80}]',
    )  # fmt: skip

    def repaired() -> bool:
        spec = cluster.get("service", "llm", namespace)["spec"]
        return [port["port"] for port in spec["ports"]] == [8079]

    eventually(repaired, "the port is the operator's again")
    told = eventually(lambda: events(cluster, namespace, REPAIRED), "an Event tells")
    assert any("Service llm" in event["note"] and "somebody" in event["note"] for event in told)
    assert operator.metric("mcp_gateway_operator_repairs_total") >= 1


def test_a_scaled_deployment_is_put_right(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    start(cluster, namespace, operator)
    cluster.kubectl("scale", "deployment", "llm", "--namespace", namespace, "--replicas=1")
    eventually(
        lambda: cluster.get("deployment", "llm", namespace)["spec"]["replicas"] == 0,
        "the number is the resource's",
    )
    told = eventually(lambda: events(cluster, namespace, REPAIRED), "an Event tells")
    assert "spec.replicas from kubectl" in told[0]["note"]


def test_what_people_add_is_theirs_and_costs_no_write(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    start(cluster, namespace, operator)
    before = operator.writes()
    where = ("--namespace", namespace)
    cluster.kubectl("label", "service", "llm", *where, "team=blue")
    cluster.kubectl("annotate", "configmap", "llm-config", *where, "note=mine")
    assert operator.quiet() == before
    # A note on a Deployment is a new generation of it, which its controller has to observe.
    cluster.kubectl("annotate", "deployment", "llm", *where, "note=mine")
    sidecar = '{"spec": {"template": {"spec": {"containers": [{"name": "x", "image": "y"}]}}}}'
    cluster.kubectl("patch", "deployment", "llm", *where, "--type=strategic", "-p", sidecar)
    cluster.kubectl(
        "patch", "mcpgateway", "llm", *where, "--type=merge", "-p",
        '{"spec": {"service": {"annotations": {"cloud": "yes"}}, "image": "other:1"}}',
    )  # fmt: skip

    def changed() -> bool:
        spec = cluster.get("deployment", "llm", namespace)["spec"]["template"]["spec"]
        return {each["name"]: each["image"] for each in spec["containers"]} == {
            "gateway": "other:1",
            "x": "y",
        }

    eventually(changed, "the image changed and the sidecar stayed")
    service = cluster.get("service", "llm", namespace)["metadata"]
    assert service["labels"]["team"] == "blue"
    assert service["annotations"]["cloud"] == "yes"
    assert cluster.get("deployment", "llm", namespace)["metadata"]["annotations"]["note"] == "mine"
    assert not events(cluster, namespace, REPAIRED)


def test_deleted_objects_are_made_again(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    start(cluster, namespace, operator)
    for kind, name in (
        ("service", "llm-pods"),
        ("configmap", "llm-config"),
        ("secret", "llm-control"),
        ("serviceaccount", "llm"),
        ("deployment", "llm"),
        ("networkpolicy", "llm"),
    ):
        cluster.kubectl("delete", kind, name, "--namespace", namespace)
    eventually(lambda: complete(cluster, namespace), "all is made again")


def test_labels_that_were_taken_off_come_back(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    start(cluster, namespace, operator)
    label = "app.kubernetes.io/managed-by"
    cluster.kubectl("label", "service", "llm", "--namespace", namespace, f"{label}-")
    eventually(lambda: complete(cluster, namespace), "the Service is known as the operator's")


def test_an_object_of_our_name_that_is_somebody_elses_is_not_touched(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "llm"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "theirs"}},
    }
    cluster.apply(theirs, namespace=namespace)
    before = cluster.get("service", "llm", namespace)
    cluster.apply(gateway(), namespace=namespace)
    found = wait_condition(cluster, namespace, "Degraded", "NameTaken")
    assert "Service llm" in found["message"]
    assert cluster.get("service", "llm", namespace) == before
    cluster.delete("mcpgateway", "llm", namespace)
    assert cluster.get("service", "llm", namespace) == before


def test_a_writer_that_insists_is_answered_less_and_less_often(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    start(cluster, namespace, operator)
    before, stop = operator.writes(), threading.Event()

    def insist() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                cluster.kubectl(
                    "patch", "service", "llm", "--namespace", namespace, "--type=merge",
                    "--field-manager=insistent", "-p",
                    f'{{"metadata": {{"labels": {{"app.kubernetes.io/component": "x{number}"}}}}}}',
                )  # fmt: skip
            except CommandFailed:  # a conflict with the operator's own write
                continue

    writers = [threading.Thread(target=insist, daemon=True) for _ in range(2)]
    for writer in writers:
        writer.start()
    time.sleep(15.0)
    stop.set()
    for writer in writers:
        writer.join(30.0)

    def at_peace() -> bool:
        labels = cluster.get("service", "llm", namespace)["metadata"]["labels"]
        return bool(labels["app.kubernetes.io/component"] == "gateway")

    eventually(at_peace, "the last word is the operator's")
    assert operator.writes() - before < 40
    told = events(cluster, namespace, REPAIRED)
    assert 1 <= len(told) <= 3
