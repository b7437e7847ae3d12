"""The charts on real containers, with the project's images, and a client in the cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.e2e.image import Images
from tests.integration.operator_cluster.installed import (
    DEFINITIONS,
    RELEASE,
    SYSTEM,
    apply_sample,
    client_key,
    helm_install,
    remove_operator,
)
from tests.support.kubernetes import Cluster, eventually

pytestmark = pytest.mark.e2e

RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


def split(image: str) -> tuple[str, str]:
    name, _, tag = image.rpartition(":")
    return name, tag


def values(images: Images) -> list[str]:
    """Return the arguments that make the chart take the images that the node has."""
    given = {}
    for part, image in (("image", images.operator), ("gatewayImage", images.gateway)):
        given[f"{part}.repository"], given[f"{part}.tag"] = split(image)
    given["image.pullPolicy"] = "Never"
    return ["--set", ",".join(f"{name}={value}" for name, value in given.items())]


def caller(url: str, key: str, image: str) -> dict[str, Any]:
    """Return a pod that asks a gateway something over MCP, and ends."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["mcp-gateway", "call", "--url", url, "--provider", "kimi", "--json", "Hello!"],
        "env": [{"name": "MCP_GATEWAY_API_KEY", "value": key}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec = {"containers": [container], "restartPolicy": "Never"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "caller"}, "spec": spec}


def test_from_helm_install_to_an_answer_in_the_cluster(
    cluster: Cluster, namespace: str, images: Images
) -> None:
    cluster.kubectl("label", "namespace", namespace, RESTRICTED)
    helm_install(cluster, DEFINITIONS, namespace="default")
    try:
        helm_install(cluster, RELEASE, *values(images), "--set", "replicas=2")
        cluster.kubectl("label", "namespace", SYSTEM, RESTRICTED)
        cluster.helm("test", RELEASE, "--namespace", SYSTEM, "--timeout=90s", timeout=120.0)
        apply_sample(cluster, "mcpgateway", namespace)
        cluster.wait("mcpgateway", "demo", "condition=Ready", namespace, timeout=90.0)
        cluster.wait("mcpgateway", "demo", "condition=ConfigApplied", namespace, timeout=60.0)
        key = client_key(cluster, "demo", namespace)
        url = f"http://demo.{namespace}.svc:8079/mcp"
        cluster.apply(caller(url, key, images.gateway), namespace=namespace)
        cluster.wait("pod", "caller", "jsonpath={.status.phase}=Succeeded", namespace, 60.0)
        said = cluster.kubectl("logs", "caller", "--namespace", namespace)
        assert json.loads(said.splitlines()[-1])["content"]
    finally:
        cluster.kubectl("delete", "mcpgateways", "--all", "--namespace", namespace)
        remove_operator(cluster)
    eventually(lambda: not cluster.list("pods", namespace, "app.kubernetes.io/instance=demo"),
               "no pod of the gateway is left", timeout=90.0)  # fmt: skip
