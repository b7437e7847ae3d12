"""What is made where it is asked for, and where the cluster has the API for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.operator_reconcile.gateways import (
    gateway,
    wait_condition,
)
from tests.support.kubernetes import Cluster, Object, eventually
from tests.support.operator_process import OperatorProcess

pytestmark = pytest.mark.integration

APIS = (
    ("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"),
    ("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
    ("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors"),
    ("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"),
)
TRIGGERS = {"maxReplicas": 4, "triggers": [{"type": "cron", "metadata": {"timezone": "UTC"}}]}


def definition(group: str, version: str, kind: str, plural: str) -> Object:
    """The least definition under which such objects are kept as they are sent."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            # Without it, groups of the Kubernetes project are kept from strangers.
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {"name": version, "served": True, "storage": True,
                 "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }  # fmt: skip


@pytest.fixture
def apis(cluster: Cluster) -> Iterator[None]:
    """The APIs that a cluster need not have, for one test."""
    definitions = [definition(*api) for api in APIS]
    cluster.apply(*definitions)
    for each in definitions:
        cluster.wait("crd", each["metadata"]["name"], "condition=Established")
    yield
    for each in definitions:
        cluster.delete("crd", each["metadata"]["name"])


def spec(cluster: Cluster, namespace: str, kind: str) -> Object:
    """The spec of an object of the gateway, once it is there."""
    found = eventually(lambda: cluster.find(kind, "llm", namespace), f"a {kind} is made")
    assert found is not None
    inner: Object = found["spec"]
    return inner


@pytest.mark.usefixtures("apis")
def test_everything_that_can_be_asked_for_is_made_and_pruned(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    asked = gateway(
        replicas=1,
        autoscaling=TRIGGERS,
        httpRoute={"parentRefs": [{"name": "edge"}], "hostnames": ["mcp.example.com"]},
        ingress={"className": "nginx", "hostnames": ["mcp.example.com"], "tlsSecretName": "tls"},
        service={"type": "NodePort"},
        monitoring={"podMonitor": True, "prometheusRule": True, "dashboard": True},
    )
    cluster.apply(asked, namespace=namespace)
    scaled = spec(cluster, namespace, "scaledobject.keda.sh")
    assert [trigger["type"] for trigger in scaled["triggers"]] == ["cpu", "cron"]
    assert scaled["scaleTargetRef"]["kind"] == "MCPGateway"
    route = spec(cluster, namespace, "httproute.gateway.networking.k8s.io")
    assert route["rules"][0]["backendRefs"] == [{"name": "llm", "port": 8079}]
    way_in = spec(cluster, namespace, "ingress")
    assert way_in["tls"] == [{"hosts": ["mcp.example.com"], "secretName": "tls"}]
    backend = way_in["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "llm", "port": {"number": 8079}}
    assert spec(cluster, namespace, "podmonitor.monitoring.coreos.com")["podMetricsEndpoints"]
    assert spec(cluster, namespace, "prometheusrule.monitoring.coreos.com")["groups"]
    boards = eventually(
        lambda: cluster.find("configmap", "llm-dashboards", namespace), "the dashboards are made"
    )
    assert boards is not None
    assert boards["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert len(boards["data"]) == 3
    assert spec(cluster, namespace, "service")["type"] == "NodePort"
    assert cluster.find("hpa", "llm", namespace) is None
    cluster.wait("mcpgateway", "llm", "condition=Ready", namespace)
    wait_condition(cluster, namespace, "Degraded", "AsExpected")

    cluster.apply(gateway(replicas=1), namespace=namespace)
    for kind in ("scaledobject", "httproute", "ingress", "podmonitor", "prometheusrule"):
        eventually(
            lambda kind=kind: cluster.find(kind, "llm", namespace) is None,  # type: ignore[misc]
            f"the {kind} is pruned",
        )
    eventually(lambda: spec(cluster, namespace, "service")["type"] == "ClusterIP", "as before")
    eventually(
        lambda: cluster.find("configmap", "llm-dashboards", namespace) is None,
        "the dashboards are pruned",
    )


def test_without_keda_it_scales_by_cpu_and_says_what_is_missing(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(gateway(autoscaling=TRIGGERS), namespace=namespace)
    found = wait_condition(cluster, namespace, "Degraded", "APIMissing")
    assert "ScaledObject" in found["message"]
    scaler = spec(cluster, namespace, "hpa")
    target = scaler["scaleTargetRef"]
    assert (target["apiVersion"], target["kind"]) == ("gateway.exai.dev/v1alpha1", "MCPGateway")
    assert scaler["maxReplicas"] == 4


def test_an_autoscaler_and_kubectl_scale_own_the_number_of_pods(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(gateway(replicas=1), namespace=namespace)
    cluster.wait("mcpgateway", "llm", "condition=Ready", namespace)
    cluster.kubectl("scale", "mcpgateway", "llm", "-n", namespace, "--replicas=3")
    cluster.wait("mcpgateway", "llm", "jsonpath={.status.readyReplicas}=3", namespace)
    shown = cluster.kubectl("get", "mcpgateway", "llm", "-n", namespace, "--subresource=scale",
                            "-o", "jsonpath={.status.replicas} {.status.selector}")  # fmt: skip
    count, selector = shown.split(" ")
    assert count == "3"
    assert len(cluster.list("pods", namespace, selector)) == 3


def test_records_on_volumes_make_a_stateful_set(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    spool = {"storage": "persistent", "size": "128Mi", "storageClassName": "manual"}
    cluster.apply(gateway(replicas=1, recording={"spool": spool}), namespace=namespace)
    made = spec(cluster, namespace, "statefulset")
    (claim,) = made["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "manual"
    assert made["serviceName"] == "llm-pods"
    assert cluster.find("deployment", "llm", namespace) is None


def test_a_persons_template_is_merged_by_name(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    template = {
        "metadata": {"annotations": {"team": "ml"}},
        "spec": {
            "containers": [
                {"name": "gateway", "resources": {"limits": {"memory": "300Mi"}}},
                {"name": "aside", "image": "busybox:1", "command": ["sleep", "1000"]},
            ]
        },
    }
    cluster.apply(gateway(podTemplate=template), namespace=namespace)
    pod = spec(cluster, namespace, "deployment")["template"]
    assert pod["metadata"]["annotations"]["team"] == "ml"
    containers = {each["name"]: each for each in pod["spec"]["containers"]}
    assert set(containers) == {"gateway", "aside"}
    assert containers["gateway"]["resources"]["limits"]["memory"] == "300Mi"
    assert containers["gateway"]["readinessProbe"]
