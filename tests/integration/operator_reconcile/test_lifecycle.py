"""From `kubectl apply` to pods that serve, through changes, to nothing left."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.integration.operator_reconcile.gateways import (
    COLLECTED_WITHIN,
    CONDITIONS,
    MADE,
    complete,
    events,
    gateway,
    made,
    wait_condition,
)
from tests.support.kubernetes import Cluster, Object, eventually
from tests.support.operator_process import OperatorProcess, running_operator

pytestmark = pytest.mark.integration


def status(cluster: Cluster, namespace: str) -> Object:
    found: Object = cluster.get("mcpgateway", "llm", namespace)["status"]
    return found


def change(cluster: Cluster, namespace: str, patch: str) -> None:
    cluster.kubectl(
        "patch", "mcpgateway", "llm", "--namespace", namespace, "--type=merge", "-p", patch
    )


def test_apply_becomes_pods_that_serve_and_a_status_that_says_so(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(gateway(replicas=2), namespace=namespace)
    cluster.wait("mcpgateway", "llm", "condition=Ready", namespace)
    wait_condition(cluster, namespace, "ProvidersReachable", "Healthy")
    eventually(
        lambda: status(cluster, namespace)["configApplied"] == "2/2", "both pods run the document"
    )
    whole = cluster.get("mcpgateway", "llm", namespace)
    found = whole["status"]
    assert {each["type"] for each in found["conditions"]} == CONDITIONS
    generations = {each["observedGeneration"] for each in found["conditions"]}
    assert generations == {whole["metadata"]["generation"]} == {found["observedGeneration"]}
    assert (found["replicas"], found["readyReplicas"]) == (2, 2)
    assert found["endpoint"] == f"http://llm.{namespace}.svc:8079"
    (provider,) = found["providers"]
    assert provider.items() >= {"name": "kimi", "reachable": True, "message": "Healthy"}.items()
    assert not whole["metadata"].get("finalizers")
    eventually(
        lambda: (
            {"Created", "Serving", "Applied"}
            <= {event["reason"] for event in events(cluster, namespace)}
        ),
        "Events tell",
    )


def test_a_changed_document_reaches_the_pods_and_scaling_pushes_nothing(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(gateway(replicas=1), namespace=namespace)
    wait_condition(cluster, namespace, "ConfigApplied", "Applied")
    pods = {pod["metadata"]["uid"] for pod in cluster.list("pods", namespace)}
    change(cluster, namespace, '{"spec": {"logging": {"level": "debug"}}}')
    eventually(lambda: status(cluster, namespace)["configGeneration"] == 2, "it is the second")
    wait_condition(cluster, namespace, "ConfigApplied", "Applied")
    assert {pod["metadata"]["uid"] for pod in cluster.list("pods", namespace)} == pods
    cluster.kubectl("scale", "mcpgateway", "llm", "--namespace", namespace, "--replicas=2")
    eventually(lambda: status(cluster, namespace)["readyReplicas"] == 2, "both pods serve")
    wait_condition(cluster, namespace, "ConfigApplied", "Applied")
    assert status(cluster, namespace)["configGeneration"] == 2
    document = cluster.get("configmap", "llm-config", namespace)
    assert document["metadata"]["annotations"]["gateway.exai.dev/config-generation"] == "2"


def test_at_rest_it_writes_nothing(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(gateway(replicas=1), namespace=namespace)
    wait_condition(cluster, namespace, "ProvidersReachable", "Healthy")
    before = operator.quiet()
    time.sleep(5.0)
    assert operator.writes() == before


def test_a_restarted_operator_finds_all_well_and_writes_nothing(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    with running_operator(cluster, namespace, tmp_path) as first:
        cluster.apply(gateway(replicas=1), namespace=namespace)
        wait_condition(cluster, namespace, "ProvidersReachable", "Healthy")
        first.quiet()
        assert first.stop() == 0
    version = cluster.get("mcpgateway", "llm", namespace)["metadata"]["resourceVersion"]
    with running_operator(cluster, namespace, tmp_path) as second:
        eventually(
            lambda: second.metric("mcp_gateway_operator_reconcile_seconds_count") >= 1, "a look"
        )
        assert second.quiet() == 0
    whole = cluster.get("mcpgateway", "llm", namespace)
    assert whole["metadata"]["resourceVersion"] == version


@pytest.mark.parametrize("watched", [True, False], ids=["operator runs", "no operator runs"])
def test_deletion_leaves_nothing(
    cluster: Cluster, namespace: str, tmp_path: Path, watched: bool
) -> None:
    with running_operator(cluster, namespace, tmp_path) as operator:
        cluster.apply(gateway(replicas=1), namespace=namespace)
        cluster.wait("mcpgateway", "llm", "condition=Ready", namespace)
        if not watched:
            operator.stop()
        cluster.delete("mcpgateway", "llm", namespace)
        eventually(
            lambda: not made(cluster, namespace), "all that was made is gone", COLLECTED_WITHIN
        )
        eventually(
            lambda: not cluster.list("pods", namespace), "the pods are gone", COLLECTED_WITHIN
        )
        if watched:
            operator.quiet()
            assert not operator.lines("reconcile broke")
    left = {
        (each["kind"], each["metadata"]["name"]) for each in cluster.list(",".join(MADE), namespace)
    }
    assert left == {
        ("ConfigMap", "kube-root-ca.crt"),
        ("Secret", "mcp-gateway-operator-ca"),
        ("ServiceAccount", "default"),
    }


def test_a_gateway_of_the_same_name_can_follow_at_once(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(gateway(), namespace=namespace)
    eventually(lambda: complete(cluster, namespace), "all is made")
    old = cluster.get("deployment", "llm", namespace)["metadata"]["uid"]
    cluster.delete("mcpgateway", "llm", namespace)
    cluster.apply(gateway(), namespace=namespace)
    uid = cluster.get("mcpgateway", "llm", namespace)["metadata"]["uid"]

    def renewed() -> bool:
        objects = made(cluster, namespace).values()
        owners = {each["metadata"]["ownerReferences"][0]["uid"] for each in objects}
        return complete(cluster, namespace) and owners == {uid}

    eventually(renewed, "everything is the new one's", COLLECTED_WITHIN)
    assert cluster.get("deployment", "llm", namespace)["metadata"]["uid"] != old


def test_what_is_wanted_no_longer_is_pruned(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(gateway(autoscaling={"maxReplicas": 3}), namespace=namespace)
    eventually(
        lambda: ("HorizontalPodAutoscaler", "llm") in made(cluster, namespace), "an autoscaler"
    )
    change(cluster, namespace, '{"spec": {"autoscaling": null}}')
    eventually(
        lambda: ("HorizontalPodAutoscaler", "llm") not in made(cluster, namespace), "it is pruned"
    )
    eventually(lambda: events(cluster, namespace, "Pruned"), "an Event tells")
    change(cluster, namespace, '{"spec": {"recording": {"spool": {"storage": "persistent"}}}}')

    def exchanged() -> bool:
        found = made(cluster, namespace)
        return ("StatefulSet", "llm") in found and ("Deployment", "llm") not in found

    eventually(exchanged, "a StatefulSet took the Deployment's place")


def test_a_paused_gateway_is_left_alone(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(gateway(), namespace=namespace)
    eventually(lambda: complete(cluster, namespace), "all is made")
    note = "gateway.exai.dev/paused"
    where = ("--namespace", namespace)
    cluster.kubectl("annotate", "mcpgateway", "llm", *where, f"{note}=true")
    wait_condition(cluster, namespace, "Progressing", "Paused")
    cluster.kubectl("delete", "service", "llm", *where)
    change(cluster, namespace, '{"spec": {"logging": {"level": "debug"}}}')
    operator.quiet()
    assert ("Service", "llm") not in made(cluster, namespace)
    cluster.kubectl("annotate", "mcpgateway", "llm", *where, f"{note}-")
    eventually(lambda: complete(cluster, namespace), "the Service is made again")


def test_probes_tell_that_it_lives_and_has_seen_the_cluster(operator: OperatorProcess) -> None:
    assert operator.get("/livez") == (200, "ok\n")
    assert operator.get("/readyz") == (200, "ok\n")
    assert operator.metric("mcp_gateway_operator_leading") == 1
