"""The samples that others read than a gateway are what those take."""

from __future__ import annotations

import pytest
import yaml
from tests.support import install_manifest
from tests.support.kubernetes import Cluster
from tests.support.process import ROOT

from mcp_gateway_operator.render import Context, Gateway, objects

pytestmark = pytest.mark.integration

SAMPLES = ROOT / "manifests" / "samples"


def test_the_autoscaler_is_one_for_the_api_server(cluster: Cluster, namespace: str) -> None:
    sample = SAMPLES / "prometheus-adapter" / "autoscaler.yaml"
    text = cluster.kubectl(
        "create", "--namespace", namespace, "--dry-run=server", "--validate=strict",
        "--output=yaml", "-f", str(sample),
    )  # fmt: skip
    made = yaml.safe_load(text)
    assert [metric["type"] for metric in made["spec"]["metrics"]] == ["Pods", "Resource"]


def test_the_sample_for_keda_is_taken_and_makes_its_object(
    cluster: Cluster, namespace: str
) -> None:
    sample = SAMPLES / "autoscaling-keda.yaml"
    cluster.kubectl(
        "create", "--namespace", namespace, "--dry-run=server", "--validate=strict",
        "-f", str(sample),
    )  # fmt: skip
    gateway = Gateway.read(yaml.safe_load(sample.read_text(encoding="utf-8")))
    made = {each["kind"]: each for each in objects(gateway, Context())}
    cpu, in_flight = made["ScaledObject"]["spec"]["triggers"]
    assert cpu["type"] == "cpu"
    # What KEDA's scaler `prometheus` must be told; all of it text.
    assert {"serverAddress", "query", "threshold"} <= in_flight["metadata"].keys()
    assert all(isinstance(value, str) for value in in_flight["metadata"].values())
    assert "HorizontalPodAutoscaler" not in made


def test_the_charts_dashboards_are_objects_for_the_api_server(
    cluster: Cluster, namespace: str
) -> None:
    text = install_manifest.template(
        "mcp-gateway", "--set", "monitoring.dashboards.enabled=true", namespace=namespace
    )
    boards = [each for each in yaml.safe_load_all(text) if each and each["kind"] == "ConfigMap"]
    assert len(boards) == 4
    cluster.apply(*boards, namespace=namespace)
    made = cluster.list("configmaps", namespace, "grafana_dashboard=1")
    assert {each["metadata"]["name"] for each in made} == {
        each["metadata"]["name"] for each in boards
    }
