"""The definition on a real API server: what people read there, and what it keeps from them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.support.kubernetes import Cluster, CommandFailed, Object, eventually

from mcp_gateway.api.crd import custom_resource_definition

pytestmark = pytest.mark.integration

NAME = custom_resource_definition()["metadata"]["name"]


def gateway(name: str = "llm", **spec: object) -> Object:
    providers = [{"name": "kimi", "type": "simulator", "simulator": {"wire": "kimi"}}]
    return {
        "apiVersion": "gateway.exai.dev/v1alpha1",
        "kind": "MCPGateway",
        "metadata": {"name": name},
        "spec": {"providers": providers, **spec},
    }


@pytest.fixture(scope="module")
def home(defined: Cluster) -> Iterator[str]:
    with defined.namespace() as name:
        eventually(lambda: "mcpgw" in defined.kubectl("api-resources"), "kubectl knows the name")
        yield name


def test_it_is_structural_and_its_rules_cost_no_more_than_allowed(defined: Cluster) -> None:
    conditions = defined.get("crd", NAME)["status"]["conditions"]
    found = {each["type"]: each["status"] for each in conditions}
    assert found["Established"] == "True"
    assert found.get("NonStructuralSchema", "False") == "False"
    assert found["NamesAccepted"] == "True"


def test_explain_teaches(defined: Cluster, home: str) -> None:
    pool = eventually(lambda: _explained(defined, "mcpgw.spec.providers.pool"), "it is published")
    for field in ("minConnections", "maxConnections", "maxOverflow", "idleTimeout"):
        assert field in pool
    whole = defined.kubectl("explain", "mcpgw", "--recursive")
    assert "circuitBreaker" in whole
    assert "conditions" in whole


def _explained(cluster: Cluster, path: str) -> str:
    """What explain says; nothing before the API server has published a new definition."""
    try:
        return cluster.kubectl("explain", path)
    except CommandFailed:
        return ""


def test_every_field_is_described() -> None:
    (version,) = custom_resource_definition()["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    bare: list[str] = []

    def look(part: Object, path: str) -> None:
        for name, field in part.get("properties", {}).items():
            if not field.get("description"):
                bare.append(f"{path}.{name}")
            look(field, f"{path}.{name}")
        for below in ("items", "additionalProperties"):
            if isinstance(part.get(below), dict):
                look(part[below], f"{path}[]")

    look(schema, "spec")
    assert bare == []


def test_it_goes_by_its_short_name_and_among_all(defined: Cluster, home: str) -> None:
    defined.apply(gateway("short"), namespace=home)
    assert "short" in defined.kubectl("get", "mcpgw", "--namespace", home)
    assert "short" in defined.kubectl("get", "all", "--namespace", home)


def test_columns_show_how_it_is_and_more_where_there_is_room(defined: Cluster, home: str) -> None:
    defined.apply(gateway("columns"), namespace=home)
    status = {
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "Serving", "message": "",
             "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1},
        ],
        "readyReplicas": 2, "configGeneration": 7, "configApplied": "2/2",
        "endpoint": "http://columns.here.svc:8079",
    }  # fmt: skip
    whole = {**gateway("columns"), "status": status}
    whole["metadata"] = {"name": "columns"}
    text = json.dumps(whole)
    arguments = ("apply", "--server-side", "--subresource=status", "-n", home, "-f", "-")
    defined.kubectl(*arguments, "--force-conflicts", text=text)
    narrow = defined.kubectl("get", "mcpgw", "columns", "-n", home).splitlines()
    assert narrow[0].split() == ["NAME", "READY", "REPLICAS", "GENERATION", "APPLIED", "AGE"]
    assert narrow[1].split()[:5] == ["columns", "True", "2", "7", "2/2"]
    wide = defined.kubectl("get", "mcpgw", "columns", "-n", home, "-o", "wide").splitlines()
    assert wide[0].split()[5:] == ["AGE", "REASON", "ENDPOINT", "TUNING"]
    assert "http://columns.here.svc:8079" in wide[1]


def test_it_scales(defined: Cluster, home: str) -> None:
    defined.apply(gateway("scales"), namespace=home)
    defined.kubectl("scale", "mcpgw", "scales", "--replicas=3", "--namespace", home)
    assert defined.get("mcpgw", "scales", home)["spec"]["replicas"] == 3


def test_writing_the_status_is_another_right_than_writing_the_rest(
    defined: Cluster, home: str
) -> None:
    sent = {**gateway("parts"), "status": {"endpoint": "http://nowhere"}}
    defined.apply(sent, namespace=home)
    assert "endpoint" not in defined.get("mcpgw", "parts", home).get("status", {})


def test_a_spool_on_volumes_stays_there_as_it_is(defined: Cluster, home: str) -> None:
    def recorded(**spool: object) -> Object:
        recording = {"spool": {"storage": "persistent", "size": "1Gi", **spool}}
        return gateway("kept", recording=recording)

    defined.apply(gateway("kept"), namespace=home)
    defined.apply(recorded(), namespace=home)  # onto volumes, that is safe
    for unsafe, field in (
        (recorded(storage="ephemeral"), "spec.recording.spool.storage"),
        (recorded(size="2Gi"), "spec.recording.spool.size"),
        (recorded(storageClassName="fast"), "spec.recording.spool.storageClassName"),
    ):
        with pytest.raises(CommandFailed) as refused:
            defined.apply(unsafe, namespace=home)
        assert field in refused.value.errors
        assert "another gateway" in refused.value.errors
    off = gateway("kept", recording={"enabled": False, "spool": {"storage": "persistent"}})
    with pytest.raises(CommandFailed, match="enabled"):
        defined.apply(off, namespace=home)
    defined.apply(recorded(whenFull="drop_newest"), namespace=home)  # all else may change
