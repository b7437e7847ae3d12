"""The full node runs our images under the restrictions that production would put on them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.e2e.image import Images
from tests.support.kubernetes import Cluster, eventually

pytestmark = pytest.mark.e2e

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(name: str, image: str, command: list[str], **more: Any) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "command": command,
        "securityContext": RESTRICTED,
        "resources": {"limits": {"memory": "256Mi", "cpu": "1"}},
        **more,
    }
    spec = {"containers": [container], "restartPolicy": "Never"}
    labels = {"app": name}
    about = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}


def answer(cluster: Cluster, namespace: str, name: str) -> str:
    """Return what a pod printed that ends by itself."""

    def ended() -> Any:
        phase = cluster.get("pod", name, namespace)["status"]["phase"]
        return phase if phase in {"Succeeded", "Failed"} else None

    phase = eventually(ended, f"the end of {name}", timeout=60)
    said = cluster.kubectl("logs", name, "--namespace", namespace)
    assert phase == "Succeeded", said
    return said


@pytest.mark.parametrize("part", ["gateway", "operator"])
def test_image_runs_restricted(cluster: Cluster, namespace: str, images: Images, part: str) -> None:
    program = {"gateway": "mcp-gateway", "operator": "mcp-gateway-operator"}[part]
    cluster.apply(pod("one", getattr(images, part), [program, "--help"]), namespace=namespace)
    assert "usage:" in answer(cluster, namespace, "one")


def test_service_is_reached_by_name_and_kubectl_reaches_pods(
    cluster: Cluster, namespace: str, images: Images
) -> None:
    command = ["mcp-gateway", "simulate", "--wire", "kimi", "--host", "0.0.0.0", "--port", "8080"]  # noqa: S104
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kimi"},
        "spec": {"selector": {"app": "kimi"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    cluster.apply(
        pod("kimi", images.gateway, command, readinessProbe=probe), service, namespace=namespace
    )
    cluster.wait("pod", "kimi", "condition=Ready", namespace)
    url = f"http://kimi.{namespace}.svc/v1/models"
    ask = (
        "import urllib.request as u;"
        f"r = u.Request({url!r}, headers={{'Authorization': 'Bearer sk-test'}});"
        "print(u.urlopen(r, timeout=10).read().decode())"
    )
    cluster.apply(pod("ask", images.gateway, ["python", "-c", ask]), namespace=namespace)
    assert json.loads(answer(cluster, namespace, "ask"))["data"]
    said = cluster.kubectl("exec", "kimi", "--namespace", namespace, "--", "id", "-u")
    assert said.strip() == "65532"
