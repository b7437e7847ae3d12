"""What the operator makes of each sample, object by object, reviewed in the diff.

`UPDATE_GOLDEN=1 pytest tests/golden` writes the files anew.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.process import ROOT

from mcp_gateway_operator import render

GOLDEN = Path(__file__).with_name("operator")
SAMPLES = ROOT / "manifests" / "samples"
UID = "11111111-2222-3333-4444-555555555555"
CONTEXT = render.Context(image="registry.example/mcp-gateway:1", generation=3)


def sample(name: str, **spec: Any) -> dict[str, Any]:
    resource: dict[str, Any] = yaml.safe_load((SAMPLES / f"{name}.yaml").read_text("utf-8"))
    resource["metadata"] |= {"namespace": "ai", "uid": UID, "generation": 1}
    resource["spec"] |= spec
    return resource


SIDECAR = {
    "metadata": {"annotations": {"team": "blue"}, "labels": {"app.kubernetes.io/name": "other"}},
    "spec": {
        "tolerations": [{"operator": "Exists"}],
        "containers": [
            {"name": "gateway", "resources": {"limits": {"memory": "1Gi"}}},
            {"name": "proxy", "image": "proxy:1"},
        ],
    },
}
CASES = {
    "quickstart": sample("quickstart"),
    "kimi-glm": sample("kimi-glm"),
    "failover": sample("failover"),
    "openai-compatible": sample("openai-compatible"),
    "persistent": sample(
        "failover",
        recording={"spool": {"storage": "persistent", "size": "2Gi", "storageClassName": "fast"}},
    ),
    "dressed": sample(
        "openai-compatible",
        replicas=3,
        autoscaling={"minReplicas": 2, "maxReplicas": 8},
        image="registry.example/own:2",
        imagePullSecrets=[{"name": "registry"}],
        podTemplate=SIDECAR,
        service={"type": "LoadBalancer", "annotations": {"cloud": "internal"}},
        httpRoute={"parentRefs": [{"name": "edge"}], "hostnames": ["mcp.example.com"]},
    ),
    "scaled": sample(
        "quickstart",
        autoscaling={
            "maxReplicas": 5,
            "triggers": [
                {"type": "cron", "metadata": {"desiredReplicas": "3"}, "authentication": "clock"}
            ],
        },
        ingress={
            "className": "nginx",
            "hostnames": ["mcp.example.com"],
            "tlsSecretName": "mcp-tls",
            "annotations": {"nginx.ingress.kubernetes.io/proxy-buffering": "off"},
        },
    ),
}


def without_dashboards(made: dict[str, Any]) -> dict[str, Any]:
    """Dashboards are reviewed where they are generated; here it is enough that they are there."""
    if not made["metadata"]["name"].endswith("-dashboards"):
        return made
    metadata = {key: value for key, value in made["metadata"].items() if key != "annotations"}
    return {**made, "metadata": metadata, "data": dict.fromkeys(made["data"], "...")}


@pytest.mark.parametrize("name", CASES)
def test_objects_are_what_was_reviewed(name: str) -> None:
    gateway = render.Gateway.read(CASES[name])
    made = render.objects(gateway, CONTEXT)
    objects = [*render.secrets(gateway), *map(without_dashboards, made)]
    text = yaml.safe_dump_all(objects, sort_keys=False, width=100)
    file = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.glob("*.yaml")} == set(CASES)
